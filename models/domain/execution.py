"""What is done: decisions of the guard, approvals of people, executions, verifications and outcomes."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from models.domain.base import Duration, Frozen, Time
from models.domain.recommendation import Candidate
from models.domain.signal import Score


class Mode(StrEnum):
    """How far Suture may go in an environment, in rising order."""

    OBSERVE = "observe"
    """Opens incidents and tickets, recommends nothing in them."""
    SUGGEST = "suggest"
    """Recommends; people act."""
    APPROVE = "approve"
    """Acts after a person's yes."""
    AUTO = "auto"
    """Acts by itself where policy permits it; else asks."""


class Verdict(StrEnum):
    """What the guard says of one candidate."""

    PERMIT = "permit"
    NEEDS_APPROVAL = "needs_approval"
    FORBID = "forbid"


class Decision(Frozen):
    """The guard's word on one exact candidate."""

    candidate_hash: str
    verdict: Verdict
    mode: Mode
    level: Mode | None = None
    """The autonomy that the action has earned in the environment; `mode` is the ceiling."""
    policies: tuple[str, ...] = ()
    """Ids of the policies that determined it."""
    reason: str
    """In words: why."""
    missing: tuple[str, ...] = ()
    """What would have to be so for Suture to act by itself, in words."""
    approver_role: str | None = None
    """Any person of this role, or of one that may do more, may approve."""
    approvers: tuple[str, ...] = ()
    """The people who may approve by name, where no role may."""
    approvals_needed: int = 0
    """How many different people must say yes."""
    context: dict[str, Any] = Field(default_factory=dict)
    """What the policies were told, so that the decision can be explained, and asked again of other policies."""
    decided_at: Time


class Approval(Frozen):
    """A person's signed yes or no to one exact candidate."""

    id: str
    execution: str
    candidate_hash: str
    approved: bool
    by: str
    role: str
    key: str | None = None
    """The id of the API key that it came by; None at the command line."""
    comment: str = ""
    at: Time
    expires_at: Time
    signature: str
    """HMAC-SHA256 over the other fields with the installation's key: an edited row is found."""


class ExecutionState(StrEnum):
    """Where an execution stands."""

    PENDING = "pending"
    RUNNING = "running"
    VERIFYING = "verifying"
    ROLLING_BACK = "rolling_back"
    SUCCEEDED = "succeeded"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"
    UNCERTAIN = "uncertain"
    CANCELLED = "cancelled"


_E = ExecutionState
EXECUTION_TRANSITIONS: dict[ExecutionState, frozenset[ExecutionState]] = {
    _E.PENDING: frozenset({_E.RUNNING, _E.FAILED, _E.CANCELLED}),
    _E.RUNNING: frozenset({_E.VERIFYING, _E.ROLLING_BACK, _E.FAILED, _E.UNCERTAIN, _E.CANCELLED}),
    _E.VERIFYING: frozenset({_E.SUCCEEDED, _E.ROLLING_BACK, _E.FAILED, _E.UNCERTAIN, _E.CANCELLED}),
    _E.ROLLING_BACK: frozenset({_E.ROLLED_BACK, _E.FAILED, _E.UNCERTAIN}),
    _E.SUCCEEDED: frozenset(),
    _E.ROLLED_BACK: frozenset(),
    _E.FAILED: frozenset(),
    _E.UNCERTAIN: frozenset(),
    _E.CANCELLED: frozenset(),
}
"""Which state may follow which. Every change is a compare-and-set in the store, with an audit entry."""

FINAL_STATES = frozenset(state for state, following in EXECUTION_TRANSITIONS.items() if not following)


class CheckResult(Frozen):
    """The answer to one check at one time."""

    subject: str
    condition: str
    passed: bool | None
    """None: it could not be measured."""
    values: tuple[float, ...] = ()
    detail: str = ""
    at: Time


class Health(StrEnum):
    """The answer to "is it better?"."""

    HEALTHY = "healthy"
    NOT_HEALTHY = "not_healthy"
    UNKNOWN = "unknown"


class Verification(Frozen):
    """The measured answer to "is it better?", check by check, with how long it took."""

    health: Health
    checks: tuple[CheckResult, ...] = ()
    took: Duration


GAVE_UP = "gave_up"
"""Among the outputs of an act that took effect and failed for good."""


class StepRecord(Frozen):
    """One step of an execution as it was recorded: what was tried, and what came back."""

    name: str
    state: Literal["started", "done", "failed", "uncertain"]
    at: Time
    detail: str = ""
    data: dict[str, Any] = Field(default_factory=dict)


class CancelRequest(Frozen):
    """A person's wish that an execution ends now."""

    by: str
    at: Time
    reason: str = ""


class Execution(Frozen):
    """One run of one candidate; exactly one per decision. Its id is the idempotency key that executors receive."""

    id: str
    incident: str
    candidate: Candidate
    probability: Score
    decision: Decision
    state: ExecutionState = ExecutionState.PENDING
    steps: tuple[StepRecord, ...] = ()
    outputs: dict[str, Any] = Field(default_factory=dict)
    verification: Verification | None = None
    requested_by: str | None = None
    """The person who asked for exactly this candidate; None where Suture chose it."""
    cancel: CancelRequest | None = None
    """A person wants it to end; the workflow ends it at the next safe place."""
    created_at: Time
    started_at: Time | None = None
    """When it was let start. What stops it before its act, such as the kill switch, leaves nothing done."""
    ended_at: Time | None = None

    @property
    def begun(self) -> bool:
        """Whether its act was begun: only then may anything have been done."""
        return any(step.name == "act" and step.state == "started" for step in self.steps)

    @property
    def gave_up(self) -> bool:
        """Whether the target has given up since: health is then measured once, not waited for."""
        return any(step.name == "act" and step.data.get(GAVE_UP) is True for step in self.steps)


class Outcome(Frozen):
    """What an execution taught: feeds ranking and autonomy."""

    execution: str
    incident: str
    runbook: str
    action: str
    uses: str
    environment: str
    state: ExecutionState
    verified: bool
    """True only where verification measured health after the action."""
    at: Time


class Shadow(Frozen):
    """What a person did where Suture had a first choice of its own and did not act by itself."""

    incident: str
    episode: int
    runbook: str
    action: str
    environment: str
    agreed: bool
    """The person did, or approved, what Suture would have done first."""
    by: str
    at: Time


class Autonomy(Frozen):
    """How far Suture may go with one action in one environment, and since when for what reason."""

    runbook: str
    action: str
    environment: str
    level: Mode
    since: Time
    """What counts for the next promotion is what happened after this."""
    reason: str
    by: str = "suture"
