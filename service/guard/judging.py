"""What a set of policies makes of one candidate, given all that they are told: no clock, no database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.domain.execution import Mode, Verdict
from models.domain.recommendation import Candidate
from service.guard.context import REFUSED, request_of
from service.guard.policy import Answer, Policies
from service.guard.policy_schema import APPROVING_ROLES, AUTOPILOT, Request, person_principal, role_principal
from service.security.roles import Role


@dataclass(frozen=True)
class Judgement:
    """A decision without its circumstances."""

    verdict: Verdict
    reason: str
    policies: tuple[str, ...] = ()
    role: Role | None = None
    """Any person of this role may approve."""
    people: tuple[str, ...] = ()
    """The people who may approve by name, where no role may."""
    count: int = 0
    """How many different people must."""
    missing: tuple[str, ...] = ()
    """What would have to be so for Suture to act by itself."""


def lower(one: Mode, other: Mode) -> Mode:
    """The mode that allows less."""
    return min(one, other, key=list(Mode).index)


def judge(policies: Policies, candidate: Candidate, context: Mapping[str, Any]) -> Judgement:
    """Permit, needs approval or forbid. `context` is as `context_of` makes it."""
    request = request_of(candidate, dict(context))
    refused = context.get(REFUSED)
    if refused is not None:
        return Judgement(Verdict.FORBID, refused, missing=(refused,))
    alone = policies.ask(AUTOPILOT, request)
    if alone.errors:
        return _broken(alone)
    mode = lower(Mode(context["mode"]), Mode(context["level"]))
    if alone.allowed and alone.approvals == 0 and mode is Mode.AUTO and candidate.approval == "policy":
        return Judgement(Verdict.PERMIT, "policy lets Suture act by itself", alone.policies)
    missing = tuple(dict.fromkeys(_missing(policies, request, alone, candidate)))
    return _ask_people(policies, request, _why_not_alone(candidate, context, alone), missing)


def _ask_people(policies: Policies, request: Request, why: str, missing: tuple[str, ...]) -> Judgement:
    denials: list[str] = []
    for role in APPROVING_ROLES:
        answer = policies.ask(role_principal(role), request)
        if answer.errors:
            return _broken(answer)
        if answer.allowed:
            return _needs_approval(request, why, missing, answer, role=role)
        denials.extend(answer.policies)
    named = {name: policies.ask(person_principal(name, Role.APPROVER), request) for name in policies.people}
    allowed = {name: answer for name, answer in named.items() if answer.allowed and not answer.errors}
    if allowed:
        every = Answer(
            allowed=True,
            policies=tuple(dict.fromkeys(policy for answer in allowed.values() for policy in answer.policies)),
            approvals=max(answer.approvals for answer in allowed.values()),
        )
        return _needs_approval(request, why, missing, every, people=tuple(allowed))
    by = tuple(dict.fromkeys(denials))
    reason = f"policy {', '.join(by)} forbids it" if by else "no policy lets anyone run it"
    return Judgement(Verdict.FORBID, reason, by, missing=missing)


def _needs_approval(
    request: Request,
    why: str,
    missing: tuple[str, ...],
    answer: Answer,
    *,
    role: Role | None = None,
    people: tuple[str, ...] = (),
) -> Judgement:
    count = max(answer.approvals, 2 if request.context["approval"] == "two-person" else 1)
    who = f"by role {role}" if role else f"by {' or '.join(people)}"
    if role is None and count > len(people):
        reason = f"{count} approvals are needed, and policy lets only {', '.join(people)} approve"
        return Judgement(Verdict.FORBID, reason, answer.policies, missing=missing)
    many = f"{count} approvals of different people" if count > 1 else "1 approval"
    reason = f"{why}; {many} {who} needed"
    return Judgement(Verdict.NEEDS_APPROVAL, reason, answer.policies, role, people, count, missing)


def _missing(policies: Policies, request: Request, alone: Answer, candidate: Candidate) -> list[str]:
    environment = request.context["environment"]
    words = {}
    if request.context["mode"] != Mode.AUTO:
        words["mode"] = f"the environment {environment!r} is in mode {request.context['mode']}, not auto"
    if request.context["level"] != Mode.AUTO:
        words["level"] = f"the action has earned {request.context['level']} in {environment!r}, not auto"
    if candidate.approval != "policy":
        words["approval"] = f"the runbook asks for approval ({candidate.approval}) instead of leaving it to policy"
    others: list[str] = []
    if not alone.allowed:
        others = [f"policy {name} forbids it" for name in alone.policies] or policies.lacking(request, words)
    elif alone.approvals:
        others = [f"policy {', '.join(alone.policies)} asks for {alone.approvals} approvals"]
    return [*words.values(), *others]


def _why_not_alone(candidate: Candidate, context: Mapping[str, Any], alone: Answer) -> str:
    if context["mode"] != Mode.AUTO:
        return f"the environment {candidate.environment!r} is in mode {context['mode']}"
    if candidate.approval != "policy":
        return f"the runbook asks for approval ({candidate.approval})"
    if alone.allowed and alone.approvals:
        return f"policy {', '.join(alone.policies)} asks for people"
    if alone.allowed or context["level"] != Mode.AUTO:
        return f"the action has earned {context['level']} in {candidate.environment!r}, not auto"
    return "no policy lets Suture do this by itself yet"


def _broken(answer: Answer) -> Judgement:
    reason = f"a policy cannot be evaluated: {answer.errors[0]}"
    return Judgement(Verdict.FORBID, reason, missing=(reason,))
