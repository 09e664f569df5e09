"""What the autopilot's permits ask for that is not so: each condition of each permit is asked by itself.

Nothing here knows a particular policy. A permit is taken apart into its scope and the conditions that `&&` joins
(`||` in `unless`); each becomes a small policy, and Cedar says which of them hold.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from service.guard.conditions import about, told
from service.guard.policy_files import Policy
from service.guard.policy_schema import Request

_MOST_POLICIES = 3
"""Policies told of: the nearest to a yes."""
_NOT_THE_AUTOPILOT = ("Role", "Person")


@dataclass(frozen=True)
class _Condition:
    id: str
    kind: str
    """`when` or `unless`."""
    body: dict[str, Any]


@dataclass(frozen=True)
class _Permit:
    policy: str
    scope: str
    """The id of the probe that asks whether the permit is about the request at all."""
    conditions: tuple[_Condition, ...]


class Probes:
    """The small policies, and what their answers mean."""

    def __init__(self, policies: Iterable[Policy]) -> None:
        self.forms: dict[str, dict[str, Any]] = {}
        """Each small policy by its id, in Cedar's JSON form."""
        self._permits: list[_Permit] = []
        for number, policy in enumerate(policies):
            if policy.effect == "permit" and _kind(policy.form["principal"]) not in _NOT_THE_AUTOPILOT:
                self._add(number, policy)

    def _add(self, number: int, policy: Policy) -> None:
        scope = {part: policy.form[part] for part in ("effect", "principal", "action", "resource")}
        parts = [part for clause in policy.form["conditions"] for part in _parts(clause["kind"], clause["body"])]
        conditions = tuple(_Condition(f"{number}.{place}", *part) for place, part in enumerate(parts))
        permit = _Permit(policy.id, f"{number}.scope", conditions)
        self._permits.append(permit)
        self.forms[permit.scope] = {**scope, "conditions": []}
        for one in conditions:
            self.forms[one.id] = {**scope, "conditions": [{"kind": one.kind, "body": one.body}]}

    def words(
        self, held: Collection[str], errors: Sequence[str], request: Request, besides: Collection[str]
    ) -> list[str]:
        """What is lacking, by the ids of the probes that held and Cedar's errors on the others.

        Conditions on the attributes `besides` are left out: they were told of already.
        """
        lacking: list[tuple[str, list[_Condition]]] = []
        for permit in self._permits:
            if permit.scope in held:
                false = [one for one in permit.conditions if one.id not in held]
                # `context has x && context.x < 1`: of an absent x only the first is told.
                answered = [one for one in false if not any(f"`{one.id}`" in error for error in errors)]
                lacking.append((permit.policy, answered or false))
        if not lacking:
            return [f"a policy that lets Suture do {request.action} on {request.target}; there is none"]
        nearest = sorted(lacking, key=lambda entry: len(entry[1]))[:_MOST_POLICIES]
        return [
            told(one.kind, one.body, policy, request)
            for policy, false in nearest
            for one in false
            if about(one.body, request) not in besides
        ]


def _kind(scope: dict[str, Any]) -> str | None:
    """The type of the one principal that a scope names; None where it may be any."""
    kind: str | None = scope.get("entity", {}).get("type") or scope.get("entity_type")
    return kind


def _parts(kind: str, body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Conditions that must all hold: `when {a && b}` is a and b, `unless {a || b}` is neither a nor b."""
    joint = "&&" if kind == "when" else "||"
    if body.keys() == {joint}:
        yield from _parts(kind, body[joint]["left"])
        yield from _parts(kind, body[joint]["right"])
    else:
        yield kind, body
