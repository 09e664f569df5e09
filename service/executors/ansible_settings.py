"""The settings section `executors.ansible`: which playbooks may run, on which hosts, with which variables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from models.domain.base import Frozen
from service.executors.typed_values import TypedValue, VariableName

PlaybookName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}$")]
"""A host or group of the inventory by its name: no pattern (`*`, `!`, `&`, `:`, `,`, `[`), no file (`@`), no option."""
EnvironmentName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class Playbook(Frozen):
    """One allowed playbook. `file` and `observe` are files of the project.

    `hosts`: where it may run, and where it runs when a call names no host. `variables` are its extra variables;
    `secrets` are extra variables too, with secret references. `observe`: a second playbook that changes nothing and
    fails where the act did not happen. `check_observes`: check mode that would change nothing says that it happened.
    `idempotent`: running it twice is the same as once.
    """

    file: Path
    hosts: tuple[Host, ...] = Field(min_length=1)
    variables: dict[VariableName, TypedValue] = Field(default_factory=dict)
    secrets: dict[VariableName, str] = Field(default_factory=dict)
    observe: Path | None = None
    check_observes: bool = False
    idempotent: bool = False

    @field_validator("file", "observe")
    @classmethod
    def _inside(cls, path: Path | None) -> Path | None:
        if path is not None and (path.is_absolute() or ".." in path.parts):
            raise ValueError("must be a path within the project, without ..")
        return path

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.observe is not None and self.check_observes:
            raise ValueError("observe and check_observes exclude each other")
        if both := sorted(self.variables.keys() & self.secrets.keys()):
            raise ValueError(f"{both[0]} is a variable and a secret")
        return self


class AnsibleConfig(Frozen):
    """Settings section `executors.ansible`.

    `project`: the folder of playbooks and roles, and of an `ansible.cfg`. `env` names the variables that a run gets
    from the service's environment; all others are left out. `artifact_limit`: bytes that one run may write down.
    """

    project: Path
    inventory: Path
    playbooks: dict[PlaybookName, Playbook] = Field(min_length=1)
    env: tuple[EnvironmentName, ...] = ()
    artifact_limit: int = Field(default=67_108_864, ge=65_536)

    @field_validator("project", "inventory")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        if not path.is_absolute() or ".." in path.parts:
            raise ValueError("must be an absolute path without ..")
        if not path.exists():
            raise ValueError(f"{path} does not exist")
        return path

    @model_validator(mode="after")
    def _files(self) -> Self:
        for name, playbook in self.playbooks.items():
            for path in filter(None, (playbook.file, playbook.observe)):
                if problem := self.problem(path):
                    raise ValueError(f"playbooks.{name}: {problem}")
        return self

    def problem(self, path: Path) -> str | None:
        """Why a playbook's file cannot be used; None where it can. Asked anew for each run."""
        real = (self.project / path).resolve()
        if not real.is_file():
            return f"{real} is not a file"
        if not real.is_relative_to(self.project.resolve()):
            return f"{path} is a link that leads out of the project, to {real}"
        return f"{real} can be written by everybody; chmod o-w" if real.stat().st_mode & 0o002 else None
