"""Restarts, starts, stops and signals processes under supervisor, and services under systemd."""

from __future__ import annotations

import os
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from models.domain.base import Frozen
from models.domain.errors import BadInput
from service.executors.arguments import read_arguments, refused
from service.executors.process_inputs import ProcessInputs, ProcessOutputs, SignalInputs, SignalName
from service.executors.process_supervisor import SupervisorManager
from service.executors.supervisor import Credentials, Supervisor
from service.executors.systemd import SystemdManager
from service.ports import Call, Context, Effect, ExecutorError, Verb
from service.validation import read_config, require_secret

VERBS = {
    verb.name: verb
    for verb in (
        Verb("restart", "Stop the process, then start it", ProcessInputs, ProcessOutputs, False, True),
        Verb("start", "Start the process unless it runs", ProcessInputs, ProcessOutputs, True, True),
        Verb("stop", "Stop the process unless it is stopped", ProcessInputs, ProcessOutputs, True, True),
        Verb("signal", "Send the process an allowed signal", SignalInputs, ProcessOutputs, False, False),
    )
}


class Server(Frozen):
    """How one supervisor is reached. The username and password are secret references."""

    kind: Literal["supervisor"] = "supervisor"
    url: str = Field(pattern=r"^(https?://[^/@?#\s]+(/RPC2)?/?|unix:///\S+)$")
    username: str | None = None
    password: str | None = None

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        return self


class SystemdServer(Frozen):
    """The systemd of this machine, by its command line. `user`: the service manager of this user, not the system's."""

    kind: Literal["systemd"]
    command: Path = Path("/usr/bin/systemctl")
    user: bool = False

    @field_validator("command")
    @classmethod
    def _runs(cls, command: Path) -> Path:
        if not command.is_absolute() or not os.access(command, os.X_OK):
            raise ValueError("must be the absolute path of a program")
        return command


def _kind(section: Any) -> str | None:
    if isinstance(section, Mapping):
        return str(section.get("kind", "supervisor"))
    return getattr(section, "kind", None)


AnyServer = Annotated[
    Annotated[Server, Tag("supervisor")] | Annotated[SystemdServer, Tag("systemd")],
    Discriminator(
        _kind,
        custom_error_type="unknown_kind",
        custom_error_message="must be a mapping with a url (supervisor), or with kind: systemd",
    ),
]


class ProcessConfig(Frozen):
    """Settings section `executors.process`.

    `allow`: globs of the processes and units that may be touched. `signals`: globs of those that may be sent signals,
    and which; without it none may.
    """

    servers: dict[str, AnyServer] = Field(min_length=1)
    allow: tuple[str, ...] = Field(min_length=1)
    signals: dict[str, tuple[SignalName, ...]] = Field(default_factory=dict)


class Manager(Protocol):
    """What looks after processes on one server. All but `unit` raise ExecutorError, and take `seconds` at most."""

    def unit(self, name: str) -> str:
        """The name as this manager knows it. Raises ExecutorError where it can have none of that name."""

    def describe(self, name: str, seconds: float) -> str:
        """The state in words."""

    def snapshot(self, name: str, seconds: float) -> dict[str, Any]:
        """The state as JSON, for `observe` to compare with."""

    def act(
        self, verb: str, name: str, seconds: float, before: Mapping[str, Any], signal: str | None = None
    ) -> ProcessOutputs:
        """Perform the verb. `signal` is for `signal` alone."""

    def observe(self, verb: str, name: str, seconds: float, before: Mapping[str, Any]) -> Effect:
        """Whether the verb happened."""


class ProcessExecutor:
    """Acts through supervisor or systemd, on allowed processes only. Safe to use from several threads.

    Least privilege. Supervisor: the right to its socket (a group that may write it) or a username and password; either
    gives power over every process there, so the processes that must not be touched belong under another supervisor,
    and `allow` names the others. systemd: no root; a polkit rule that permits `org.freedesktop.systemd1.manage-units`
    to this service's user for the listed units and for `start`, `stop`, `restart`, nothing else. Nothing here needs to
    edit units, to reload the manager, or to read logs.
    """

    name = "process"
    verbs = VERBS

    def __init__(
        self,
        servers: Mapping[str, Manager],
        allow: tuple[str, ...],
        signals: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self._servers = servers
        self._allow = allow
        self._signals = signals or {}

    @classmethod
    def build(cls, config: Mapping[str, Any], context: Context) -> ProcessExecutor:
        """The executor of a settings section. Raises BadInput on a wrong one, and where a secret cannot be resolved."""
        settings = read_config(ProcessConfig, config, where="executors.process")
        for name, server in settings.servers.items():
            for key in ("username", "password"):
                if reference := getattr(server, key, None):
                    require_secret(context.secret, reference, where=f"executors.process.servers.{name}.{key}")
        managers = {name: _manager(server, context) for name, server in settings.servers.items()}
        return cls(managers, settings.allow, settings.signals)

    @staticmethod
    def target(verb: str, arguments: Mapping[str, Any]) -> str:
        """`process:NAME`, or `process:SERVER/NAME` where the server is not the default one."""
        inputs = _inputs(verb, arguments)
        name = _plain(inputs.name)
        return f"process:{name}" if inputs.server == "default" else f"process:{inputs.server}/{name}"

    def dry_run(self, call: Call) -> str:
        """What would be done to which process, with the state that it is in."""
        manager, name, signal = self._resolved(call)
        what = f"send {signal} to" if signal else call.verb
        return f"would {what} process {name} ({manager.describe(name, call.timeout.total_seconds())})"

    def snapshot(self, call: Call) -> dict[str, Any]:
        """`pid` (0: none), `state`, and `start` (unix seconds) or, of systemd, `run` (the id of the last start)."""
        manager, name, _ = self._resolved(call)
        return manager.snapshot(name, call.timeout.total_seconds())

    def act(self, call: Call) -> dict[str, Any]:
        """Restart, start, stop or signal, within `call.timeout` as a whole. A change that began is not broken off."""
        manager, name, signal = self._resolved(call)
        return manager.act(call.verb, name, call.timeout.total_seconds(), call.before, signal).model_dump()

    def observe(self, call: Call) -> Effect:
        """By what the server shows now; UNKNOWN where it cannot be asked, and for a signal.

        A restart that left the process stopped is REPEATABLE.
        """
        try:
            manager, name, signal = self._resolved(call)
            if signal is not None:
                return Effect.UNKNOWN
            return manager.observe(call.verb, name, call.timeout.total_seconds(), call.before)
        except ExecutorError:
            return Effect.UNKNOWN

    def _resolved(self, call: Call) -> tuple[Manager, str, str | None]:
        """The server, the name and the signal of an allowed call. Raises ExecutorError where it is not allowed."""
        if call.verb not in VERBS:
            raise refused(f"there is no process/{call.verb}")
        inputs = _inputs(call.verb, call.arguments)
        manager = self._servers.get(inputs.server)
        if manager is None:
            raise refused(f"no supervisor {inputs.server!r} is configured; there is {', '.join(sorted(self._servers))}")
        name = manager.unit(_plain(inputs.name))
        if not any(fnmatchcase(name, glob) for glob in self._allow):
            raise refused(f"process {name} is not allowed; add it to executors.process.allow")
        signal = inputs.signal if isinstance(inputs, SignalInputs) else None
        if signal and not any(signal in some and fnmatchcase(name, glob) for glob, some in self._signals.items()):
            raise refused(f"{signal} is not allowed for process {name}; add it to executors.process.signals")
        return manager, name, signal


def _inputs(verb: str, arguments: Mapping[str, Any]) -> ProcessInputs:
    return read_arguments(SignalInputs if verb == "signal" else ProcessInputs, arguments)


def _plain(name: str) -> str:
    """`shop` for `shop:shop`, which is the same process: limits a target must not be got around by spelling."""
    group, _, process = name.partition(":")
    return group if process in ("", group) else name


def _manager(server: Server | SystemdServer, context: Context) -> Manager:
    if isinstance(server, SystemdServer):
        return SystemdManager(server.command, user=server.user, environment=os.environ)
    return SupervisorManager(Supervisor(server.url, _credentials(server, context)))


def _credentials(server: Server, context: Context) -> Credentials:
    username, password = server.username, server.password
    if username is None or password is None:
        return lambda: None

    def resolved() -> tuple[str, str]:
        try:
            return context.secret(username), context.secret(password)
        except BadInput as error:  # it could be, when the service began
            raise refused(str(error)) from error

    return resolved
