"""Reading Cedar policies from files: each checked by itself, so that what is wrong is told with file and line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cedarpy

from models.domain.errors import BadInput
from service.guard.names import person
from service.guard.policy_schema import APPROVING_ROLES, AUTOPILOT

DEFAULT_POLICIES = Path(__file__).parent / "policies"
ALWAYS = DEFAULT_POLICIES / "always"
"""Policies that hold beside every set."""

_STATEMENT = re.compile(r'(?:"(?:\\.|[^"\\])*"|//[^\n]*|[^;"/]|/)+;?')
_BARE_DECIMAL = re.compile(r"[<>=]\s*\d+\.\d")
_DECIMALS = 'compare decimals with .greaterThan(decimal("0.9")) and its like'
_MOST_APPROVALS = 9


@dataclass(frozen=True)
class Policy:
    """One checked policy."""

    id: str
    effect: str
    """`permit` or `forbid`."""
    approvals: int
    """The people that its `@approvals` asks for; 0 without one."""
    where: str
    """`file:line`."""
    text: str
    form: dict[str, Any]
    """Cedar's JSON form of it."""
    always: bool = False
    """It holds beside every set."""


def read_policies(folder: Path, schema: cedarpy.Schema, *, always: bool = False) -> list[Policy]:
    """All policies of the `*.cedar` files of a folder. Raises BadInput with file and line."""
    if not folder.is_dir():
        raise BadInput(f"there is no policy folder {folder}")
    files = sorted(folder.glob("*.cedar"))
    if not files:
        raise BadInput(f"the policy folder {folder} holds no .cedar file")
    found = [
        _policy(statement, f"{file}:{line}", schema, always)
        for file in files
        for line, statement in _statements(_read(file))
    ]
    if not found:
        raise BadInput(f"the files of the policy folder {folder} hold no policy; everything would be forbidden")
    return found


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


def _policy(statement: str, where: str, schema: cedarpy.Schema, always: bool) -> Policy:
    try:
        parsed = json.loads(cedarpy.policies_to_json_str(statement))
    except ValueError as error:
        mend = f"; {_DECIMALS}" if _BARE_DECIMAL.search(statement) else ""
        raise BadInput(f"not a Cedar policy: {_one_line(str(error))}{mend}", where=where) from error
    if parsed["templates"] or len(parsed["staticPolicies"]) != 1:
        raise BadInput("not one whole policy; templates (`?principal`, `?resource`) are not used here", where=where)
    result = cedarpy.validate_policies(statement, schema)
    if not result.validation_passed:
        # The first: a wrong word is reported once for every action that the policy could be about.
        problem = _one_line(str(result.errors[0].error)).replace("for policy `policy0`, ", "")
        raise BadInput(f"the policy does not fit Suture's schema: {problem}", where=where)
    form: dict[str, Any] = next(iter(parsed["staticPolicies"].values()))
    for kind, name in _entities(form):
        _check_entity(kind, name, where)
    named = form.get("annotations", {}).get("id")
    if not named:
        raise BadInput('the policy has no @id("…"); decisions name the policies that made them', where=where)
    return Policy(named, form["effect"], _approvals(form, where), where, statement.strip(), form, always)


def _approvals(form: dict[str, Any], where: str) -> int:
    text = form.get("annotations", {}).get("approvals", None)
    if "approvals" not in form.get("annotations", {}):
        return 0
    if text is None or not (text.isascii() and text.isdecimal() and 1 <= int(text) <= _MOST_APPROVALS):
        raise BadInput(f'@approvals is how many people must say yes, "1" to "{_MOST_APPROVALS}"', where=where)
    if form["effect"] != "permit":
        raise BadInput("@approvals belongs on a permit; a forbid holds whatever people say", where=where)
    if form["principal"].get("entity", {}).get("type") == AUTOPILOT.type:
        raise BadInput("@approvals belongs on a permit for people, not on one for the autopilot", where=where)
    return int(text)


def _check_entity(kind: str, name: str, where: str) -> None:
    """Names that would never match anything, and so would silently do nothing, are refused."""
    roles = [str(role) for role in APPROVING_ROLES]
    if kind == "Role" and name not in roles:
        raise BadInput(f'Role::"{name}" decides nothing; the roles are {" and ".join(roles)}', where=where)
    if kind == AUTOPILOT.type and name != AUTOPILOT.id:
        raise BadInput(f'the autopilot is {AUTOPILOT.type}::"{AUTOPILOT.id}"', where=where)
    if kind == "Person" and name != person(name):
        raise BadInput(f'write Person::"{person(name)}": that is how spellings of one name are compared', where=where)


def _entities(form: Any) -> Iterator[tuple[str, str]]:
    """Every entity that a policy names."""
    if isinstance(form, dict):
        if form.keys() == {"type", "id"}:
            yield form["type"], form["id"]
        for value in form.values():
            yield from _entities(value)
    elif isinstance(form, list):
        for value in form:
            yield from _entities(value)


def _one_line(text: str) -> str:
    return " ".join(text.split())
