"""Gathers what speaks for and against each candidate: triggers, passages, the state now, and what happened before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from models.domain.base import Clock
from models.domain.incident import Incident
from models.domain.recommendation import Candidate, Dropped, SimilarIncident
from models.domain.runbook import Document, ScoredPassage
from models.domain.topology import Topology
from models.ranking.abstention import DEFAULT_THRESHOLD
from models.ranking.evidence import CandidateEvidence
from models.ranking.features import SUBSTANCE, saturate
from models.ranking.history import History, history_of
from retrieval.index import PassageIndex
from retrieval.query import query_of
from runbooks.binding import Binding, VerbInputs, bind
from service.bridging import Bridge, remedy_text
from service.checks import SqlReader
from service.corpus import CorpusKeeper
from service.diagnosing import Looking, diagnose
from service.diagnosis_settings import DiagnosisSettings
from service.ports import Source
from service.seen_before import seen_before

if TYPE_CHECKING:
    from service.guard.surroundings import Outcomes

# As many as the ranker's weights were fitted with.
_PASSAGES = 10
_NEAR = 3


@dataclass(frozen=True)
class Evidence:
    """All that ranking needs of one incident."""

    binding: Binding
    candidates: tuple[CandidateEvidence, ...]
    passages: tuple[ScoredPassage, ...]
    documents: Mapping[str, Document]
    dropped: tuple[Dropped, ...]
    """Actions that could not be offered, of runbooks that a trigger matched or whose passages come first."""
    similar: tuple[SimilarIncident, ...]
    gaps: tuple[str, ...]


@dataclass(frozen=True)
class Means:
    """How candidates are compared and looked into."""

    bridge: Bridge | None = None
    """Compares remedies by causes; None: they are not compared."""
    diagnosis: DiagnosisSettings = field(default_factory=DiagnosisSettings)
    threshold: float = DEFAULT_THRESHOLD
    """The probability from which a candidate is recommended: what cannot reach it is not looked at."""
    topology: Topology = field(default_factory=Topology)
    """Has the labels of services that are not the culprit, for the runbooks that speak of them."""


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
        means: Means | None = None,
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
        means = means or Means()
        self._bridge = means.bridge
        self._diagnosis = means.diagnosis
        self._threshold = means.threshold
        self._topology = means.topology

    def gather(self, incident: Incident) -> Evidence:
        """Everything that is known of an incident that was localised."""
        documents = self._corpus.by_id()
        query = query_of(incident)
        passages = tuple(self._index.search(query, _PASSAGES, kind="runbook"))
        asked_for = {incident.requested.runbook} if incident.requested else set()
        retrieved = asked_for | {one.passage.document for one in passages}
        binding = bind(self._corpus.runbooks(), incident, self._catalogue, retrieved, self._topology)
        triggered = {match.runbook for match in binding.matched}
        # Words in common that say nothing make no runbook near.
        near = (
            triggered | asked_for | {p.passage.document for p in passages[:_NEAR] if saturate(p.lexical) >= SUBSTANCE}
        )
        known = [self._evidence(candidate, incident, binding, passages) for candidate in binding.candidates]
        compared = self._compared(query, known, documents)
        # Its time begins here.
        looking = Looking(self._source, self._sql, self._clock, self._diagnosis, http=self._http)
        candidates = diagnose(
            compared,
            binding.diagnoses if self._diagnosis.mode == "active" else (),
            looking,
            threshold=self._threshold,
        )
        return Evidence(
            binding=binding,
            candidates=candidates,
            passages=passages,
            documents=documents,
            similar=seen_before(incident, query, self._index, documents),
            dropped=tuple(one for one in binding.dropped if one.runbook in near),
            gaps=tuple(dict.fromkeys((*binding.gaps, *looking.gaps))),
        )

    def _evidence(
        self,
        candidate: Candidate,
        incident: Incident,
        binding: Binding,
        passages: Iterable[ScoredPassage],
    ) -> CandidateEvidence:
        before = self._history(candidate)
        return CandidateEvidence(
            candidate=candidate,
            triggers=tuple(m.trigger for m in binding.matched if m.runbook == candidate.runbook),
            passages=tuple(p for p in passages if p.passage.document == candidate.runbook),
            culprit_match=bool(incident.culprit and candidate.service == incident.culprit.service),
            successes=before.successes,
            failures=before.failures,
            helped=before.helped,
            ran=before.ran,
        )

    def _compared(
        self, query: str, known: Sequence[CandidateEvidence], documents: Mapping[str, Document]
    ) -> list[CandidateEvidence]:
        """The candidates with how their remedies compare, by the causes that they mend."""
        if self._bridge is None:
            return list(known)
        remedies = [
            remedy_text(documents.get(one.candidate.runbook), one.candidate.action, one.candidate.title)
            for one in known
        ]
        matches = self._bridge.match(query, remedies)
        return [one.model_copy(update={"remedy": match}) for one, match in zip(known, matches, strict=True)]

    def _history(self, candidate: Candidate) -> History:
        if self._executions is None:
            return History()
        known = self._executions.outcomes(candidate.runbook, candidate.action, None)
        return history_of(known, candidate.environment, self._clock())
