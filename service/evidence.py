"""Gathers what speaks for and against each candidate: triggers, passages, the state now, and what happened before."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from models.domain.base import Clock
from models.domain.execution import CheckResult
from models.domain.incident import Incident
from models.domain.recommendation import Candidate, Citation, Dropped
from models.domain.runbook import Check, Document, ScoredPassage
from models.ranking.citations import cite_best, cite_opening, incident_text, words_of
from models.ranking.evidence import CandidateEvidence, DiagnosisAnswer
from models.ranking.features import SUBSTANCE, saturate
from retrieval.index import PassageIndex
from retrieval.query import query_of
from runbooks.binding import Binding, VerbInputs, bind
from service.checks import SqlReader, measure
from service.corpus import CorpusKeeper
from service.ports import Source

if TYPE_CHECKING:
    from service.guard.surroundings import Outcomes

# As many as the ranker's weights were fitted with.
_PASSAGES = 10
_SIMILAR = 3
_NEAR = 3
# Looking must not delay help: checks beyond this are left out and reported as gaps.
_BUDGET = timedelta(seconds=3)


@dataclass(frozen=True)
class Evidence:
    """All that ranking needs of one incident."""

    binding: Binding
    candidates: tuple[CandidateEvidence, ...]
    passages: tuple[ScoredPassage, ...]
    documents: Mapping[str, Document]
    dropped: tuple[Dropped, ...]
    """Actions that could not be offered, of runbooks that a trigger matched or whose passages come first."""
    similar: tuple[Citation, ...]
    gaps: tuple[str, ...]


class EvidenceGatherer:
    """Looks things up; changes nothing."""

    def __init__(
        self,
        corpus: CorpusKeeper,
        index: PassageIndex,
        catalogue: Mapping[str, VerbInputs],
        clock: Clock,
        source: Source | None = None,
        executions: Outcomes | None = None,
        sql: SqlReader | None = None,
        *,
        http: bool = True,
    ) -> None:
        """Without a source nothing is measured, without executions there is no history: both are then gaps.

        `sql` answers `sql` checks; without it they are gaps. `http`: whether `http` checks are asked; not where the
        source answers of the past, which an address cannot.
        """
        self._corpus = corpus
        self._index = index
        self._catalogue = catalogue
        self._clock = clock
        self._source = source
        self._executions = executions
        self._sql = sql
        self._http = http

    def gather(self, incident: Incident) -> Evidence:
        """Everything that is known of an incident that was localised."""
        documents = {document.id: document for document in self._corpus.documents()}
        binding = bind(self._corpus.runbooks(), incident, self._catalogue)
        query = query_of(incident)
        passages = tuple(self._index.search(query, _PASSAGES, kind="runbook"))
        # What an earlier episode of a reopened incident taught is the most alike of all.
        own = [incident.id.lower()] if incident.episode == 1 else []
        past = self._index.documents(query, _SIMILAR, kind="postmortem", exclude=own)
        wanted = words_of(incident_text(incident))
        looking = _Looking(self._source, self._sql, self._clock, http=self._http)
        triggered = {match.runbook for match in binding.matched}
        asked_for = {incident.requested.runbook} if incident.requested else set()
        # Words in common that say nothing make no runbook near.
        near = (
            triggered | asked_for | {p.passage.document for p in passages[:_NEAR] if saturate(p.lexical) >= SUBSTANCE}
        )
        candidates = tuple(
            self._evidence(
                candidate, incident, binding, passages, looking, asked=candidate.runbook in triggered | asked_for
            )
            for candidate in binding.candidates
        )
        return Evidence(
            binding=binding,
            candidates=candidates,
            passages=passages,
            documents=documents,
            similar=tuple(cited for one in past for cited in _lesson(one.passages, wanted, documents)),
            dropped=tuple(one for one in binding.dropped if one.runbook in near),
            gaps=tuple(dict.fromkeys((*binding.gaps, *looking.gaps))),
        )

    def _evidence(
        self,
        candidate: Candidate,
        incident: Incident,
        binding: Binding,
        passages: Iterable[ScoredPassage],
        looking: _Looking,
        *,
        asked: bool,
    ) -> CandidateEvidence:
        successes, failures = self._history(candidate)
        return CandidateEvidence(
            candidate=candidate,
            triggers=tuple(m.trigger for m in binding.matched if m.runbook == candidate.runbook),
            passages=tuple(p for p in passages if p.passage.document == candidate.runbook),
            culprit_match=bool(incident.culprit and candidate.service == incident.culprit.service),
            precondition=looking.all_hold(candidate.preconditions) if asked else None,
            diagnosis=_diagnoses(candidate, binding, looking) if asked else (),
            successes=successes,
            failures=failures,
        )

    def _history(self, candidate: Candidate) -> tuple[float, float]:
        if self._executions is None:
            return 0.0, 0.0
        known = self._executions.outcomes(candidate.runbook, candidate.action, candidate.environment)
        verified = float(sum(outcome.verified for outcome in known))
        return verified, len(known) - verified


def _lesson(
    passages: Sequence[ScoredPassage], wanted: frozenset[str], documents: Mapping[str, Document]
) -> tuple[Citation, ...]:
    """What a past incident was about: how its postmortem begins, else its most fitting sentence."""
    document = documents.get(passages[0].passage.document) if passages else None
    opening = cite_opening(document) if document else None
    return (opening,) if opening else cite_best(passages, wanted, documents, 1)


class _Looking:
    """Measures checks within a budget, each once; what could not be looked at is a gap."""

    def __init__(self, source: Source | None, sql: SqlReader | None, clock: Clock, *, http: bool) -> None:
        self._source = source
        self._sql = sql
        self._clock = clock
        self._http = http
        self._known: dict[Check, CheckResult] = {}
        self._ends = time.monotonic() + _BUDGET.total_seconds()
        self.gaps: list[str] = [] if source else ["no telemetry source: the state now was not looked at"]

    def all_hold(self, checks: Iterable[Check]) -> bool | None:
        """Whether all hold now; None where there is none or one could not be measured."""
        answers = [answer.passed if (answer := self.ask(check)) else None for check in checks]
        if not answers or None in answers:
            return None
        return all(answers)

    def ask(self, check: Check) -> CheckResult | None:
        """The answer now; None where there is no source or the budget is spent."""
        if self._source is None:
            return None
        if check.http is not None and not self._http:
            self._gap(f"not looked at, only telemetry is known of that time: {check.subject}")
            return None
        if check not in self._known:
            left = self._ends - time.monotonic()
            if left <= 0:
                self._gap(f"not looked at, the time was up: {check.subject}")
                return None
            self._known[check] = measure(check, self._source, clock=self._clock, sql=self._sql, seconds=left)
            if self._known[check].passed is None:
                self._gap(f"could not be measured: {check.subject}: {self._known[check].detail}")
        return self._known[check]

    def _gap(self, text: str) -> None:
        if text not in self.gaps:
            self.gaps.append(text)


def _diagnoses(candidate: Candidate, binding: Binding, looking: _Looking) -> tuple[DiagnosisAnswer, ...]:
    answers = []
    for bound in binding.diagnoses:
        if bound.runbook != candidate.runbook or candidate.action not in (bound.check.supports, bound.check.refutes):
            continue
        result = looking.ask(bound.check)
        if result is not None:
            supports = bound.check.supports == candidate.action
            answers.append(DiagnosisAnswer(check=result, stance="supports" if supports else "refutes"))
    return tuple(answers)
