"""Active diagnosis: read-only checks while ranking, the most telling first, until nothing left can change the order."""

from __future__ import annotations

import time
from collections.abc import Sequence

from models.domain.base import Clock
from models.domain.execution import CheckResult
from models.domain.runbook import Check
from models.ranking.diagnosis import Question, reaches, worth_asking
from models.ranking.evidence import CandidateEvidence, DiagnosisAnswer
from models.ranking.features import strongest_match
from models.ranking.weights import DEFAULT_WEIGHTS, Weights
from runbooks.binding import BoundDiagnosis
from service.checks import SqlReader, measure
from service.diagnosis_settings import DiagnosisSettings
from service.ports import Source


class Looking:
    """Measures checks within a budget of time and calls, each once; what could not be looked at is a gap."""

    def __init__(
        self,
        source: Source | None,
        sql: SqlReader | None,
        clock: Clock,
        budget: DiagnosisSettings,
        *,
        http: bool = True,
    ) -> None:
        """Without a source nothing is measured. `sql` answers `sql` checks; `http`: whether addresses are asked."""
        self._source = source
        self._sql = sql
        self._clock = clock
        self._http = http
        self._known: dict[Check, CheckResult] = {}
        self._calls = budget.calls
        self._ends = time.monotonic() + budget.seconds.total_seconds()
        self.gaps: list[str] = [] if source else ["no telemetry source: the state now was not looked at"]

    @property
    def blind(self) -> bool:
        """Whether nothing can be measured at all."""
        return self._source is None

    def ask(self, check: Check) -> CheckResult | None:
        """The answer now; None where it may not or can no longer be asked, and a gap says why."""
        if self._source is None:
            return None
        if check not in self._known:
            left = self._ends - time.monotonic()
            if reason := self._refusal(check, left):
                self._gap(f"not looked at, {reason}: {check.subject}")
                return None
            self._calls -= 1
            self._known[check] = measure(check, self._source, clock=self._clock, sql=self._sql, seconds=left)
            if self._known[check].passed is None:
                self._gap(f"could not be measured: {check.subject}: {self._known[check].detail}")
        return self._known[check]

    def _refusal(self, check: Check, left: float) -> str | None:
        if check.http is not None and not self._http:
            return "only telemetry is known of that time"
        if left <= 0:
            return "the time was up"
        return "as many checks as may be were asked" if self._calls <= 0 else None

    def _gap(self, text: str) -> None:
        if text not in self.gaps:
            self.gaps.append(text)


def diagnose(
    evidence: Sequence[CandidateEvidence],
    diagnoses: Sequence[BoundDiagnosis],
    looking: Looking,
    *,
    threshold: float,
    weights: Weights = DEFAULT_WEIGHTS,
) -> tuple[CandidateEvidence, ...]:
    """The candidates with the answers that were worth having; see `models.ranking.diagnosis`.

    `diagnoses` are the checks of their runbooks, `threshold` the probability from which a candidate is recommended.
    """
    known = list(evidence)
    if looking.blind:
        return tuple(known)
    strongest = strongest_match(known)
    open_ = _questions(known, diagnoses)
    while asked := worth_asking(open_, reaches(known, strongest, open_, weights), threshold):
        question = asked[0]
        open_.remove(question)
        result = looking.ask(_plain(question.check))
        if result is None:
            continue  # a gap names it; each further one is named as well
        for place in question.concerns:
            known[place] = _told(known[place], question, place, result)
            if known[place].precondition is False:
                open_ = _without_preconditions_of(place, open_)
    return tuple(known)


def _questions(evidence: Sequence[CandidateEvidence], diagnoses: Sequence[BoundDiagnosis]) -> list[Question]:
    """Every check once, with all that its answer speaks of, in the order of the candidates."""
    found: dict[Check, Question] = {}
    for place, item in enumerate(evidence):
        for check in item.candidate.preconditions:
            question = found.setdefault(check, Question(check))
            found[check] = question._replace(required=question.required | {place})
    places = {(item.candidate.runbook, item.candidate.action): place for place, item in enumerate(evidence)}
    for bound in diagnoses:
        supports = _place(places, bound.runbook, bound.check.supports)
        refutes = _place(places, bound.runbook, bound.check.refutes)
        if not supports | refutes:
            continue
        check = _plain(bound.check)
        question = found.setdefault(check, Question(check))
        found[check] = question._replace(supports=question.supports | supports, refutes=question.refutes | refutes)
    return list(found.values())


def _place(places: dict[tuple[str, str], int], runbook: str, action: str | None) -> frozenset[int]:
    place = places.get((runbook, action)) if action else None
    return frozenset() if place is None else frozenset({place})


def _plain(check: Check) -> Check:
    """The check without what only its runbook reads into it, so that equal questions are one."""
    return Check.model_validate({"query": check.query, "sql": check.sql, "http": check.http, "is": check.condition})


def _told(item: CandidateEvidence, question: Question, place: int, result: CheckResult) -> CandidateEvidence:
    changed: dict[str, object] = {}
    stances = [("supports", question.supports), ("refutes", question.refutes)]
    answers = tuple(DiagnosisAnswer(check=result, stance=name) for name, where in stances if place in where)
    if answers:
        changed["diagnosis"] = (*item.diagnosis, *answers)
    if place in question.required:
        state = (*item.state, result)
        changed |= {"state": state, "precondition": _holds(item, state)}
    return item.model_copy(update=changed)


def _holds(item: CandidateEvidence, state: Sequence[CheckResult]) -> bool | None:
    """Whether all preconditions hold: one that does not decides it, else all must have been measured."""
    if any(answer.passed is False for answer in state):
        return False
    measured = sum(bool(answer.passed) for answer in state)
    return True if measured == len(item.candidate.preconditions) else None


def _without_preconditions_of(place: int, open_: Sequence[Question]) -> list[Question]:
    """What is left to ask once a precondition of that candidate failed: its others can say no more."""
    left = [question._replace(required=question.required - {place}) for question in open_]
    return [question for question in left if question.concerns]
