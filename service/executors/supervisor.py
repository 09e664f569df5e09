"""A client of supervisor's XML-RPC interface, with time limits, over TCP or a unix socket.

Methods, states and faults: https://supervisord.org/api.html. The transport that supervisor ships has no time limit,
and a supervisor that hangs would then hang its caller: hence httpx, and the standard library for the format.
"""

from __future__ import annotations

import xmlrpc.client as xmlrpc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from xml.parsers.expat import ExpatError

import httpx

from service.ports import Effect, ExecutorError

Credentials = Callable[[], tuple[str, str] | None]

RUNS = frozenset({"STARTING", "RUNNING", "BACKOFF"})
"""States that supervisor can stop."""
STOPPED = frozenset({"STOPPED", "EXITED", "FATAL"})


class SupervisorFault(ExecutorError):
    """Supervisor understood the call and refused it. `word` is its name for the reason, for example `BAD_NAME`."""

    def __init__(self, text: str) -> None:
        super().__init__(f"supervisor refused: {text}", effect=Effect.ABSENT)
        self.word = text.split(":", 1)[0]


@dataclass(frozen=True)
class ProcessInfo:
    """A process as supervisor sees it. `start` is in whole unix seconds, 0 before the first start; `pid` 0: none."""

    pid: int
    start: int
    state: str
    error: str
    exit_status: int


class Supervisor:
    """One supervisor. Each call opens a connection of its own, so that none that went stale is written to."""

    def __init__(self, url: str, credentials: Credentials) -> None:
        """`url`: `http://host:port[/RPC2]` or `unix:///path/to.sock`."""
        self._url = "http://supervisor/RPC2"
        socket = None
        if url.startswith("unix://"):
            socket = url.removeprefix("unix://")
        else:
            self._url = url.rstrip("/").removesuffix("/RPC2") + "/RPC2"
        self._name = url
        self._credentials = credentials
        self._client = httpx.Client(
            transport=httpx.HTTPTransport(uds=socket, limits=httpx.Limits(max_keepalive_connections=0)),
            trust_env=False,
        )

    def info(self, name: str, timeout: float) -> ProcessInfo:
        """The state of one process. Raises SupervisorFault or ExecutorError; changes nothing."""
        answer = self._call("getProcessInfo", name, timeout=timeout, changes=False)
        try:
            return ProcessInfo(
                pid=int(answer["pid"]),
                start=int(answer["start"]),
                state=str(answer["statename"]),
                error=str(answer["spawnerr"]),
                exit_status=int(answer["exitstatus"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ExecutorError(f"{self._name} does not answer as supervisor does", effect=Effect.ABSENT) from error

    def stop(self, name: str, timeout: float) -> None:
        """Ask for a stop and return at once; the process may live until `stopwaitsecs` have passed."""
        self._call("stopProcess", name, False, timeout=timeout, changes=True)

    def start(self, name: str, timeout: float) -> None:
        """Ask for a start and return at once; it counts as running after `startsecs`."""
        self._call("startProcess", name, False, timeout=timeout, changes=True)

    def signal(self, name: str, signal: str, timeout: float) -> None:
        """Have a signal sent, by its name without `SIG`."""
        self._call("signalProcess", name, signal, timeout=timeout, changes=True)

    def _call(self, method: str, *parameters: Any, timeout: float, changes: bool) -> Any:
        lost = Effect.UNKNOWN if changes else Effect.ABSENT
        try:
            response = self._client.post(
                self._url,
                content=xmlrpc.dumps(parameters, f"supervisor.{method}"),
                headers={"Content-Type": "text/xml"},
                auth=self._credentials() or httpx.USE_CLIENT_DEFAULT,
                timeout=timeout,
            )
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise ExecutorError(
                f"supervisor at {self._name} cannot be reached: {error}", retriable=True, effect=Effect.ABSENT
            ) from error
        except httpx.HTTPError as error:
            words = str(error) or type(error).__name__
            raise ExecutorError(
                f"supervisor at {self._name} did not answer: {words}", retriable=not changes, effect=lost
            ) from error
        return self._read(response, lost)

    def _read(self, response: httpx.Response, lost: Effect) -> Any:
        if response.status_code == httpx.codes.UNAUTHORIZED:
            raise ExecutorError(f"supervisor at {self._name} refused the username or password", effect=Effect.ABSENT)
        if response.status_code != httpx.codes.OK:
            raise ExecutorError(f"supervisor at {self._name} answered {response.status_code}", effect=lost)
        try:
            (answer,), _ = xmlrpc.loads(response.content)
        except xmlrpc.Fault as fault:
            raise SupervisorFault(fault.faultString) from fault
        except (ExpatError, xmlrpc.ResponseError, ValueError) as error:
            raise ExecutorError(f"{self._name} does not answer as supervisor does", effect=lost) from error
        return answer
