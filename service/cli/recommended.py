"""A recommendation for a terminal: what a person needs to decide, without the candidates that nobody would try."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from service.cli.output import shown

if TYPE_CHECKING:
    from service.contract import CandidateView, RecommendationView

MOST = 5
"""Candidates that are shown; JSON has all."""
UNLIKELY = 0.01
"""A candidate that is less probable is counted, not shown, unless it is the first."""
_WIDEST = 110


def lines(answer: RecommendationView) -> Iterator[str]:
    """The text, line by line, as wide as the terminal."""
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    place = f"{', '.join(answer.incident.services) or 'no service named'}, {answer.incident.environment}"
    yield f"{answer.incident.severity}: {shown(answer.incident.title)} ({shown(place)})"
    if answer.abstained:
        yield from _wrapped(f"Nothing is recommended. {answer.abstained.reason}", width, "")
        if answer.candidates:
            yield "\nWhat was looked at:"
    likely = [one for one in answer.candidates[:MOST] if one.probability >= UNLIKELY] or answer.candidates[:1]
    for number, candidate in enumerate(likely, 1):
        yield ""
        yield from _candidate(candidate, number, width)
    left = len(answer.candidates) - len(likely)
    if left:
        yield f"\nand {left} less probable; --json shows all"
    yield from _notes(answer, width)


def _candidate(candidate: CandidateView, number: int, width: int) -> Iterator[str]:
    yield f"{number}. {candidate.probability:.0%}  {shown(candidate.title)}"
    runs = f"{candidate.uses} on {candidate.target} (runbook {candidate.runbook}, risk {candidate.risk})"
    verdict = str(candidate.decision.verdict).replace("_", " ")
    yield from _wrapped(runs, width, "   runs:  ")
    yield from _wrapped(candidate.justification, width, "   why:   ")
    yield from _wrapped(f"{verdict}: {candidate.decision.reason}", width, "   guard: ")
    for citation in candidate.citations:
        yield from _wrapped(
            f"“{citation.quote}” ({citation.document}, {citation.start}-{citation.end})", width, "   > "
        )


def _notes(answer: RecommendationView, width: int) -> Iterator[str]:
    notes = [f"advice: {each.text}" for each in answer.advice]
    notes += [f"seen before, {each.document}: “{each.quote}”" for each in answer.similar]
    notes += [f"not known: {gap}" for gap in answer.gaps]
    if answer.model and answer.model.failure:
        notes.append(f"the language model {answer.model.name} was not used: {answer.model.failure}")
    if notes:
        yield ""
    for note in notes:
        yield from _wrapped(note, width, "")


def _wrapped(text: str, width: int, lead: str) -> list[str]:
    """One paragraph; its further lines stand under the first one's text."""
    paragraph = " ".join(shown(text).split())
    under = " " * len(lead)
    return textwrap.wrap(paragraph, width, initial_indent=lead, subsequent_indent=under, break_on_hyphens=False)
