"""The report of all suites: one HTML file with inline SVG, that loads nothing from anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24; }
table { border-collapse: collapse; margin: .5rem 0; }
th, td { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #d8dee4; }
svg { background: #f6f8fa; border-radius: 4px; }
svg text { font: 12px system-ui, sans-serif; fill: #57606a; }
"""
_WIDTH, _BAR, _LABEL = 640, 22, 180
_SIDE, _MARGIN = 320, 40

Result = Mapping[str, Any]


def render(results: Mapping[str, Result], skipped: Mapping[str, str], *, title: str) -> str:
    """The whole page. `results` by suite, `skipped` by suite with the reason."""
    parts = [
        "<!doctype html>", '<html lang="en">', "<head>", '<meta charset="utf-8">', f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style>", "</head>", "<body>", f"<h1>{escape(title)}</h1>",
        *(_section(name, result) for name, result in results.items()),
    ]  # fmt: skip
    if skipped:
        parts += ["<h2>Not run</h2>", _table(("suite", "reason"), skipped.items())]
    return "\n".join([*parts, "</body>", "</html>", ""])


def figures(result: Result) -> dict[str, float]:
    """The plain numbers of a suite's result."""
    return {
        name: float(value)
        for name, value in result.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _section(name: str, result: Result) -> str:
    numbers = figures(result)
    shares = {key: value for key, value in numbers.items() if 0.0 <= value <= 1.0 and key not in ("n", "files", "rows")}
    parts = [f"<h2>{escape(name)}</h2>", _table(("figure", "value"), ((k, f"{v:g}") for k, v in numbers.items()))]
    if shares:
        parts.append(_bars(shares))
    if selective := result.get("selective"):
        points = [(float(each["coverage"]), float(each["precision"])) for each in selective if each["coverage"]]
        parts += ["<p>Precision of what is answered, by the share that is answered:</p>", _curve(points)]
    parts += [f"<p>{escape(str(note))}</p>" for note in result.get("notes", ())]
    return "\n".join(parts)


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _bars(shares: Mapping[str, float]) -> str:
    """Horizontal bars of shares in [0, 1]."""
    room = _WIDTH - _LABEL - 60
    lines = []
    for place, (name, value) in enumerate(shares.items()):
        top = 8 + place * _BAR
        lines.append(
            f'<text x="8" y="{top + 13}">{escape(name)}</text>'
            f'<rect x="{_LABEL}" y="{top}" width="{value * room:.1f}" height="{_BAR - 6}" fill="#0969da"/>'
            f'<text x="{_LABEL + value * room + 6:.1f}" y="{top + 13}">{value:.3f}</text>'
        )
    return _svg(_WIDTH, 16 + len(shares) * _BAR, lines)


def _curve(points: Sequence[tuple[float, float]]) -> str:
    """A line through points in the unit square, with its axes."""
    room = _SIDE - 2 * _MARGIN
    at = [(_MARGIN + x * room, _SIDE - _MARGIN - y * room) for x, y in sorted(points)]
    low, high = _MARGIN, _SIDE - _MARGIN
    lines = [
        f'<path d="M{low},{low} V{high} H{high}" fill="none" stroke="#57606a"/>',
        f'<text x="{low}" y="{_SIDE - 12}">coverage 0 to 1</text>',
        f'<text x="{low}" y="{low - 12}">precision 0 to 1</text>',
        f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in at)}" fill="none" stroke="#0969da"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#0969da"/>' for x, y in at),
    ]
    return _svg(_SIDE, _SIDE, lines)


def _svg(width: int, height: int, lines: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" role="img">'
    return "\n".join([head, *lines, "</svg>"])
