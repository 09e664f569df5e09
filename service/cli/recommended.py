"""A recommendation for a terminal: what a person needs to decide, without the candidates that nobody would try."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from service.cli.output import shown, wrapped

if TYPE_CHECKING:
    from models.domain.recommendation import Hypothesis
    from service.contract import CandidateView, RecommendationView

MOST = 5
"""Candidates that are shown; JSON has all."""
UNLIKELY = 0.01
"""A candidate that is less probable is counted, not shown, unless it is the first."""


def lines(answer: RecommendationView) -> Iterator[str]:
    """The text, line by line, as wide as the terminal."""
    place = f"{', '.join(answer.incident.services) or 'no service named'}, {answer.incident.environment}"
    yield f"{answer.incident.severity}: {shown(answer.incident.title)} ({shown(place)})"
    if answer.abstained:
        yield from wrapped(f"Nothing is recommended. {answer.abstained.reason}")
        if answer.candidates:
            yield "\nWhat was looked at:"
    likely = [one for one in answer.candidates[:MOST] if one.probability >= UNLIKELY] or answer.candidates[:1]
    for number, candidate in enumerate(likely, 1):
        yield ""
        yield from _candidate(candidate, number, _hypothesis(answer, candidate))
    left = len(answer.candidates) - len(likely)
    if left:
        yield f"\nand {left} less probable; --json shows all"
    if answer.advice:
        yield "\nTo look at (a plan for a person; Suture executes none of it):"
    for number, step in enumerate(answer.advice, 1):
        places = ", ".join(f"{c.document}, {c.start}-{c.end}" for c in step.citations)
        by = "" if step.source == "runbook" else f"; by {step.source}"
        yield from wrapped(f"{step.text} ({places}{by})", f"{number}. ")
    yield from _notes(answer)


def _hypothesis(answer: RecommendationView, candidate: CandidateView) -> Hypothesis | None:
    named = (candidate.runbook, candidate.action)
    return next((one for one in answer.hypotheses if (one.runbook, one.action) == named), None)


def _candidate(candidate: CandidateView, number: int, hypothesis: Hypothesis | None) -> Iterator[str]:
    yield f"{number}. {candidate.probability:.0%}  {shown(candidate.title)}"
    runs = f"{candidate.uses} on {candidate.target} (runbook {candidate.runbook}, risk {candidate.risk})"
    verdict = str(candidate.decision.verdict).replace("_", " ")
    yield from wrapped(runs, "   runs:  ")
    yield from wrapped(candidate.justification, "   why:   ")
    if hypothesis:
        # Side by side with the others: a person weighs what is for one against what is for the next.
        yield from wrapped("; ".join(hypothesis.speaks_for) or "nothing", "   for:   ")
        yield from wrapped("; ".join(hypothesis.speaks_against) or "nothing known", "   against: ")
    yield from wrapped(f"{verdict}: {candidate.decision.reason}", "   guard: ")
    for citation in candidate.citations:
        yield from wrapped(f"“{citation.quote}” ({citation.document}, {citation.start}-{citation.end})", "   > ")


def _notes(answer: RecommendationView) -> Iterator[str]:
    notes = [f"seen before, {each.words}" for each in answer.similar]
    notes += [f"not known: {gap}" for gap in answer.gaps]
    if answer.model and answer.model.failure:
        notes.append(f"the language model {answer.model.name} was not used: {answer.model.failure}")
    if notes:
        yield ""
    for note in notes:
        yield from wrapped(note)
