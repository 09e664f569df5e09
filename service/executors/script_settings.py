"""The settings of the `script` executor: which programs may run, with what, and whether a file is the one meant."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Annotated, Self

from pydantic import ByteSize, Field, field_validator, model_validator

from models.domain.base import Frozen
from service.executors.arguments import refused
from service.executors.bounded import Limits
from service.executors.outlived import KEY_VARIABLE

Argument = Annotated[str, Field(max_length=4096, pattern=r"^[^\x00]*$")]
ProgramName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class Program(Frozen):
    """One allowed program.

    `args_pattern` must match each argument as a whole. `env` names the variables that it gets from the service's
    environment; all others are left out. `secrets`: further variables, each a secret reference that is resolved for one
    run. `working_dir`: by default a new, empty folder. `observe`: arguments, put before those of the call, with which
    the program says by its exit code whether that call happened: 0 yes, 1 no, else unknown.

    `memory_limit` (bytes of address space, or `512MiB`), `cpu_seconds` and `open_files` hold for each process of it.
    """

    path: Path
    args_pattern: str = r"[A-Za-z0-9_.,:=@%+/][A-Za-z0-9_.,:=@%+/-]*"
    """By default no argument may begin with `-`, so that no value turns into an option."""
    env: tuple[VariableName, ...] = ()
    secrets: dict[VariableName, str] = Field(default_factory=dict)
    working_dir: Path | None = None
    idempotent: bool = False
    observe: tuple[Argument, ...] | None = None
    memory_limit: Annotated[ByteSize, Field(ge=1_048_576)] | None = None
    cpu_seconds: int | None = Field(default=None, ge=1)
    open_files: int | None = Field(default=None, ge=8)

    @field_validator("path", "working_dir")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        if path is not None and (not path.is_absolute() or ".." in path.parts):
            raise ValueError("must be an absolute path without ..")
        return path

    @field_validator("args_pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error}") from error
        return pattern

    @model_validator(mode="after")
    def _each_variable_once(self) -> Self:
        if twice := {*self.env, KEY_VARIABLE} & set(self.secrets):
            raise ValueError(f"secrets: {', '.join(sorted(twice))} is given in another way already")
        return self

    @property
    def limits(self) -> Limits:
        """What each of its processes may use."""
        return Limits(memory=self.memory_limit, cpu=self.cpu_seconds, files=self.open_files)


class ScriptConfig(Frozen):
    """Settings section `executors.script`. `output_limit`: bytes that are kept of each stream."""

    programs: dict[ProgramName, Program] = Field(min_length=1)
    output_limit: int = Field(default=65_536, ge=1024, le=16_777_216)


def real_file(path: Path) -> Path:
    """The file that will run, looked up anew each time. Raises ExecutorError where it is not what the settings mean."""
    try:
        real = path.resolve(strict=True)
        folder = path.parent.resolve(strict=True)
        status, around = real.stat(), real.parent.stat()
    except (OSError, RuntimeError) as error:
        raise refused(f"{path} cannot be found: {getattr(error, 'strerror', error)}") from error
    if not real.is_relative_to(folder):
        raise refused(f"{path} is a link that leads out of its folder, to {real}; name that file in the settings")
    if not stat.S_ISREG(status.st_mode) or not os.access(real, os.X_OK):
        raise refused(f"{real} is not a file that can be executed")
    # In a folder with the sticky bit (/tmp) others cannot put a file of theirs in its place.
    if around.st_mode & stat.S_IWOTH and not around.st_mode & stat.S_ISVTX:
        raise refused(f"{real.parent} can be written by everybody; chmod o-w")
    if status.st_mode & stat.S_IWOTH:
        raise refused(f"{real} can be written by everybody; chmod o-w")
    for each, owner in ((real, status.st_uid), (real.parent, around.st_uid)):
        if owner not in (0, os.geteuid()):
            raise refused(f"{each} belongs to user {owner}, who may change it; it must be root's or this service's own")
    return real
