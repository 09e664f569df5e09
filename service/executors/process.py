"""Restarts, starts and stops processes under supervisor."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from models.domain.base import Frozen
from service.ports import Verb

ProcessName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)?$", max_length=128)]
"""`name`, or `group:name`. `group:` alone would mean the whole group to supervisor, and is refused."""


class ProcessInputs(Frozen):
    """Which process, on which of the configured supervisors."""

    name: ProcessName
    server: str = Field(default="default", pattern=r"^[a-z0-9_-]{1,63}$")


class ProcessOutputs(Frozen):
    """The process after the act. `pid` is None where it does not run; `before_pid` likewise, before the act."""

    name: str
    pid: int | None
    state: str
    before_pid: int | None


VERBS = {
    verb.name: verb
    for verb in (
        Verb("restart", "Stop the process, then start it", ProcessInputs, ProcessOutputs, False, True),
        Verb("start", "Start the process unless it runs", ProcessInputs, ProcessOutputs, True, True),
        Verb("stop", "Stop the process unless it is stopped", ProcessInputs, ProcessOutputs, True, True),
    )
}
