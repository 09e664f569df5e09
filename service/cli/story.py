"""How `suture demo` and `suture simulate` tell an episode: a line a stage, what it rests on, a table at the end."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status
    from rich.table import Table

    from evals.sandbox.episode import Episode, Event, Stage

TIMES: dict[str, Stage] = {
    "detect": "seen", "recommend": "found", "mitigate": "done", "verify": "verified", "hand_over": "handed",
}  # fmt: skip
"""What is timed, and the stage at which each clock stops. All start at the injection."""

_INDENT = 20
"""Columns before the text of a stage."""
_WIDEST = 110
_NEXT: dict[Stage, str] = {
    "injected": "nothing is told to Suture; it must see it in the telemetry",
    "alerted": "opening an incident",
    "seen": "looking for what helps",
    "found": "asking the guard",
    "decided": "acting, or waiting for a person's word",
    "done": "measuring whether it helped",
    "failed": "looking at the next candidate",
    "verified": "closing the ticket",
}
"""What is waited for after a stage."""


class Story:
    """Prints to a console. On a terminal a line at the bottom says what is waited for."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._width = min(console.width, _WIDEST)
        self._status: Status | None = None

    def say(self, text: str) -> None:
        """A line of its own, wrapped."""
        for line in textwrap.wrap(text, self._width, break_long_words=False, break_on_hyphens=False):
            self._console.print(line, markup=False, soft_wrap=True)

    def good(self, text: str) -> None:
        """The last line, where all is well."""
        self._console.print(text, style="bold green", markup=False)

    def command(self, text: str) -> None:
        """A line that is to be copied: never wrapped."""
        self._console.print(text, markup=False, soft_wrap=True)

    def chapter(self, title: str) -> None:
        """The heading of an episode."""
        self._console.print()
        self._console.rule(title, align="left")

    def wait_for(self, words: str) -> None:
        """Say at the bottom of a terminal what is waited for; nothing where the output is a file."""
        self.wait_no_more()
        self._status = self._console.status(words)
        self._status.start()

    def wait_no_more(self) -> None:
        """Take that line away, for a question or the end."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def show(self, event: Event) -> None:
        """A stage that was reached. Words from outside are printed as they are, not as markup."""
        from rich.text import Text

        self.wait_no_more()
        first, *more = self._wrapped(event.text) or [""]
        head = Text.assemble((f"{event.seconds:7.1f} s  ", "dim"), (f"{event.stage:<9}", "bold cyan"), first)
        self._console.print(head, soft_wrap=True)
        for line in more:
            self._console.print(Text(f"{'':{_INDENT}}{line}"), soft_wrap=True)
        for detail in event.details:
            for place, line in enumerate(self._wrapped(detail)):
                mark = "· " if place == 0 else "  "
                self._console.print(Text(f"{'':{_INDENT}}{mark}{line}", style="dim"), soft_wrap=True)
        if event.stage in _NEXT:
            self.wait_for(_NEXT[event.stage])

    def finish(self, episodes: Iterable[Episode]) -> None:
        """The closing table."""
        self.wait_no_more()
        self._console.print()
        self._console.print(_table(episodes))

    def _wrapped(self, text: str) -> list[str]:
        width = self._width - _INDENT - 2
        return textwrap.wrap(" ".join(text.split()), width, break_long_words=False, break_on_hyphens=False)


def times(episode: Episode) -> dict[str, float | None]:
    """Seconds from the injection by what is timed; None where it did not come to that."""
    return {name: episode.seconds.get(stage) for name, stage in TIMES.items()}


def _table(episodes: Iterable[Episode]) -> Table:
    from rich.table import Table

    # Its widest row has 74 columns, so that nothing is cut off in 80.
    title = "Seconds from the injection of each fault to its end: verified health, or a person"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.padding = (0, 1, 0, 0)
    columns = ("detect", "recommend", "mitigate", "end")
    for column in ("scenario", "incident", *columns, "result"):
        table.add_column(column, justify="right" if column in columns else "left", no_wrap=True)
    for one in episodes:
        detect, recommend, mitigate, verify, hand_over = times(one).values()
        end = verify if hand_over is None else hand_over
        shown = [f"{at:.1f}" if at is not None else "-" for at in (detect, recommend, mitigate, end)]
        result = "[red]failed" if one.failure else f"[green]{one.expected.replace('_', ' ')}"
        table.add_row(one.scenario, one.incident or "-", *shown, result)
    return table
