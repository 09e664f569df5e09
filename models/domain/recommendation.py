"""What Suture proposes: candidates with all parameters resolved, ranked, justified and cited."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal

from pydantic import Field

from models.domain.base import Duration, Frozen, Time, canonical_json, sha256_hex
from models.domain.runbook import ApprovalRule, Check, Risk, Step
from models.domain.signal import Score


class Citation(Frozen):
    """A quote that was checked: it is the text of `document` from `start` to `end`, in characters."""

    document: str
    start: int
    end: int
    quote: str


class SimilarIncident(Citation):
    """A past incident: how its postmortem tells it, and what moved in both."""

    moved: tuple[str, ...] = ()
    """Metrics that moved in both, the same way: `pg_up down`."""
    likeness: Score | None = None
    """How alike the two are in what moved, 1 where all of it did; None where nothing moved in both."""

    @property
    def words(self) -> str:
        """It in one line, the quote as it stands in the document."""
        moved = f" (as here {', '.join(self.moved)})" if self.moved else ""
        return f"{self.document}{moved}: “{self.quote}”"


class Candidate(Frozen):
    """An action bound to an incident. Every template is rendered; nothing is left to resolve when it runs."""

    incident: str
    environment: str
    service: str | None
    """The service that is acted on: the culprit, else the incident's first."""
    runbook: str
    action: str
    title: str
    uses: str
    arguments: dict[str, Any]
    target: str
    """What is acted on, for limits: `process:shop-api`; given by the executor from the arguments."""
    parameters: dict[str, Any]
    risk: Risk
    reversible: bool
    approval: ApprovalRule
    timeout: Duration
    preconditions: tuple[Check, ...]
    verify: tuple[Check, ...]
    rollback: Step | None

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the whole candidate. Decisions and approvals name it: any change makes it another candidate."""
        return sha256_hex(canonical_json(self.model_dump(mode="json", by_alias=True)))


class Contribution(Frozen):
    """One feature of the evidence: its value, and what it added to the log-odds."""

    feature: str
    value: float
    log_odds: float
    note: str = ""


class Measured(Frozen):
    """A measured answer that was looked at for a candidate, cited like a passage: what was asked, what came, when."""

    query: str
    """PromQL, the name of a configured statement, or a URL."""
    condition: str
    """What the answer was compared with, for example `> 0.95`."""
    passed: bool
    values: tuple[float, ...] = ()
    detail: str = ""
    """The answer in words, with the series that it is of."""
    at: Time
    role: Literal["precondition", "diagnosis"]
    says: Literal["for", "against", "nothing"]
    """What it says of this candidate. A diagnosis that did not pass says nothing, by definition."""


class RankedCandidate(Frozen):
    """A candidate with its place in the order and the reasons."""

    candidate: Candidate
    probability: Score
    justification: str
    citations: tuple[Citation, ...]
    evidence: tuple[Contribution, ...] = ()
    measured: tuple[Measured, ...] = ()
    """What was measured for it while ranking."""


class Hypothesis(Frozen):
    """One of several explanations that stand side by side: an action that may be right, and what is known of it."""

    runbook: str
    action: str
    title: str
    probability: Score
    speaks_for: tuple[str, ...] = ()
    speaks_against: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    """What its runbook asks for and was not looked at."""


class Advice(Frozen):
    """Words for a person, with their sources. Never executable."""

    text: str
    citations: tuple[Citation, ...] = ()
    source: str = "runbook"
    """Who says so: `runbook` for the words of a document, else the language model's name."""
    executable: Literal[False] = False
    """Always: Suture runs actions of the catalogue, never advice."""


class Abstention(Frozen):
    """Why no candidate is recommended."""

    reason: str


class ModelUse(Frozen):
    """The language model's part: its name, its weight in the order, and why it was not used where it failed."""

    name: str
    weight: Score
    failure: str | None = None
    dropped: int = 0
    """How many parts of its answer were dropped by the checks: unknown ids, quotes that are not in their passage."""
    dropped_for: dict[str, int] = Field(default_factory=dict)
    """The same by reason."""
    sentences: int = 0
    """Statements that it made."""
    shown: int = 0
    """Of them those that passed every check; no other is shown."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None
    """US dollars; None where the price is not known."""
    cached: bool = False
    """The answer to the same question was kept: nothing was sent."""
    redacted: int = 0
    """Distinct secrets and personal data that were replaced before the prompt left."""


class Dropped(Frozen):
    """An action that could not become a candidate, with the reason."""

    runbook: str
    action: str
    reason: str


class Recommendation(Frozen):
    """Ranked candidates, or an abstention with its reason. An abstention may still show candidates, unrecommended."""

    id: str
    incident: str
    created_at: Time
    abstained: Abstention | None = None
    candidates: tuple[RankedCandidate, ...] = ()
    advice: tuple[Advice, ...] = ()
    gaps: tuple[str, ...] = ()
    """What could not be looked at or resolved, in words."""
    dropped: tuple[Dropped, ...] = ()
    hypotheses: tuple[Hypothesis, ...] = ()
    """The candidates that compete for the first place, best first; none where nothing competes."""
    model: ModelUse | None = None
    """None where no language model is configured."""
    similar: tuple[SimilarIncident, ...] = Field(default=())
    """Past postmortems that resemble the incident, best first."""
