"""What a plan would change, and whether that is within a module's limits.

Reads Terraform's documented JSON of a plan, `format_version` 1, which OpenTofu writes too:
developer.hashicorp.com/terraform/internals/json-format.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.domain.base import Frozen
from service.executors.arguments import refused
from service.executors.terraform_settings import Module

_NOTHING = frozenset({"no-op", "read"})
_REMOVES = frozenset({"delete", "forget"})
_KNOWN = _NOTHING | _REMOVES | {"create", "update"}


class ResourceChange(Frozen):
    """One resource and what would be done to it: `create`, `update`, `delete`, both for a replacement, `forget`."""

    address: str
    actions: tuple[str, ...]


class _Change(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")  # values before and after, for comparison alone

    actions: tuple[str, ...]


class _Resource(BaseModel):
    model_config = ConfigDict(frozen=True)

    address: str
    mode: str
    change: _Change


class PlanDocument(BaseModel):
    """`terraform show -json` of a saved plan, as far as it is of use here. It holds values: never shown, never kept."""

    model_config = ConfigDict(frozen=True)

    format_version: str = Field(pattern=r"^1\.[0-9]+$")
    resource_changes: tuple[_Resource, ...] = ()
    action_invocations: tuple[Any, ...] = ()
    errored: bool = False

    @property
    def changes(self) -> tuple[ResourceChange, ...]:
        """The resources that would not stay as they are, without any value of theirs."""
        return tuple(ResourceChange(address=each.address, actions=each.change.actions) for each in self._altered())

    def same_as(self, other: PlanDocument) -> bool:
        """Whether both would do the same, down to the values."""
        return tuple(self._altered()) == tuple(other._altered())

    def _altered(self) -> Iterator[_Resource]:
        return (each for each in self.resource_changes if not _NOTHING.issuperset(each.change.actions))


def read_plan(text: str) -> PlanDocument:
    """The document. Raises ExecutorError where it is not one of a format that is understood."""
    try:
        return PlanDocument.model_validate_json(text)
    except ValidationError as error:
        keys = ", ".join(".".join(map(str, item["loc"])) for item in error.errors(include_input=False)) or "all"
        raise refused(f"the plan's JSON is not of a format that is understood here: {keys}") from error


def problems(plan: PlanDocument, module: Module) -> tuple[str, ...]:
    """Each way in which the plan goes beyond the module's limits, in words; none where it may be applied."""
    return tuple(_problems(plan, module))


def _problems(plan: PlanDocument, module: Module) -> Iterator[str]:
    if plan.errored:
        yield "the plan was not completed"
    if plan.action_invocations:
        yield f"it invokes {len(plan.action_invocations)} provider actions, which no limit covers"
    changes = plan.changes
    if len(changes) > module.max_changes:
        yield f"it changes {len(changes)} resources; max_changes is {module.max_changes}"
    for change in changes:
        if not any(_matches(glob, change.address) for glob in module.allow):
            yield f"{change.address} is not in allow"
        if unknown := sorted(set(change.actions) - _KNOWN):
            yield f"{change.address}: {', '.join(unknown)} is not an action that is understood here"
        if not module.allow_deletes and _REMOVES.intersection(change.actions):
            yield f"{change.address} would be {_removal(change.actions)}; allow_deletes is off"


def _removal(actions: tuple[str, ...]) -> str:
    if "forget" in actions:
        return "forgotten"
    return "replaced" if "create" in actions else "deleted"


def _matches(glob: str, address: str) -> bool:
    # Not fnmatch: an address has brackets, `aws_instance.web[0]`.
    return re.fullmatch(".*".join(map(re.escape, glob.split("*"))), address, re.DOTALL) is not None
