"""THE page: the whole flow, one function a stage, domain types in and out.

    telemetry ─▶ detect ─▶ correlate ─▶ localise ─▶ retrieve ─▶ rank ─▶ decide ─▶ execute ─▶ verify ─▶ learn

Who calls: `intake.py` the first two, for everything that comes in; `remediation/` the others, each as a durable step;
`recommend` (localise to rank) also the API and the command line, where nothing is executed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from models.correlation import Correlation, Memory, correlate, impact_of, raised_by, signal_of
from models.correlation.companions import Companions
from models.correlation.draft import labels_of
from models.detection.batch import Batch, Detector
from models.domain.base import Clock
from models.domain.errors import SutureError, Unavailable
from models.domain.execution import CheckResult, Decision, Execution, Verification
from models.domain.incident import Incident, TimelineEntry
from models.domain.recommendation import Advice, ModelUse, RankedCandidate, Recommendation
from models.domain.runbook import Check, Step
from models.domain.signal import Signal
from models.domain.topology import Topology
from models.language.assist import assist
from models.language.streaming import Told
from models.localisation import localise
from models.ranking.abstention import abstain, worth_trying
from models.ranking.hypotheses import competing
from models.ranking.plan import diagnosis_plan
from models.ranking.ranker import rank
from runbooks.triggers import matching
from service.checks import SqlReader, measure, verify
from service.contract import UNSTORED
from service.corpus import CorpusKeeper
from service.evidence import Evidence, EvidenceGatherer
from service.language.tally import ModelTally
from service.ports import LanguageModel, Source
from service.remediation.postmortem import document_of, draft
from service.reporting.record import Record
from service.settings import Settings
from service.silent_causes import silent_causes

# Who only recommends has neither, and should not wait for the database's modules.
if TYPE_CHECKING:
    from service.discovery.book import TopologyBook
    from service.guard.guard import Guard
    from service.remediation.acting import Actor, ActResult

Part = TypeVar("Part")

_VERIFY_INTERVAL = timedelta(seconds=1)


@dataclass(frozen=True)
class Pipeline:
    """The flow and the parts that it needs. Parts that act are None where nothing is executed."""

    settings: Settings
    clock: Clock
    topology: Topology
    corpus: CorpusKeeper
    evidence: EvidenceGatherer
    source: Source | None
    sql: SqlReader | None = None
    """Answers `sql` checks; without it they cannot be measured."""
    detector: Detector | None = None
    model: LanguageModel | None = None
    guard: Guard | None = None
    actor: Actor | None = None
    burned: Callable[[Sequence[str], datetime], Mapping[str, float]] | None = None
    """By objective of these services, the share of its error budget that was lost since then; None without any."""
    tally: ModelTally | None = None
    """Counts what the language model was used for."""
    discovery: TopologyBook | None = None
    """Completes the topology by what traces and metrics showed; without it, the topology is the file's alone."""

    def known_topology(self) -> Topology:
        """Who depends on whom, as far as it is known now."""
        return self.discovery.current() if self.discovery is not None else self.topology

    def detect(self, batch: Batch) -> list[Signal]:
        """Samples of one tick in, signals of the series that depart out. Without a detector: none."""
        return [signal_of(anomaly) for anomaly in self.detector.observe(batch)] if self.detector else []

    def correlate(
        self,
        signals: Sequence[Signal],
        active: Sequence[Incident],
        recent: Sequence[Incident],
        memory: Memory,
        companions: Companions | None = None,
    ) -> Correlation:
        """Signals that belong together become incidents: new ones, changed ones, and reopened ones."""
        window = self.settings.group_window
        return correlate(
            signals, active, recent, self.known_topology(),
            now=self.clock(), window=window, memory=memory, companions=companions,
        )  # fmt: skip

    def failing_share(self) -> float | None:
        """The share of requests that fail now, in [0, 1]; None where it is not known."""
        if self.source is None:
            return None
        try:
            answer = self.source.query(self.settings.failing_requests, self.clock())
        except SutureError:
            # Impact is told as far as it is known: a monitoring system that is down must not stop an incident.
            return None
        return next((sample.value for sample in answer if 0.0 <= sample.value <= 1.0), None)

    def assess(self, incident: Incident, failing_share: float | None) -> Incident:
        """Who suffers: services, those downstream, requests that fail, error budget; severity is raised by it."""
        impact = impact_of(incident, self.known_topology(), failing_share)
        if self.burned is not None:
            told = self.burned((*impact.services, *impact.downstream), incident.started_at)
            impact = impact_of(incident, self.known_topology(), failing_share, told)
        changes: dict[str, Any] = {"impact": impact}
        raised = raised_by(impact)
        if raised is not None and raised[0].rank > incident.severity.rank:
            text = f"raised from {incident.severity} to {raised[0]}: {raised[1]}"
            entry = TimelineEntry(at=self.clock(), kind="severity", text=text)
            changes |= {"severity": raised[0], "timeline": (*incident.timeline, entry)}
        return incident.model_copy(update=changes)

    def localise(self, incident: Incident, measured: Mapping[str, Signal] | None = None) -> Incident:
        """The incident with its probable origins, and the labels of the first: what runbooks' parameters read.

        `measured`: what `silent_causes` found.
        """
        located = incident.model_copy(update={"culprits": localise(incident, self.known_topology(), measured)})
        derived = labels_of(located, self.known_topology())
        # Those of an incident that a person wrote are the person's word; those of a stored one are derived anew,
        # because they are the culprit's, and the culprit may be another by now.
        labels = derived | incident.labels if incident.id == UNSTORED else derived
        return located.model_copy(update={"labels": labels})

    def locate(self, incident: Incident) -> Incident:
        """The same, with what is measured now: not inside a transaction, for a source may be slow."""
        return self.localise(incident, self.silent_causes(incident))

    def silent_causes(self, incident: Incident) -> dict[str, Signal]:
        """Dependencies of the incident's services that are measured to be down and of which no signal came."""
        return silent_causes(incident, self.known_topology(), self.source, self.clock())

    def retrieve(self, incident: Incident) -> Evidence:
        """Runbooks and past postmortems that fit, with their passages and what the checks say now."""
        return self.evidence.gather(incident)

    def rank(
        self,
        incident: Incident,
        evidence: Evidence,
        identifier: str,
        tell: Callable[[Told | None], None] | None = None,
    ) -> Recommendation:
        """Candidates with probabilities, justifications and checked citations; or an abstention with its reason.

        `tell` hears each statement of the language model as soon as it is written and checked; see `assist`.
        """
        ranked = rank(incident, evidence.candidates, documents=evidence.documents)
        advice: tuple[Advice, ...] = ()
        used: ModelUse | None = None
        if self.model is not None:
            helped = assist(
                incident,
                ranked,
                evidence.passages,
                model=self.model,
                weight=self.settings.model_weight,
                max_chars=self.settings.model_prompt_chars,
                about=f"{incident.id}/{incident.episode}" if incident.id != UNSTORED else "",
                tell=tell,
            )
            ranked, advice, used = helped.candidates, helped.advice, helped.use
            if self.tally is not None:
                self.tally.add(used)
        threshold = self.settings.abstain_below
        abstained = abstain(ranked, threshold=threshold, nearest=evidence.passages, dropped=evidence.dropped)
        if abstained is not None:
            advice = (*diagnosis_plan(evidence.passages, evidence.documents), *advice)
        return Recommendation(
            id=identifier,
            incident=incident.id,
            created_at=self.clock(),
            abstained=abstained,
            candidates=ranked,
            advice=advice,
            gaps=evidence.gaps,
            dropped=evidence.dropped,
            hypotheses=competing(ranked),
            model=used,
            similar=evidence.similar,
        )

    def triggered(self, incident: Incident) -> tuple[str, ...]:
        """The runbooks that have a trigger which a signal of the incident matches."""
        return tuple(sorted({match.runbook for match in matching(self.corpus.runbooks(), incident.signals)}))

    def recommend(self, incident: Incident, identifier: str = "REC-unsaved") -> Recommendation:
        """Localise, retrieve and rank; nothing is executed."""
        located = self.locate(incident)
        return self.rank(located, self.retrieve(located), identifier)

    def worth_trying(self, recommendation: Recommendation) -> list[int]:
        """Places of the candidates that are probable enough to be tried, in order."""
        return worth_trying(recommendation.candidates, self.settings.abstain_below)

    def decide(self, ranked: RankedCandidate, incident: Incident | None = None) -> Decision:
        """The guard's word on one exact candidate for that incident."""
        return _present(self.guard, "guard").decide(ranked, incident)

    def preconditions(self, execution: Execution) -> list[CheckResult]:
        """What must hold before the act, measured now."""
        return self.measured(execution.candidate.preconditions)

    def measured(self, checks: Iterable[Check]) -> list[CheckResult]:
        """The answers to checks now."""
        source = _present(self.source, "source")
        return [measure(check, source, clock=self.clock, sql=self.sql) for check in checks]

    def refusal(self, execution: Execution) -> str | None:
        """Why the act may not start now, whatever was decided before: standing orders, limits, or the policies anew."""
        return _present(self.guard, "guard").reconsider(execution)

    def rehearse(self, execution: Execution) -> ActResult:
        """What the act would do, in words; nothing is changed."""
        step = Step(uses=execution.candidate.uses, arguments=execution.candidate.arguments)
        return _present(self.actor, "actor").rehearse(execution, step)

    def execute(self, execution: Execution, name: str, step: Step) -> ActResult:
        """One act on the target: the candidate's own, or its rollback."""
        return _present(self.actor, "actor").act(execution, name, step)

    def verify(self, execution: Execution, sleep: Callable[[float], None]) -> Verification:
        """The measured answer to "is it better?". Where the target has given up, it is not waited for."""
        source = _present(self.source, "source")
        checks = execution.candidate.verify
        if execution.gave_up:
            checks = tuple(check.model_copy(update={"within": timedelta(0)}) for check in checks)
        return verify(checks, source, clock=self.clock, sleep=sleep, interval=_VERIFY_INTERVAL, sql=self.sql)

    def learn(self, record: Record) -> str:
        """Write the postmortem draft into the corpus, where the next similar incident finds it. Returns its id."""
        document = document_of(record.incident)
        self.corpus.add_postmortem(document, draft(record))
        return document


def _present(part: Part | None, name: str) -> Part:
    if part is None:
        raise Unavailable(f"this installation recommends only; it has no {name}")
    return part
