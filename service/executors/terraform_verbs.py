"""What can be done with Terraform: inputs and outputs."""

from __future__ import annotations

from pydantic import Field

from models.domain.base import Frozen
from service.executors.terraform_changes import ResourceChange
from service.executors.terraform_settings import ModuleName, Value, VariableName, Workspace
from service.ports import Verb


class ModuleInputs(Frozen):
    """A module by the name that the settings give it, in one workspace."""

    module: ModuleName
    workspace: Workspace = "default"


class PlanInputs(ModuleInputs):
    """The same, and values for some of the variables that the settings list."""

    variables: dict[VariableName, Value] = Field(default_factory=dict, max_length=50)


class PlanOutputs(Frozen):
    """The saved plan's SHA-256, and what it would change.

    `changes` holds the first 100 resources, without values; `changed` counts all of them. `problems`: each way in which
    the plan goes beyond the module's limits; while there is one, it will not be applied.
    """

    plan: str
    changed: int
    changes: tuple[ResourceChange, ...]
    problems: tuple[str, ...]


class ApplyInputs(ModuleInputs):
    """The same, and the SHA-256 of the saved plan."""

    plan: str = Field(pattern=r"^[0-9a-f]{64}$")


class ApplyOutputs(Frozen):
    """The plan that was applied; `changed` counts its resources. `serial`: the state's, after it."""

    plan: str
    changed: int
    serial: int


VERBS = {
    verb.name: verb
    for verb in (
        Verb("plan", "Make and save a plan", PlanInputs, PlanOutputs, idempotent=True, observable=False),
        Verb("apply", "Apply a saved plan", ApplyInputs, ApplyOutputs, False, observable=True, lingers=False),
    )
}
