"""Runs allow-listed programs with an argument list, never through a shell."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from models.domain.base import Frozen
from service.ports import Verb

Argument = Annotated[str, Field(max_length=4096, pattern=r"^[^\x00]*$")]
ProgramName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]


class ScriptInputs(Frozen):
    """A program by the name that the settings give it, and its arguments, each passed on as it is."""

    program: ProgramName
    args: tuple[Argument, ...] = Field(default=(), max_length=64)


class ScriptOutputs(Frozen):
    """How it ended. The texts are the last part of each stream where it was longer than the cap."""

    exit_code: int
    stdout: str
    stderr: str
    truncated: bool


VERBS = {
    "run": Verb("run", "Run an allow-listed program", ScriptInputs, ScriptOutputs, idempotent=False, observable=True)
}
