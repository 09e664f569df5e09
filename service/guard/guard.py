"""The one place that says what may run: the kill switch, the environment's mode, then the policies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

from models.domain.base import Clock
from models.domain.execution import Decision, Mode, Outcome, Verdict
from models.domain.incident import Incident
from models.domain.recommendation import Candidate, RankedCandidate
from service.guard.policy import AUTOPILOT, Answer, Policies
from service.guard.record import SuccessRecord
from service.security.roles import Role
from service.settings import Settings

# In this order: the least powerful role that may approve is asked.
_APPROVING_ROLES = (Role.APPROVER, Role.ADMIN)


class Switch(Protocol):
    """The kill switch, as far as it is asked here."""

    def is_on(self) -> bool:
        """Whether new executions are stopped."""


class Outcomes(Protocol):
    """What earlier executions taught, as far as it is asked here."""

    def outcomes(self, runbook: str, action: str, environment: str) -> Sequence[Outcome]:
        """All outcomes of an action in an environment."""


class Levels(Protocol):
    """How far each action may go, as it was earned."""

    def level(self, candidate: Candidate) -> Mode:
        """What the candidate's action has earned in its environment."""

    def record(self, candidate: Candidate) -> SuccessRecord:
        """How often the candidate's action was verified to have helped in its environment."""


class Hold(Protocol):
    """What stands in the way of a start."""

    @property
    def reason(self) -> str:
        """In words."""

    @property
    def until(self) -> datetime | None:
        """When it ends, where that is known."""

    @property
    def wait(self) -> bool:
        """Whether it passes soon by itself, so that waiting is right."""


class Holds(Protocol):
    """Limits over all replicas, as far as they are asked here."""

    def look(self, candidate: Candidate, now: datetime) -> Hold | None:
        """What stands in the way of a start now."""

    def blast_radius(self, candidate: Candidate, now: datetime) -> tuple[int, float]:
        """Targets of its service acted on in the last period, and their share of its instances, this one included."""


class Guard:
    """Decides on exact candidates. Nothing executes without a decision that names the candidate's hash."""

    def __init__(
        self,
        policies: Policies,
        settings: Settings,
        kill_switch: Switch,
        executions: Outcomes,
        clock: Clock,
        *,
        autonomy: Levels | None = None,
        limits: Holds | None = None,
        error_budget: Callable[[], float | None] | None = None,
    ) -> None:
        self._policies = policies
        self._settings = settings
        self._kill_switch = kill_switch
        self._executions = executions
        self._clock = clock
        self._autonomy = autonomy
        self._limits = limits
        self._error_budget = error_budget

    def decide(self, ranked: RankedCandidate, incident: Incident | None = None) -> Decision:  # noqa: ARG002
        """Permit, needs approval (by whom, how many) or forbid, with the policies and the reason in words."""
        candidate = ranked.candidate
        mode = self._settings.mode_of(candidate.environment)
        refusal = self.refusal(candidate)
        if refusal is not None:
            return self._decision(candidate, Verdict.FORBID, refusal)
        context = self._context(ranked, mode)
        autopilot = self._ask(AUTOPILOT, candidate, context)
        if autopilot.errors:
            return self._decision(candidate, Verdict.FORBID, f"a policy cannot be evaluated: {autopilot.errors[0]}")
        if autopilot.allowed and mode is Mode.AUTO and candidate.approval == "policy":
            return self._decision(candidate, Verdict.PERMIT, "policy lets Suture act by itself", autopilot.policies)
        return self._ask_people(candidate, context, mode)

    def refusal(self, candidate: Candidate) -> str | None:
        """Why nothing may start now, whatever the policies say; asked again right before an act."""
        if self._kill_switch.is_on():
            return "the kill switch is on"
        mode = self._settings.mode_of(candidate.environment)
        if mode in (Mode.OBSERVE, Mode.SUGGEST):
            return f"the environment {candidate.environment!r} is in mode {mode}: people act, Suture does not"
        return None

    def _ask_people(self, candidate: Candidate, context: dict[str, Any], mode: Mode) -> Decision:
        denials: list[str] = []
        for role in _APPROVING_ROLES:
            answer = self._ask(f'Role::"{role}"', candidate, context)
            if answer.errors:
                return self._decision(candidate, Verdict.FORBID, f"a policy cannot be evaluated: {answer.errors[0]}")
            if answer.allowed:
                count = 2 if candidate.approval == "two-person" else 1
                reason = f"{_why_not_alone(candidate, mode)}; {count} approval{'s' * (count > 1)} by role {role} needed"
                return self._decision(candidate, Verdict.NEEDS_APPROVAL, reason, answer.policies, role, count)
            denials.extend(answer.policies)
        by = f"policy {', '.join(dict.fromkeys(denials))} forbids it" if denials else "no policy lets anyone run it"
        return self._decision(candidate, Verdict.FORBID, by, tuple(dict.fromkeys(denials)))

    def _ask(self, principal: str, candidate: Candidate, context: dict[str, Any]) -> Answer:
        attributes = {"service": candidate.service or "", "environment": candidate.environment}
        return self._policies.ask(principal, candidate.uses, candidate.target, attributes, context)

    def _context(self, ranked: RankedCandidate, mode: Mode) -> dict[str, Any]:
        candidate = ranked.candidate
        known = self._executions.outcomes(candidate.runbook, candidate.action, candidate.environment)
        record = SuccessRecord(successes=sum(outcome.verified for outcome in known), total=len(known))
        return {
            "mode": str(mode),
            "probability": float(ranked.probability),
            "risk": candidate.risk,
            "reversible": candidate.reversible,
            "approval": candidate.approval,
            "runbook": candidate.runbook,
            "action": candidate.action,
            "environment": candidate.environment,
            "verified_success": record.lower_bound,
            "outcomes": record.total,
        }

    def _decision(
        self,
        candidate: Candidate,
        verdict: Verdict,
        reason: str,
        policies: tuple[str, ...] = (),
        role: Role | None = None,
        count: int = 0,
    ) -> Decision:
        return Decision(
            candidate_hash=candidate.hash,
            verdict=verdict,
            mode=self._settings.mode_of(candidate.environment),
            policies=policies,
            reason=reason,
            approver_role=role,
            approvals_needed=count,
            decided_at=self._clock(),
        )


def _why_not_alone(candidate: Candidate, mode: Mode) -> str:
    if mode is not Mode.AUTO:
        return f"the environment {candidate.environment!r} is in mode {mode}"
    if candidate.approval != "policy":
        return f"the runbook asks for approval ({candidate.approval})"
    return "no policy lets Suture do this by itself yet"
