"""What the verbs of the `process` executor take and give."""

from __future__ import annotations

import signal
from typing import Annotated

from pydantic import AfterValidator, Field

from models.domain.base import Frozen


def _plain_signal(name: str) -> str:
    """`HUP` for `SIGHUP`. Raises ValueError where there is no such signal."""
    plain = name.removeprefix("SIG")
    if f"SIG{plain}" not in signal.Signals.__members__:
        raise ValueError(f"there is no signal {name}")
    return plain


ProcessName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.][A-Za-z0-9_.@-]*(:[A-Za-z0-9_.-]+)?$", max_length=128)]
"""`name`, or `group:name`. `group:` alone would mean the whole group to supervisor, and is refused."""
SignalName = Annotated[str, Field(pattern=r"^[A-Z0-9]{2,12}$"), AfterValidator(_plain_signal)]
"""With or without `SIG`; without it is what is kept."""


class ProcessInputs(Frozen):
    """Which process (or systemd unit), on which of the configured servers."""

    name: ProcessName
    server: str = Field(default="default", pattern=r"^[a-z0-9_-]{1,63}$")


class SignalInputs(ProcessInputs):
    """The same, and the signal that it gets."""

    signal: SignalName


class ProcessOutputs(Frozen):
    """The process after the act. `pid` is None where it does not run; `before_pid` likewise, before the act."""

    name: str
    pid: int | None
    state: str
    before_pid: int | None
