"""Acts on processes under supervisor, and asks it what happened to them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from service.executors.arguments import refused
from service.executors.process_inputs import ProcessOutputs
from service.executors.supervisor import RUNS, STOPPED, ProcessInfo, Supervisor, SupervisorFault
from service.ports import Effect, ExecutorError

_POLL = 0.1
"""Seconds between two looks at a process that is stopping or starting."""
_CALL_SECONDS = 10.0
"""Longest wait for one answer: supervisor answers at once, or hangs."""
_UP = frozenset({"RUNNING"})
_REMEMBERED = frozenset({"pid", "start"})
"""What a snapshot says by which a start is told from the one before."""


class SupervisorManager:
    """One supervisor as the `process` executor uses it."""

    def __init__(
        self,
        server: Supervisor,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._server = server
        self._monotonic = monotonic
        self._sleep = sleep

    def unit(self, name: str) -> str:
        """`shop` for `shop:shop`, which is the same process: limits a target must not be got around by spelling."""
        if "@" in name:
            raise refused(f"{name} is the name of a systemd unit, and this server is a supervisor")
        return name

    def describe(self, name: str, seconds: float) -> str:
        """The state in words, with the pid where there is one."""
        now = self._attempt(name, seconds).info()
        return f"{now.state}, pid {now.pid}" if now.pid else now.state

    def snapshot(self, name: str, seconds: float) -> dict[str, Any]:
        """`pid` (0: none), `start` (unix seconds) and `state`."""
        now = self._attempt(name, seconds).info()
        return {"pid": now.pid, "start": now.start, "state": now.state}

    def act(
        self, verb: str, name: str, seconds: float, before: Mapping[str, Any], signal: str | None = None
    ) -> ProcessOutputs:
        """Restart, start, stop or signal within `seconds`. Raises ExecutorError.

        A process that was started since `before` is not stopped once more by a restart: an attempt that was thought to
        be cut off may just have come to its end.
        """
        attempt = self._attempt(name, seconds)
        try:
            now = attempt.info()
            # After a crash between stop and start the process has no pid; the snapshot still knows it.
            old = int(before.get("pid") or now.pid)
            if verb == "stop" or (verb == "restart" and not _is_newer(now, before)):
                now = attempt.stop(now)
            if verb in ("restart", "start"):
                now = attempt.start(now)
            if signal is not None:
                now = attempt.signal(signal)
        except ExecutorError as error:
            if attempt.touched and error.effect is Effect.ABSENT:
                raise ExecutorError(str(error), retriable=error.retriable, effect=Effect.UNKNOWN) from error
            raise
        return ProcessOutputs(name=name, pid=now.pid or None, state=now.state, before_pid=old or None)

    def observe(self, verb: str, name: str, seconds: float, before: Mapping[str, Any]) -> Effect:
        """By what supervisor shows now; UNKNOWN while a process is on its way. Raises ExecutorError without an answer.

        A restart that was cut off between stop and start is REPEATABLE: it has changed something, and running it again
        only starts the process. A process that was started by somebody else meanwhile counts as HAPPENED: it is as
        fresh as was asked for.
        """
        now = self._attempt(name, seconds).info()
        if verb == "start":
            return _told(now, happened=_UP, absent=STOPPED)
        if verb == "stop":
            return _told(now, happened=STOPPED, absent=RUNS)
        if not before.keys() >= _REMEMBERED or now.state == "UNKNOWN":
            return Effect.UNKNOWN
        if _is_newer(now, before):
            return Effect.HAPPENED
        return Effect.ABSENT if now.state in RUNS or before.get("state") in STOPPED else Effect.REPEATABLE

    def _attempt(self, name: str, seconds: float) -> _Attempt:
        return _Attempt(self._server, name, self._monotonic() + seconds, self._monotonic, self._sleep)


@dataclass
class _Attempt:
    """One use of one process within one time limit. `touched`: a call that changes something was accepted."""

    server: Supervisor
    name: str
    deadline: float
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    touched: bool = False

    def info(self) -> ProcessInfo:
        return self.server.info(self.name, self._call_time())

    def signal(self, signal: str) -> ProcessInfo:
        """Send it, and say how the process is then."""
        self.server.signal(self.name, signal, self._call_time())
        self.touched = True
        return self.info()

    def stop(self, now: ProcessInfo) -> ProcessInfo:
        """Stop it if it runs, and wait for the end. Supervisor itself turns to SIGKILL after `stopwaitsecs`."""
        if now.state in RUNS:
            self._change(self.server.stop, unless="NOT_RUNNING")
        return self._wait(STOPPED, "stop")

    def start(self, now: ProcessInfo) -> ProcessInfo:
        """Start it unless it runs, and wait for RUNNING: supervisor's word for alive after `startsecs`."""
        if now.state == "STOPPING":  # supervisor would take the call and do nothing
            now = self._wait(STOPPED, "stop")
        if now.state not in RUNS:
            self._change(self.server.start, unless="ALREADY_STARTED")
        after = self._wait(_UP | STOPPED, "start")
        if after.state != "RUNNING":
            # Supervisor has tried as often as it is told to, and leaves it.
            why = after.error or f"exit status {after.exit_status}"
            words = f"{self.name} did not stay up: {after.state}, {why}"
            raise ExecutorError(words, effect=Effect.HAPPENED, final=True)
        return after

    def _change(self, method: Callable[[str, float], None], *, unless: str) -> None:
        try:
            method(self.name, self._call_time())
            self.touched = True
        except SupervisorFault as fault:
            if fault.word != unless:  # else the process got there by itself since it was looked at
                raise

    def _wait(self, states: frozenset[str], what: str) -> ProcessInfo:
        while (now := self.info()).state not in states:
            if now.state == "UNKNOWN":
                raise ExecutorError(f"supervisor does not know the state of {self.name}")
            if self._left() <= _POLL:
                raise ExecutorError(f"{self.name} did not {what} in time; it is {now.state}{_because(now)}")
            self.sleep(_POLL)
        return now

    def _left(self) -> float:
        return self.deadline - self.monotonic()

    def _call_time(self) -> float:
        left = self._left()
        if left <= 0:
            raise ExecutorError(f"no time left for {self.name}", effect=Effect.ABSENT)
        return min(left, _CALL_SECONDS)


def _told(now: ProcessInfo, *, happened: frozenset[str], absent: frozenset[str]) -> Effect:
    if now.state in happened:
        return Effect.HAPPENED
    return Effect.ABSENT if now.state in absent else Effect.UNKNOWN


def _is_newer(now: ProcessInfo, before: Mapping[str, Any]) -> bool:
    if not before.keys() >= _REMEMBERED:
        return False
    # `start` has whole seconds: a restart within the second of the last start shows in the pid alone.
    return now.start > int(before["start"]) or (now.pid != 0 and now.pid != int(before["pid"]))


def _because(now: ProcessInfo) -> str:
    return f", {now.error}" if now.error else ""
