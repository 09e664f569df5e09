"""The page: a summary for everybody, then each suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from evals.reporting.section import Section, anchor

_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; color: #0f172a; background: #fff;
  max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: .2rem 0 .4rem; }
h2 { font-size: 1.3rem; margin: 3rem 0 .6rem; padding-top: .8rem; border-top: 1px solid #e2e8f0; }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
p { margin: .5rem 0; max-width: 46rem; }
.small, .command, .notes, figcaption { color: #475569; font-size: .88rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .8rem; margin: 1.2rem 0; }
.card { border: 1px solid #e2e8f0; border-radius: .6rem; padding: .8rem 1rem; background: #f8fafc; }
.card a { color: inherit; text-decoration: none; }
.card b { display: block; font-size: 1.9rem; line-height: 1.2; color: #0b6bcb; }
.plots { display: flex; flex-wrap: wrap; gap: 1rem; }
.plots figure { flex: 1 1 18rem; }
figure { margin: 1rem 0; }
figure svg { width: 100%; height: auto; display: block; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; }
td { min-width: 4.5rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem 1rem .3rem 0; border-bottom: 1px solid #e2e8f0; }
code { font-size: .85rem; background: #f1f5f9; padding: .1rem .3rem; border-radius: .25rem; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; font-size: .9rem; }
dt { color: #475569; } dd { margin: 0; }
@media (max-width: 34rem) { body { padding: 1rem .8rem 3rem; } h1 { font-size: 1.4rem; } }
@media print { section { break-inside: avoid-page; } }
"""

_READING = (
    "“With 95 % confidence” means: with other incidents of the same kind the figure would hardly leave that range. "
    "The fewer the incidents, the wider it is. Nothing was executed, and no answer saw what had been right."
)


def render(
    sections: Sequence[Section], absent: Mapping[str, str], around: Mapping[str, str], *, title: str, command: str
) -> str:
    """The whole page. `absent`: suites that were not run, with the reason; `around`: machine, commit and so on."""
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
        f"<header><h1>{escape(title)}</h1>",
        f'<p class="small">{escape(around.get("made", ""))} · {escape(around.get("version", ""))}</p></header>',
        "<main>",
        _summary(sections),
        *(section.html() for section in sections),
        _absent(absent),
        _around(around, command),
        "</main></body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _summary(sections: Sequence[Section]) -> str:
    cards = "".join(
        f'<div class="card"><a href="#{anchor(one.title)}"><b>{escape(one.headline[0])}</b>'
        f"{escape(one.headline[1])}</a></div>"
        for one in sections
    )
    words = "".join(
        f"<h3>{escape(one.title)}</h3><p>{escape(' '.join((one.tried, *one.told)))}</p>" for one in sections
    )
    return f'<div class="cards">{cards}</div>{words}<p class="small">{escape(_READING)}</p>'


def _absent(absent: Mapping[str, str]) -> str:
    if not absent:
        return ""
    lines = "".join(f"<p>{escape(name)}: {escape(reason)}</p>" for name, reason in absent.items())
    return f"<section><h2>Not run</h2>{lines}</section>"


def _around(around: Mapping[str, str], command: str) -> str:
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in around.items())
    return (
        f"<section><h2>How this was made</h2><dl>{rows}</dl>"
        f'<p class="command">This report again: <code>{escape(command)}</code></p></section>'
    )
