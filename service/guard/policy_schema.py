"""What policies can speak of: principals, actions, resources and the context, and how their values reach Cedar."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import cached_property
from typing import Any

from service.security.roles import Role

CONTEXT: dict[str, str | dict[str, str]] = {
    "mode": "String",
    "level": "String",
    "probability": "decimal",
    "risk": "String",
    "reversible": "Bool",
    "approval": "String",
    "runbook": "String",
    "action": "String",
    "environment": "String",
    "severity": "String",
    "requested": "Bool",
    "approvals": "Long",
    "verified_success": "decimal",
    "outcomes": "Long",
    "blast_radius": {"targets": "Long", "share?": "decimal"},
    "time": "datetime",
    "hour": "Long",
    "weekday": "String",
    "error_budget?": "decimal",
}
"""The context's attributes with their Cedar types; `?`: absent where it is not known. docs/policy.md explains each."""

MESSAGES = ("ticket-open", "ticket-comment", "ticket-close")
"""What Suture says to the outside; each is `message/<name>` to policies."""

ACTS_GROUP, MESSAGES_GROUP = "act", "message"
APPROVING_ROLES = (Role.APPROVER, Role.ADMIN)
"""In this order: the least powerful role that may approve is asked."""

# A share is better the smaller it is: rounded so that no rounding lets anything pass.
_ROUNDED_UP = {"share"}
_PLACES = Decimal("0.0001")


@dataclass(frozen=True)
class Principal:
    """Who would act: the autopilot, a role, or a person in a role."""

    type: str
    id: str
    roles: tuple[str, ...] = ()
    """Roles that a person is in."""

    @property
    def uid(self) -> dict[str, str]:
        """As Cedar names it. Never a text: no character of an id can be read as syntax."""
        return {"type": self.type, "id": self.id}


AUTOPILOT = Principal("Autopilot", "suture")


def role_principal(role: Role) -> Principal:
    """Anybody who has the role."""
    return Principal("Role", str(role))


def person_principal(name: str, role: Role) -> Principal:
    """The person of that (canonical) name, who has the role."""
    return Principal("Person", name, tuple(str(each) for each in APPROVING_ROLES if role.covers(each))[-1:])


@dataclass(frozen=True)
class Request:
    """What the policies are asked about: one act or message, without who would do it."""

    action: str
    """`executor/verb` or `message/…`."""
    target: str
    service: str
    environment: str
    context: Mapping[str, Any] = field(default_factory=dict)
    """JSON values by the names of CONTEXT; `time` as `context.at` writes it. Other names are left out."""

    @cached_property
    def cedar_context(self) -> dict[str, Any]:
        """The context as Cedar reads it."""
        return cedar_context(self.context)


def schema_text(actions: Iterable[str]) -> str:
    """The Cedar schema for these acts, and all messages."""
    groups = {ACTS_GROUP: sorted(actions), MESSAGES_GROUP: [f"message/{name}" for name in MESSAGES]}
    attributes = ", ".join(f"{name}: {_type(kind)}" for name, kind in CONTEXT.items())
    lines = [
        "entity Autopilot; entity Role in [Role]; entity Person in [Role];",
        "entity Target { service: String, environment: String };",
        f"type Request = {{ {attributes} }};",
    ]
    for group, names in groups.items():
        lines.append(f"action {json.dumps(group)};")
        if names:
            quoted = ", ".join(json.dumps(name, ensure_ascii=False) for name in names)
            lines.append(
                f"action {quoted} in [{json.dumps(group)}] appliesTo "
                "{ principal: [Autopilot, Role, Person], resource: [Target], context: Request };"
            )
    return "\n".join(lines)


def standing_entities(actions: Iterable[str]) -> list[dict[str, Any]]:
    """The entities of every request: the roles (an admin is an approver too), the autopilot, the actions' groups."""
    entities = [
        _entity("Role", "approver"),
        _entity("Role", "admin", [("Role", "approver")]),
        _entity(AUTOPILOT.type, AUTOPILOT.id),
    ]
    entities += [_entity("Action", name, [("Action", ACTS_GROUP)]) for name in actions]
    return entities + [_entity("Action", f"message/{name}", [("Action", MESSAGES_GROUP)]) for name in MESSAGES]


def target_entity(target: str, service: str, environment: str) -> dict[str, Any]:
    """What is acted on."""
    return {**_entity("Target", target), "attrs": {"service": service, "environment": environment}}


def person_entity(person: Principal) -> dict[str, Any]:
    """A person, in their roles."""
    return _entity("Person", person.id, [("Role", role) for role in person.roles])


def cedar_context(values: Mapping[str, Any], kinds: Mapping[str, Any] = CONTEXT) -> dict[str, Any]:
    """The context as Cedar reads it; what is not of `kinds` is left out."""
    named = {name.removesuffix("?"): kind for name, kind in kinds.items()}
    return {name: _value(name, kind, values[name]) for name, kind in named.items() if name in values}


def rounded(name: str, value: float) -> Decimal:
    """A number as policies compare it: four places, the rounding never in favour of acting."""
    return Decimal(str(value)).quantize(_PLACES, ROUND_CEILING if name in _ROUNDED_UP else ROUND_FLOOR)


def _value(name: str, kind: str | Mapping[str, str], value: Any) -> Any:
    if isinstance(kind, Mapping):
        return cedar_context(value, kind)
    if kind == "decimal":
        return {"__extn": {"fn": "decimal", "arg": str(rounded(name, value))}}
    return {"__extn": {"fn": "datetime", "arg": value}} if kind == "datetime" else value


def _type(kind: str | Mapping[str, str]) -> str:
    if isinstance(kind, str):
        return kind
    return "{ " + ", ".join(f"{name}: {inner}" for name, inner in kind.items()) + " }"


def _entity(kind: str, identifier: str, parents: Iterable[tuple[str, str]] = ()) -> dict[str, Any]:
    return {
        "uid": {"type": kind, "id": identifier},
        "attrs": {},
        "parents": [{"type": type_, "id": id_} for type_, id_ in parents],
    }
