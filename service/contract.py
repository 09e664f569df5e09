"""The contract formats of `suture recommend` and the REST API: an incident or a signal in, a recommendation out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, FiniteFloat, model_validator

from models.domain.base import Frozen, Labels, Severity, Time
from models.domain.errors import BadInput
from models.domain.execution import Decision, Mode, Verdict
from models.domain.incident import Culprit, Incident
from models.domain.recommendation import (
    Citation,
    Dropped,
    Hypothesis,
    Measured,
    ModelUse,
    RankedCandidate,
    Recommendation,
    SimilarIncident,
)
from models.domain.runbook import Risk
from models.domain.signal import Anomaly, Score, Signal, SignalKind
from models.language.streaming import Told
from service.json_input import parse_json, read_model

UNSTORED = "INC-0"
"""The identifier of an incident that came from a file: the store counts from 1."""

_CLOCK_SKEW = timedelta(minutes=5)


def _plausible(moment: datetime) -> datetime:
    # Times at the ends of the calendar overflow in the arithmetic of windows and zones.
    if not 1970 <= moment.year < 2200:
        raise ValueError("the year is not between 1970 and 2199")
    return moment


Instant = Annotated[Time, AfterValidator(_plausible)]
Word = Annotated[str, Field(min_length=1, max_length=200)]
LabelMap = Annotated[
    dict[Word, Annotated[str, Field(max_length=4096)]], Field(max_length=64, examples=[{"service": "shop"}])
]


class _Labelled(Frozen):
    labels: LabelMap = Field(default_factory=dict)

    @model_validator(mode="after")
    def _columns(self) -> Self:
        # The database keeps these two in columns of this width.
        for name in ("environment", "env", "service", "job"):
            if len(self.labels.get(name, "")) > 200:
                raise ValueError(f"the label {name} is longer than 200 characters")
        return self


class SignalInput(_Labelled):
    """A signal as senders write it: only `kind` and `name` are needed."""

    kind: SignalKind
    name: str = Field(min_length=1, max_length=500, examples=["PostgresDown"])
    at: Instant | None = None
    """When it began; without it, when it arrived."""
    status: Literal["firing", "resolved"] = "firing"
    metric: Word | None = None
    severity: Severity | None = None
    """Without it, the label `severity` where it is info, warning or critical; else warning."""
    value: FiniteFloat | None = None
    text: str = Field(default="", max_length=65_536)
    source: Word = "api"
    anomaly: Anomaly | None = None

    def to_signal(self, now: datetime) -> Signal:
        """The signal, with what was left out filled in."""
        named = self.labels.get("severity", "")
        default = Severity(named) if named in set(Severity) else Severity.WARNING
        given = {name: getattr(self, name) for name in Signal.model_fields}
        return Signal(**{**given, "at": self.at or now, "severity": self.severity or default})


class IncidentFile(_Labelled):
    """An incident as `suture recommend --incident` and `POST /v1/recommendations` take it."""

    title: str = Field(min_length=1, max_length=500, examples=["orders-db refuses connections"])
    description: str = Field(default="", max_length=65_536)
    severity: Severity | None = None
    """Without it, the worst of the signals'."""
    environment: Word | None = None
    """Without it, the label `environment` of the incident or of a signal; else `default`."""
    services: tuple[Word, ...] = Field(default=(), max_length=200)
    """Without it, the services that the labels name."""
    started_at: Instant | None = None
    signals: tuple[SignalInput, ...] = Field(default=(), max_length=1000)

    def to_incident(self, now: datetime) -> Incident:
        """The incident, not stored; it began when it says, else with its first signal, else now."""
        signals = tuple(signal.to_signal(now) for signal in self.signals)
        named = [self.labels.get("service"), *(signal.service for signal in signals)]
        began = self.started_at or min((signal.at for signal in signals), default=now)
        worst = max((signal.severity for signal in signals), key=lambda each: each.rank, default=Severity.WARNING)
        return Incident(
            id=UNSTORED,
            title=self.title,
            description=self.description,
            severity=self.severity or worst,
            environment=self.environment or _environment([self.labels, *(signal.labels for signal in signals)]),
            services=self.services or tuple(dict.fromkeys(name for name in named if name)),
            labels={**_shared([signal.labels for signal in signals]), **self.labels},
            signals=signals,
            started_at=began,
            detected_at=now,
            updated_at=now,
        )


class DecisionView(Frozen):
    """What the guard would say now of a candidate; nothing was asked of anyone."""

    verdict: Verdict
    mode: Mode
    reason: str
    policies: tuple[str, ...]
    approver_role: str | None
    approvals_needed: int


class CandidateView(Frozen):
    """A ranked candidate."""

    runbook: str
    action: str
    title: str
    probability: Score
    risk: Risk
    uses: str
    target: str
    parameters: dict[str, Any]
    decision: DecisionView
    justification: str
    citations: tuple[Citation, ...]
    measured: tuple[Measured, ...] = ()
    """What telemetry said of it while ranking."""


class IncidentView(Frozen):
    """The incident as it was understood."""

    title: str
    severity: Severity
    environment: str
    services: tuple[str, ...]
    labels: Labels
    started_at: Time
    culprits: tuple[Culprit, ...]


class AbstentionView(Frozen):
    """Why nothing is recommended."""

    reason: str


class AdviceView(Frozen):
    """Words for a person, with their sources. Suture executes none of it."""

    text: str
    citations: tuple[Citation, ...]
    source: str
    """`runbook` where they are a document's own words, else the language model's name."""
    executable: Literal[False] = False


class StatementView(Frozen):
    """A checked statement of the language model, before the whole recommendation is there."""

    runbook: str | None
    """The candidate's runbook and action; null for advice."""
    action: str | None
    target: str | None
    text: str
    citations: tuple[Citation, ...]

    @classmethod
    def of(cls, told: Told) -> Self:
        """The statement as it is sent."""
        one = told.candidate
        return cls(
            runbook=one.runbook if one else None,
            action=one.action if one else None,
            target=one.target if one else None,
            text=told.statement.text,
            citations=told.statement.citations,
        )


class RecommendationView(Frozen):
    """A recommendation in the contract format."""

    incident: IncidentView
    abstained: AbstentionView | None
    """Not null: no candidate is recommended, whatever `candidates` shows."""
    candidates: tuple[CandidateView, ...]
    advice: tuple[AdviceView, ...]
    gaps: tuple[str, ...]
    dropped: tuple[Dropped, ...]
    similar: tuple[SimilarIncident, ...]
    hypotheses: tuple[Hypothesis, ...] = ()
    """Candidates that compete for the first place, side by side; empty where the first stands alone."""
    model: ModelUse | None


def read_incident(text: str, *, where: str, now: datetime) -> Incident:
    """The incident in a JSON text. Raises BadInput with line or JSON path; `where` names the file."""
    return read_model(IncidentFile, parse_json(text, where=where)).to_incident(now)


def read_signal(value: object, *, root: str, now: datetime) -> Signal:
    """One signal from its JSON value. Raises BadInput with the path below `root`."""
    signal = read_model(SignalInput, value, root=root).to_signal(now)
    if signal.at > now + _CLOCK_SKEW:
        # It would keep its incident from ever becoming quiet.
        words = f"{signal.at.isoformat()} is in the future; is the sender's clock right?"
        raise BadInput(words, where=f"{root}.at")
    return signal


def view(incident: Incident, recommendation: Recommendation, decisions: Mapping[str, Decision]) -> RecommendationView:
    """A recommendation in the contract format; `decisions` by candidate hash."""
    return RecommendationView(
        incident=IncidentView(**{name: getattr(incident, name) for name in IncidentView.model_fields}),
        abstained=AbstentionView(reason=recommendation.abstained.reason) if recommendation.abstained else None,
        candidates=tuple(_candidate(ranked, decisions[ranked.candidate.hash]) for ranked in recommendation.candidates),
        advice=tuple(
            AdviceView(text=each.text, citations=each.citations, source=each.source) for each in recommendation.advice
        ),
        gaps=recommendation.gaps,
        dropped=recommendation.dropped,
        similar=recommendation.similar,
        hypotheses=recommendation.hypotheses,
        model=recommendation.model,
    )


def _candidate(ranked: RankedCandidate, decision: Decision) -> CandidateView:
    candidate = ranked.candidate
    return CandidateView(
        runbook=candidate.runbook,
        action=candidate.action,
        title=candidate.title,
        probability=ranked.probability,
        risk=candidate.risk,
        uses=candidate.uses,
        target=candidate.target,
        parameters=candidate.parameters,
        decision=DecisionView(**{name: getattr(decision, name) for name in DecisionView.model_fields}),
        justification=ranked.justification,
        citations=ranked.citations,
        measured=ranked.measured,
    )


def _environment(labels: Iterable[Labels]) -> str:
    named = (each.get("environment") or each.get("env") for each in labels)
    return next((name for name in named if name), "default")


def _shared(labels: list[Labels]) -> Labels:
    if not labels:
        return {}
    return {name: value for name, value in labels[0].items() if all(each.get(name) == value for each in labels)}
