"""Acts on services under systemd by its command line, systemctl.

Untried on a real systemd: written from systemctl(1), org.freedesktop.systemd1(5) and the exit codes in systemd's
source, and tested with a stand-in program that keeps the same states and writes the same words.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.executors.arguments import refused
from service.executors.bounded import Finished, NotStarted, run_bounded
from service.executors.process_inputs import ProcessOutputs
from service.ports import Effect, ExecutorError

_LOOK_SECONDS = 10.0
"""Longest wait for `systemctl show`, which answers at once, or hangs."""
_OUTPUT = 16_384
"""Bytes kept of each stream: the properties asked for take less than one thousand."""
_LAST_WORDS = 500
_POLL = 0.5
"""Seconds between two looks at a unit that is on its way."""

_UNIT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,200}\.service")
_PROPERTIES = ("Id", "LoadState", "ActiveState", "SubState", "MainPID", "InvocationID", "Result")
_STOPPED = frozenset({"inactive", "failed"})
_RUNS = frozenset({"active", "reloading", "refreshing"})

# What systemctl ends with where the manager took no job: insufficient privilege, no such unit, masked, not applicable
# (systemctl(1), exit status; `translate_bus_error_to_exit_status` in its source).
_NOTHING_BEGAN = frozenset({2, 3, 4, 5, 6})

_ENVIRONMENT = ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")
"""How a user's own manager is found."""


@dataclass(frozen=True)
class UnitState:
    """A unit as systemd shows it. `run`: the id of its last start (`InvocationID`), empty before the first."""

    active: str
    sub: str
    pid: int
    run: str
    result: str

    @property
    def settled(self) -> bool:
        """Whether it is not on its way: activating, deactivating."""
        return self.active in _RUNS | _STOPPED

    def __str__(self) -> str:
        return f"{self.active}, {self.sub}" + (f", pid {self.pid}" if self.pid else "")


class SystemdManager:
    """The systemd of this machine as the `process` executor uses it. It keeps nothing, so threads may share it."""

    def __init__(self, command: Path, *, user: bool, environment: Mapping[str, str]) -> None:
        """`user`: the manager of this user. `environment` tells where that one is."""
        self._argv = (str(command), "--user" if user else "--system", "--no-pager", "--no-ask-password")
        told = {name: environment[name] for name in _ENVIRONMENT if name in environment} if user else {}
        self._environment = {**told, "LC_ALL": "C", "SYSTEMD_COLORS": "0"}

    def unit(self, name: str) -> str:
        """The unit's whole name, `.service` and all: one unit has one spelling."""
        if not _UNIT.fullmatch(name):
            raise refused(f"{name} is not the whole name of a service; write for example shop.service")
        return name

    def describe(self, name: str, seconds: float) -> str:
        """The state in words."""
        return str(self._state(name, seconds))

    def snapshot(self, name: str, seconds: float) -> dict[str, Any]:
        """`pid` (0: none), `state` and `run`, the id of the last start."""
        now = self._state(name, seconds)
        return {"pid": now.pid, "state": now.active, "run": now.run}

    def act(
        self, verb: str, name: str, seconds: float, before: Mapping[str, Any], signal: str | None = None
    ) -> ProcessOutputs:
        """Restart, start or stop, and wait for systemd to say that it is done. Raises ExecutorError.

        A job that outlives `seconds` is not taken back: systemd goes on with it, and the effect is UNKNOWN.
        """
        if signal is not None:
            raise refused(f"signals are for processes under supervisor; {name} is a unit of systemd")
        deadline = time.monotonic() + seconds
        old = self._state(name, seconds)
        finished = self._run((verb, "--", name), deadline - time.monotonic(), Effect.UNKNOWN)
        if finished.exit_code != 0:
            effect = Effect.ABSENT if finished.exit_code in _NOTHING_BEGAN else Effect.UNKNOWN
            raise ExecutorError(f"systemctl {verb} {name} ended with {_ending(finished)}", effect=effect)
        try:
            now = self._state(name, deadline - time.monotonic())
        except ExecutorError as error:
            raise ExecutorError(str(error), effect=Effect.HAPPENED) from error  # systemctl said that it was done
        # The job is over: what is still (or again) on its way died and is being started anew.
        if verb != "stop" and now.active not in _RUNS | {"inactive"}:
            words = f"{name} did not stay up: {now}, result {now.result}"
            raise ExecutorError(words, effect=Effect.HAPPENED, final=now.active == "failed")
        pid_before = int(before.get("pid") or old.pid)
        return ProcessOutputs(name=name, pid=now.pid or None, state=now.active, before_pid=pid_before or None)

    def observe(self, verb: str, name: str, seconds: float, before: Mapping[str, Any]) -> Effect:
        """By the unit's state, and for a restart by the id of its last start. Raises ExecutorError.

        A unit that is on its way is UNKNOWN; that of a restart, with whose job systemd goes on, is waited for first. A
        restart that left the unit stopped is REPEATABLE: it has changed something, and another only starts the unit.
        """
        deadline = time.monotonic() + seconds
        now = self._state(name, seconds)
        while verb == "restart" and not now.settled and time.monotonic() + _POLL < deadline:
            time.sleep(_POLL)
            now = self._state(name, deadline - time.monotonic())
        if not now.settled:
            return Effect.UNKNOWN
        if verb == "start":
            return Effect.HAPPENED if now.active in _RUNS else Effect.ABSENT
        if verb == "stop":
            return Effect.HAPPENED if now.active in _STOPPED else Effect.ABSENT
        if "run" not in before:
            return Effect.UNKNOWN
        if now.run and now.run != before["run"]:
            return Effect.HAPPENED
        return Effect.ABSENT if now.active in _RUNS or before.get("state") in _STOPPED else Effect.REPEATABLE

    def _state(self, name: str, seconds: float) -> UnitState:
        show = ("show", f"--property={','.join(_PROPERTIES)}", "--", name)
        finished = self._run(show, min(seconds, _LOOK_SECONDS), Effect.ABSENT)
        if finished.exit_code != 0:
            raise refused(f"systemctl show {name} ended with {_ending(finished)}")
        return read_state(name, finished.stdout.text)

    def _run(self, arguments: tuple[str, ...], seconds: float, lost: Effect) -> Finished:
        """`lost`: what is known of the effect where systemctl does not end in time."""
        if seconds <= 0:
            raise ExecutorError(f"no time left for systemctl {arguments[0]}", effect=Effect.ABSENT)
        argv = (*self._argv, *arguments)
        try:
            finished = run_bounded(
                argv, environment=self._environment, folder=Path("/"), timeout=seconds, output_limit=_OUTPUT
            )
        except NotStarted as error:
            raise refused(f"{argv[0]} cannot be started: {error.strerror}") from error
        if finished.timed_out:
            words = f"systemctl {arguments[0]} {arguments[-1]} did not end in time"
            raise ExecutorError(words, retriable=lost is Effect.ABSENT, effect=lost)
        return finished


def read_state(name: str, text: str) -> UnitState:
    """What `systemctl show` said of the unit `name`: a line `KEY=VALUE` for each property.

    Raises ExecutorError where the unit is not loaded, has another name in truth, or the text is something else.
    """
    shown = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    if missing := [key for key in _PROPERTIES if key not in shown]:
        raise refused(f"systemctl does not show {', '.join(missing)} of {name}")
    if shown["LoadState"] != "loaded":
        raise refused(f"{name} cannot be used: {shown['LoadState']}")
    if shown["Id"] != name:
        raise refused(f"{name} is another name of {shown['Id']}; use that")
    if not shown["MainPID"].isdecimal():
        raise refused(f"systemctl does not show the pid of {name}")
    return UnitState(
        shown["ActiveState"], shown["SubState"], int(shown["MainPID"]), shown["InvocationID"], shown["Result"]
    )


def _ending(finished: Finished) -> str:
    words = finished.stderr.text.strip()[-_LAST_WORDS:]
    return f"{finished.exit_code}: {words}" if words else str(finished.exit_code)
