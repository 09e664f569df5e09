"""The one place that says what may run and be said: standing orders, what was earned, limits, then the policies."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any

from models.domain.base import Clock, Severity
from models.domain.execution import Decision, Execution, ExecutionState, Mode, Verdict
from models.domain.incident import Incident
from models.domain.recommendation import Candidate, RankedCandidate
from service.guard.context import REFUSED, REFUSED_FOR, Circumstances, at, context_of, message_context, request_of
from service.guard.judging import Judgement, judge, lower
from service.guard.names import deception, person
from service.guard.policy import Policies
from service.guard.policy_schema import AUTOPILOT, Request, person_principal
from service.guard.record import SuccessRecord
from service.guard.rules import Hold as Order
from service.guard.surroundings import Hold, Holds, Levels, Outcomes, Switch
from service.security.roles import Role
from service.settings import Settings


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
        one_view: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """`error_budget` gives the share that is left now; None where it cannot be measured.

        What is asked of the others inside `one_view` is of one instant.
        """
        self._policies = policies
        self._settings = settings
        self._kill_switch = kill_switch
        self._executions = executions
        self._clock = clock
        self._autonomy = autonomy
        self._limits = limits
        self._error_budget = error_budget
        self._one_view = one_view

    def decide(self, ranked: RankedCandidate, incident: Incident | None = None) -> Decision:
        """Permit, needs approval (by whom, how many) or forbid, with the policies and the reason in words."""
        now = self._clock()
        candidate = ranked.candidate
        severity = incident.severity if incident else Severity.WARNING
        requested = incident is not None and incident.requested is not None
        context = self._context(candidate, ranked.probability, now, severity=severity, requested=requested)
        made = judge(self._policies, candidate, context)
        return Decision(
            candidate_hash=candidate.hash,
            verdict=made.verdict,
            mode=Mode(context["mode"]),
            level=Mode(context["level"]) if self._autonomy else None,
            policies=made.policies,
            reason=made.reason,
            missing=made.missing,
            approver_role=made.role,
            approvers=made.people,
            approvals_needed=made.count,
            context=context,
            decided_at=now,
        )

    def refusal(self, candidate: Candidate) -> str | None:
        """Why nothing may start now, whatever the policies say."""
        with self._one_view():
            orders = self._orders(candidate, self._level(candidate))
            if orders is None and self._limits is not None:
                orders = _lasting(self._limits.look(candidate, self._clock()))
        return orders.reason if orders is not None else None

    def reconsider(self, execution: Execution) -> str | None:
        """Why an execution that was decided on may not start after all, asked right before it does.

        The policies are asked again too: what they are told has changed since, as has the time. One that was claimed
        already was asked about a moment ago; only what stops everything is looked at again.
        """
        candidate, decided = execution.candidate, execution.decision
        if execution.state is not ExecutionState.PENDING:
            return self.refusal(candidate)
        context = self._context(
            candidate,
            execution.probability,
            self._clock(),
            severity=decided.context.get("severity", Severity.WARNING),
            requested=execution.requested_by is not None or decided.context.get("requested", False),
            # Its caller made sure of them.
            approvals=decided.approvals_needed,
        )
        return _stricter(judge(self._policies, candidate, context), decided)

    def objection(self, execution: Execution, by: str, role: Role, said_at: datetime, spoken: int) -> str | None:
        """Why that person's yes, given then after `spoken` others, does not count; None where it does.

        A policy that forbids it to the person, or names other people only. What holds for a role holds for who has it.
        """
        decided = execution.decision
        context = {**self._context_then(execution), "approvals": spoken, **at(said_at)}
        answer = self._policies.ask(person_principal(person(by), role), request_of(execution.candidate, context))
        if answer.errors:
            return f"a policy cannot be evaluated: {answer.errors[0]}"
        if answer.allowed:
            return None
        if answer.policies:
            return f"policy {', '.join(answer.policies)} forbids it to {by}"
        if decided.approvers:
            return f"policy lets only {', '.join(decided.approvers)} approve it; {by} is not among them"
        needed = Role(decided.approver_role or Role.ADMIN)
        return None if role.covers(needed) else f"it takes the role {needed}; {by} is {role}"

    def message_refusal(self, name: str, incident: Incident) -> str | None:
        """Why the message (`ticket-open`, `ticket-comment`, `ticket-close`) about an incident may not be sent.

        The kill switch stops acts, not words: people need them most while it is on.
        """
        mode = self._settings.mode_of(incident.environment)
        context = message_context(
            name, self._clock(), mode=mode, environment=incident.environment, severity=incident.severity
        )
        service = incident.culprit.service if incident.culprit else next(iter(incident.services), "")
        request = Request(f"message/{name}", f"incident:{incident.id}", service, incident.environment, context)
        answer = self._policies.ask(AUTOPILOT, request)
        if answer.errors:
            return f"a policy cannot be evaluated: {answer.errors[0]}"
        if answer.allowed:
            return None
        return f"policy {', '.join(answer.policies)} forbids it" if answer.policies else "no policy permits it"

    def _orders(self, candidate: Candidate, level: Mode) -> Hold | None:
        if self._kill_switch.is_on():
            return Order("the kill switch is on", None, wait=False)
        for what in ("environment", "service", "target"):
            if why := deception(getattr(candidate, what) or ""):
                words = f"the {what} {getattr(candidate, what)!r} could be taken for another: {why}"
                return Order(words, None, wait=False, concerns="service" if what == "environment" else "target")
        mode = self._settings.mode_of(candidate.environment)
        if mode in (Mode.OBSERVE, Mode.SUGGEST):
            words = f"the environment {candidate.environment!r} is in mode {mode}: people act, Suture does not"
            return Order(words, None, wait=False)
        if lower(mode, level) in (Mode.OBSERVE, Mode.SUGGEST):
            words = f"the action has earned {level} in {candidate.environment!r}: people act, Suture does not"
            return Order(words, None, wait=False, concerns="action")
        return None

    def _level(self, candidate: Candidate) -> Mode:
        return self._autonomy.level(candidate) if self._autonomy else Mode.AUTO

    def _earned(self, candidate: Candidate) -> tuple[Mode, SuccessRecord]:
        if self._autonomy:
            return self._autonomy.earned(candidate)
        known = self._executions.outcomes(candidate.runbook, candidate.action, candidate.environment)
        return Mode.AUTO, SuccessRecord(successes=sum(outcome.verified for outcome in known), total=len(known))

    def _context(
        self,
        candidate: Candidate,
        probability: float,
        now: datetime,
        *,
        severity: str,
        requested: bool,
        approvals: int = 0,
    ) -> dict[str, Any]:
        with self._one_view():
            level, record = self._earned(candidate)
            hold, reach = self._limits.survey(candidate, now) if self._limits else (None, None)
            refusal = self._orders(candidate, level) or _lasting(hold)
        around = Circumstances(
            mode=self._settings.mode_of(candidate.environment),
            level=level,
            record=record,
            blast_radius=reach,
            error_budget=self._error_budget() if self._error_budget else None,
            severity=severity,
            requested=requested,
            approvals=approvals,
        )
        context = context_of(candidate, probability, now, around)
        if refusal is None:
            return context
        return {**context, REFUSED: refusal.reason, REFUSED_FOR: refusal.concerns}

    def _context_then(self, execution: Execution) -> dict[str, Any]:
        """What the policies were told when they decided; made anew for a decision of before that was kept."""
        decided = execution.decision
        requested = execution.requested_by is not None
        return decided.context or self._context(
            execution.candidate,
            execution.probability,
            decided.decided_at,
            severity=Severity.WARNING,
            requested=requested,
        )


def _lasting(hold: Hold | None) -> Hold | None:
    """A hold that forbids; what passes soon by itself is waited for instead."""
    return hold if hold is not None and not hold.wait else None


def _stricter(now: Judgement, decided: Decision) -> str | None:
    """Why what was decided does not hold any more."""
    if now.verdict is Verdict.FORBID:
        return now.reason
    if now.verdict is Verdict.PERMIT:
        return None
    if decided.verdict is Verdict.PERMIT or now.count > decided.approvals_needed:
        return f"it was decided on differently before; now {now.reason}"
    return None if _covered(now, decided) else f"it was decided on differently before; now {now.reason}"


def _covered(now: Judgement, decided: Decision) -> bool:
    """Whether all who could say yes to what was decided may do so now."""
    if now.role is None:
        return bool(decided.approvers) and set(decided.approvers) <= set(now.people)
    # People who are named are taken for approvers.
    asked = Role.APPROVER if decided.approvers else Role(decided.approver_role or Role.ADMIN)
    return asked.covers(now.role)
