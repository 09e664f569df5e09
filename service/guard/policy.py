"""Cedar policies: read from a folder, checked against Suture's schema, and asked about one request.

Language and semantics: https://docs.cedarpolicy.com/. A policy whose condition cannot be evaluated is an error here,
not a policy that does not apply: a `forbid` that silently stopped working would be worse than a refusal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cedarpy

from models.domain.errors import BadInput

DEFAULT_POLICIES = Path(__file__).parent / "policies"

_SCHEMA = """
entity Autopilot;
entity Role in [Role];
entity Target { service: String, environment: String };
type Request = {
    mode: String, probability: decimal, risk: String, reversible: Bool, approval: String, runbook: String,
    action: String, environment: String, verified_success: decimal, outcomes: Long
};
"""
_ACTION = "action {names} appliesTo {{ principal: [Autopilot, Role], resource: [Target], context: Request }};\n"

# Who may do what the other may: an admin is an approver too.
_ROLES: list[dict[str, Any]] = [
    {"uid": {"type": "Role", "id": "admin"}, "attrs": {}, "parents": [{"type": "Role", "id": "approver"}]},
    {"uid": {"type": "Role", "id": "approver"}, "attrs": {}, "parents": []},
    {"uid": {"type": "Autopilot", "id": "suture"}, "attrs": {}, "parents": []},
]

AUTOPILOT = 'Autopilot::"suture"'
_STATEMENT = re.compile(r'(?:"(?:\\.|[^"\\])*"|//[^\n]*|[^;"/]|/)+;?')
_BARE_DECIMAL = re.compile(r"[<>=]\s*\d+\.\d")
_DECIMALS = 'compare decimals with .greaterThan(decimal("0.9")) and its like'
_IDENTITY = re.compile(r'@id\("((?:\\.|[^"\\])*)"\)')


@dataclass(frozen=True)
class Answer:
    """What the policies say of one principal: allowed or not, by which policies, and the errors met."""

    allowed: bool
    policies: tuple[str, ...]
    errors: tuple[str, ...]


class Policies:
    """A checked set of policies, each with the name that its `@id` gives."""

    def __init__(self, text: str, names: tuple[str, ...]) -> None:
        self._text = text
        self._names = names

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all policies, in the order of the files."""
        return self._names

    def ask(
        self, principal: str, action: str, target: str, attributes: Mapping[str, str], context: Mapping[str, Any]
    ) -> Answer:
        """Whether `principal` may do `action` (`executor/verb`) to `target`. Numbers in `context` are decimals."""
        resource = {"uid": {"type": "Target", "id": target}, "attrs": dict(attributes), "parents": []}
        result = cedarpy.is_authorized(
            {
                "principal": principal,
                "action": f'Action::"{action}"',
                "resource": f'Target::"{_escape(target)}"',
                "context": {name: _decimal(value) for name, value in context.items()},
            },
            self._text,
            [*_ROLES, resource],
        )
        return Answer(
            allowed=result.allowed,
            policies=tuple(self._name(reason) for reason in result.diagnostics.reasons),
            errors=tuple(result.diagnostics.errors),
        )

    def _name(self, reason: str) -> str:
        # Cedar numbers policies by their place in the text: policy0, policy1, …
        return self._names[int(reason.removeprefix("policy"))]


def load_policies(folder: Path | None, actions: Iterable[str]) -> Policies:
    """All `*.cedar` files of a folder (the default set where None), checked against the schema for these actions.

    Raises BadInput with file and line.
    """
    folder = folder or DEFAULT_POLICIES
    if not folder.is_dir():
        raise BadInput(f"there is no policy folder {folder}")
    files = sorted(folder.glob("*.cedar"))
    if not files:
        raise BadInput(f"the policy folder {folder} holds no .cedar file")
    texts, names = [], []
    schema = _SCHEMA + _ACTION.format(names=", ".join(f'"{name}"' for name in sorted(actions)))
    for file in files:
        for line, statement in _statements(_read(file)):
            names.append(_check(statement, f"{file}:{line}", schema))
            texts.append(statement)
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise BadInput(f"two policies have the same @id: {', '.join(sorted(repeated))}", where=str(folder))
    return Policies("\n".join(texts), tuple(names))


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where=str(file)) from error
    except UnicodeDecodeError as error:
        raise BadInput(f"is not UTF-8 text: byte {error.start}", where=str(file)) from error


def _statements(text: str) -> Iterable[tuple[int, str]]:
    """Each policy with the line that it begins on; comments between policies are left out."""
    for match in _STATEMENT.finditer(text):
        lead = re.match(r"(?:\s|//[^\n]*(?:\n|$))*", match.group())
        statement = match.group()[lead.end() if lead else 0 :]
        if statement.strip():
            yield text.count("\n", 0, match.start() + (lead.end() if lead else 0)) + 1, statement


def _check(statement: str, where: str, schema: str) -> str:
    try:
        cedarpy.policies_to_json_str(statement)
    except ValueError as error:
        mend = f"; {_DECIMALS}" if _BARE_DECIMAL.search(statement) else ""
        raise BadInput(f"not a Cedar policy: {_one_line(str(error))}{mend}", where=where) from error
    result = cedarpy.validate_policies(statement, schema)
    if not result.validation_passed:
        # The first: a wrong word is reported once for every action that the policy could be about.
        problem = _one_line(str(result.errors[0].error)).replace("for policy `policy0`, ", "")
        raise BadInput(f"the policy does not fit Suture's schema: {problem}", where=where)
    name = _IDENTITY.search(statement)
    if name is None:
        raise BadInput('the policy has no @id("…"); decisions name the policies that made them', where=where)
    return name.group(1)


def _decimal(value: Any) -> Any:
    return {"__extn": {"fn": "decimal", "arg": f"{value:.4f}"}} if isinstance(value, float) else value


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _one_line(text: str) -> str:
    return " ".join(text.split())
