"""Incidents whose truth is a remedy in words: the remedies of the file are what is chosen from."""

from __future__ import annotations

from collections.abc import Sequence

from evals.incidents.answers import Option
from evals.incidents.format import LabelledIncident
from evals.labelled import LabelledIncident as Remedied
from evals.offers import probabilities, rank_row, similarities

SHOWN = 200
"""Characters of a remedy that name it in a report."""


def remedy_options(rows: Sequence[LabelledIncident]) -> dict[str, tuple[Option, ...]]:
    """For each row, all different remedies of the file, ranked for it as `suture eval ranking` ranks them.

    A remedy whose words stand in several rows is one remedy, and right for all of them. Without a second one there is
    nothing to choose from, and no options.
    """
    if len({_words(row) for row in rows}) < 2:
        return {row.id: () for row in rows}
    plain = [_remedied(row) for row in rows]
    scores = similarities(plain)
    first: dict[str, int] = {}
    for number, row in enumerate(rows):
        first.setdefault(_words(row), number)
    found = {}
    for number, row in enumerate(rows):
        columns = list({**first, _words(row): number}.values())
        chances = probabilities(rank_row(plain, scores, number, columns))
        found[row.id] = tuple(
            Option(name=_words(rows[column])[:SHOWN], probability=chances[rows[column].id], right=column == number)
            for column in columns
        )
    return found


def _remedied(row: LabelledIncident) -> Remedied:
    seen = row.asked()
    signals = tuple(f"{signal.name} {signal.text}".strip() for signal in seen.signals)
    return Remedied(
        id=row.id, symptoms=f"{row.title}\n{row.description}".strip(), signals=signals, remediation=_words(row)
    )


def _words(row: LabelledIncident) -> str:
    """The remedy without differences of spaces."""
    return " ".join((row.gold.remediation or "").split()) if row.gold else ""
