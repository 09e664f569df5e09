"""A section of the report, and the small parts that sections are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from evals.reporting.plots import Bar
from evals.statistics import mean_interval


@dataclass(frozen=True)
class Section:
    """One suite's part of the report."""

    title: str
    tried: str
    """What was tried, in a sentence for somebody who does not build this."""
    told: tuple[str, ...]
    """What came out, in such sentences; the summary begins with them."""
    headline: tuple[str, str]
    """The one figure that counts, and what it is."""
    body: tuple[str, ...]
    """HTML."""
    command: str
    """What prints the figures again."""
    notes: tuple[str, ...] = field(default=())

    def html(self) -> str:
        """The section. Figures stand in tables, plots beside each other where there is room."""
        told = "".join(f"<p>{escape(words)}</p>" for words in (self.tried, *self.told))
        notes = "".join(f"<li>{escape(words)}</li>" for words in self.notes)
        return "\n".join(
            [
                f'<section id="{anchor(self.title)}"><h2>{escape(self.title)}</h2>',
                told,
                *self.body,
                f"<ul class=notes>{notes}</ul>" if notes else "",
                f"<p class=command>These figures again: <code>{escape(self.command)}</code></p></section>",
            ]
        )


def anchor(title: str) -> str:
    """A title as an identifier within the page."""
    return "".join(letter if letter.isalnum() else "-" for letter in title.lower()).strip("-")


def table(rows: Sequence[Mapping[str, Any]], caption: str = "") -> str:
    """Rows as a table that scrolls by itself on a narrow screen."""
    import pandas as pd

    if not rows:
        return ""
    # Texts come from tickets: pandas escapes them.
    with pd.option_context("display.max_colwidth", None):
        body = pd.DataFrame(list(rows)).to_html(index=False, border=0, na_rep="", justify="left", escape=True)
    head = f"<h3>{escape(caption)}</h3>" if caption else ""
    return f'{head}<div class="wide">{body}</div>'


def side_by_side(*plots: str) -> str:
    """Plots in a row where there is room."""
    return f'<div class="plots">{"".join(plots)}</div>'


def share(value: float | None) -> str:
    """0.934 as `93 %`, which stays on one line."""
    return "not measured" if value is None else f"{value:.0%}".replace("%", "\u00a0%")


def between(bounds: Sequence[float] | None) -> str:
    """An interval in words."""
    return f" (with 95 % confidence between {share(bounds[0])} and {share(bounds[1])})" if bounds else ""


def bar_of(name: str, values: Sequence[float]) -> Bar:
    """The mean of values in [0, 1] with its interval."""
    low, high = mean_interval(values)
    return Bar(name, sum(values) / len(values), low, high)


def count(value: float) -> str:
    """A number of incidents, which is not whole where ties count by expectation."""
    return f"{value:.0f}" if abs(value - round(value)) < 0.05 else f"{value:.1f}"


def cut(text: str, most: int = 110) -> str:
    """A text that fits a cell."""
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= most else f"{one_line[: most - 1]}…"
