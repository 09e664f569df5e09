"""What the settings allow with Terraform: which modules, which values for their variables, which changes."""

from __future__ import annotations

import math
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr, field_validator, model_validator

from models.domain.base import Duration, Frozen

_OURS = re.compile(r"TF_CLI_ARGS.*|TF_WORKSPACE|TF_IN_AUTOMATION|TF_INPUT|CHECKPOINT_DISABLE")
"""Variables that this executor sets itself, or that would add options behind its back."""

ModuleName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Workspace = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,89}$")]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,126}$")]
EnvironmentName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")]
Address = Annotated[str, Field(pattern=r"^[^\s]+$", max_length=512)]
Value = StrictBool | StrictInt | StrictFloat | StrictStr


class Variable(Frozen):
    """One variable that a call may set. `pattern` must match a string as a whole; the limits are of a number."""

    type: Literal["string", "number", "bool"]
    pattern: str = r"[A-Za-z0-9_.,:=@%+/-]{1,256}"
    minimum: float | None = None
    maximum: float | None = None

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error}") from error
        return pattern

    def problem(self, value: Value) -> str | None:
        """What is wrong with the value, in words that follow the variable's name; None where nothing is."""
        if self.type == "string":
            return self._problem_of_text(value)
        if self.type == "bool":
            return None if isinstance(value, bool) else "must be true or false"
        if isinstance(value, bool | str) or not math.isfinite(value):
            return "must be a number"
        if self.minimum is not None and value < self.minimum:
            return f"must be {self.minimum:g} or more"
        if self.maximum is not None and value > self.maximum:
            return f"must be {self.maximum:g} or less"
        return None

    def _problem_of_text(self, value: Value) -> str | None:
        if not isinstance(value, str):
            return "must be a string"
        return None if re.fullmatch(self.pattern, value) else "does not match its pattern"


class Module(Frozen):
    """One folder of configuration, and how far a saved plan of it may go.

    `env`: variables that Terraform gets from the service's environment. `secrets`: variables whose values are secret
    references, resolved for each run. `allow`: resource addresses, in which `*` stands for anything. `allow_deletes`:
    a plan may also delete, replace or forget resources. `max_changes`: more resources than this are refused.
    """

    path: Path
    workspaces: tuple[Workspace, ...] = Field(default=("default",), min_length=1)
    variables: dict[VariableName, Variable] = Field(default_factory=dict)
    env: tuple[EnvironmentName, ...] = ()
    secrets: dict[EnvironmentName, str] = Field(default_factory=dict)
    allow: tuple[Address, ...] = Field(min_length=1)
    allow_deletes: bool = False
    max_changes: int = Field(default=5, ge=1)

    @field_validator("path")
    @classmethod
    def _folder(cls, path: Path) -> Path:
        if not path.is_absolute() or not path.is_dir():
            raise ValueError("must be the absolute path of a folder that is there")
        return path

    @model_validator(mode="after")
    def _environment(self) -> Self:
        for name in (*self.env, *self.secrets):
            if _OURS.fullmatch(name):
                raise ValueError(f"{name} is not for the settings")
        return self


class TerraformConfig(Frozen):
    """Settings section `executors.terraform`.

    `binary`: Terraform or OpenTofu. `folder`: where saved plans are kept, for the service's user alone, since a plan
    holds values in the clear. `plan_lifetime`: an older plan is refused. `output_limit`: bytes of a plan as JSON, or
    of a state; one that is longer is refused.
    """

    binary: Path
    folder: Path
    modules: dict[ModuleName, Module] = Field(min_length=1)
    lock_timeout: Duration = Field(default=timedelta(seconds=10), ge=timedelta(0))
    plan_lifetime: Duration = Field(default=timedelta(hours=24), gt=timedelta(0))
    output_limit: int = Field(default=33_554_432, ge=65_536)

    @field_validator("binary")
    @classmethod
    def _program(cls, path: Path) -> Path:
        if not path.is_absolute() or not path.is_file() or not os.access(path, os.X_OK):
            raise ValueError("must be the absolute path of a program that can be run")
        return path

    @field_validator("folder")
    @classmethod
    def _private(cls, path: Path) -> Path:
        if not path.is_absolute():
            raise ValueError("must be an absolute path")
        if path.exists() and (not path.is_dir() or path.stat().st_mode & 0o077):
            raise ValueError("must be a folder that only its owner may read: chmod 700")
        return path
