"""Restarts, starts and stops processes under supervisor."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from models.domain.base import Frozen
from service.executors.arguments import read_arguments, refused
from service.executors.supervisor import RUNS, STOPPED, Credentials, ProcessInfo, Supervisor, SupervisorFault
from service.ports import Call, Context, Effect, ExecutorError, Verb
from service.validation import read_config, require_secret

_POLL = 0.1
"""Seconds between two looks at a process that is stopping or starting."""
_CALL_SECONDS = 10.0
"""Longest wait for one answer: supervisor answers at once, or hangs."""

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


class Server(Frozen):
    """How one supervisor is reached. The username and password are secret references."""

    url: str = Field(pattern=r"^(https?://[^/@?#\s]+(/RPC2)?/?|unix:///\S+)$")
    username: str | None = None
    password: str | None = None

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        return self


class ProcessConfig(Frozen):
    """Settings section `executors.process`. `allow`: globs of the processes that may be touched."""

    servers: dict[str, Server] = Field(min_length=1)
    allow: tuple[str, ...] = Field(min_length=1)


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
        after = self._wait(frozenset({"RUNNING"}) | STOPPED, "start")
        if after.state != "RUNNING":
            words = after.error or f"exit status {after.exit_status}"
            raise ExecutorError(f"{self.name} did not stay up: {after.state}, {words}", effect=Effect.HAPPENED)
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


class ProcessExecutor:
    """Acts through supervisor, on allowed processes only. Safe to use from several threads."""

    name = "process"
    verbs = VERBS

    def __init__(
        self,
        servers: Mapping[str, Supervisor],
        allow: tuple[str, ...],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._servers = servers
        self._allow = allow
        self._monotonic = monotonic
        self._sleep = sleep

    @classmethod
    def build(cls, config: Mapping[str, Any], context: Context) -> ProcessExecutor:
        """The executor of a settings section. Raises BadInput on a wrong one, and where a secret cannot be resolved."""
        settings = read_config(ProcessConfig, config, where="executors.process")
        for name, server in settings.servers.items():
            for key in ("username", "password"):
                if reference := getattr(server, key):
                    require_secret(context.secret, reference, where=f"executors.process.servers.{name}.{key}")
        return cls(
            {name: Supervisor(server.url, _credentials(server, context)) for name, server in settings.servers.items()},
            settings.allow,
        )

    @staticmethod
    def target(verb: str, arguments: Mapping[str, Any]) -> str:  # noqa: ARG004  (the same for every verb)
        """`process:NAME`, or `process:SERVER/NAME` where the server is not the default one."""
        inputs = read_arguments(ProcessInputs, arguments)
        name = _plain(inputs.name)
        return f"process:{name}" if inputs.server == "default" else f"process:{inputs.server}/{name}"

    def dry_run(self, call: Call) -> str:
        """What would be done to which process, with the state that it is in."""
        attempt = self._attempt(call)
        now = attempt.info()
        pid = f", pid {now.pid}" if now.pid else ""
        return f"would {call.verb} process {attempt.name} ({now.state}{pid})"

    def snapshot(self, call: Call) -> dict[str, Any]:
        """`pid` (0: none), `start` (unix seconds) and `state`."""
        now = self._attempt(call).info()
        return {"pid": now.pid, "start": now.start, "state": now.state}

    def act(self, call: Call) -> dict[str, Any]:
        """Restart, start or stop, within `call.timeout` as a whole."""
        attempt = self._attempt(call)
        try:
            now = attempt.info()
            # After a crash between stop and start the process has no pid; the snapshot still knows it.
            before = int(call.before.get("pid") or now.pid)
            if call.verb in ("restart", "stop"):
                now = attempt.stop(now)
            if call.verb in ("restart", "start"):
                now = attempt.start(now)
        except ExecutorError as error:
            if attempt.touched and error.effect is Effect.ABSENT:
                raise ExecutorError(str(error), retriable=error.retriable, effect=Effect.UNKNOWN) from error
            raise
        return ProcessOutputs(
            name=attempt.name, pid=now.pid or None, state=now.state, before_pid=before or None
        ).model_dump()

    def observe(self, call: Call) -> Effect:
        """HAPPENED or ABSENT by what supervisor shows now; UNKNOWN where it cannot be asked.

        A restart that was cut off between stop and start is ABSENT: running it again then only starts the process.
        A process that was started by somebody else meanwhile counts as HAPPENED: it is as fresh as was asked for.
        """
        try:
            now = self._attempt(call).info()
        except ExecutorError:
            return Effect.UNKNOWN
        if call.verb == "start":
            return Effect.HAPPENED if now.state == "RUNNING" else Effect.ABSENT
        if call.verb == "stop":
            return Effect.HAPPENED if now.state in STOPPED else Effect.ABSENT
        if "pid" not in call.before or "start" not in call.before or now.state == "UNKNOWN":
            return Effect.UNKNOWN
        return Effect.HAPPENED if _is_newer(now, call.before) else Effect.ABSENT

    def _attempt(self, call: Call) -> _Attempt:
        if call.verb not in VERBS:
            raise refused(f"there is no process/{call.verb}")
        inputs = read_arguments(ProcessInputs, call.arguments)
        name = _plain(inputs.name)
        server = self._servers.get(inputs.server)
        if server is None:
            raise refused(f"no supervisor {inputs.server!r} is configured; there is {', '.join(sorted(self._servers))}")
        if not any(fnmatchcase(name, glob) for glob in self._allow):
            raise refused(f"process {name} is not allowed; add it to executors.process.allow")
        deadline = self._monotonic() + call.timeout.total_seconds()
        return _Attempt(server, name, deadline, self._monotonic, self._sleep)


def _plain(name: str) -> str:
    """`shop` for `shop:shop`, which is the same process: limits a target must not be got around by spelling."""
    group, _, process = name.partition(":")
    return group if process in ("", group) else name


def _is_newer(now: ProcessInfo, before: Mapping[str, Any]) -> bool:
    # `start` has whole seconds: a restart within the second of the last start shows in the pid alone.
    return now.start > int(before["start"]) or (now.pid != 0 and now.pid != int(before["pid"]))


def _because(now: ProcessInfo) -> str:
    return f", {now.error}" if now.error else ""


def _credentials(server: Server, context: Context) -> Credentials:
    username, password = server.username, server.password
    if username is None or password is None:
        return lambda: None
    return lambda: (context.secret(username), context.secret(password))
