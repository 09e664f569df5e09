"""What a fault is: something that is broken from outside, of which nothing is told to Suture."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

import httpx

from evals.sandbox.load import LOADS
from evals.sandbox.sandbox import Sandbox
from models.domain.errors import BadInput, Unavailable

MEND_SECONDS = 20.0
"""For a program that was mended to serve again."""
HOLDS_SECONDS = 3.0
"""After a rule of the monitoring first held, until its alert may be sent."""


@dataclass(frozen=True)
class Remedy:
    """What mends a fault, by the runbook's action and in words: the truth with which a recommendation is compared."""

    runbook: str
    action: str
    words: str


class Fault(ABC):
    """One way to break the sandbox. One object is one injection."""

    name: ClassVar[str]
    title: ClassVar[str]
    how: ClassVar[str]
    """What is done, in one line."""
    service: ClassVar[str]
    """The culprit, by its name in the topology."""
    process: ClassVar[str]
    """The program that is broken, by its name under supervisor. It must run for there to be something to break."""
    cures: ClassVar[tuple[str, ...]]
    """The actions, as `executor/verb`, that cure it, each alone. None where nothing that Suture may do there does."""
    remedy: ClassVar[Remedy | None] = None
    """The action that mends it with the least harm; None where none does, so that it is right to recommend nothing."""
    alert: ClassVar[str | None] = None
    """The alert of a monitoring rule that tells of it, where it is no departure that a detector should find."""
    alert_from: ClassVar[str | None] = None
    """The program whose series that rule reads; by default the one that is broken."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.broken_pid = 0
        """The process that was broken, once it was."""
        self.usual = LOADS["base"]
        """The customers that come where nothing is wrong."""

    def vary(self, random: Random) -> dict[str, Any]:  # noqa: ARG002
        """Choose how strong this injection is to be, within what the fault stands for; says what was chosen."""
        return {}

    def prepare(self) -> None:  # noqa: B027
        """Put in place what must be there while all is still well. By default nothing; harmless twice."""

    def inject(self) -> None:
        """Break it. Raises BadInput where it is broken already."""
        before = self.sandbox.supervisor.process(self.process)
        if before.pid == 0:
            raise BadInput(f"{self.process} does not run: it is broken already")
        self.broken_pid = before.pid
        self._break(before.pid)

    @abstractmethod
    def repaired(self) -> bool:
        """Whether what was broken serves its clients again, asked of the target itself."""

    def alerting(self) -> bool:
        """Whether the rule of `alert` holds now."""
        return False

    @abstractmethod
    def heal(self) -> None:
        """Undo the fault without Suture, and whatever is left of it and of its cure. Harmless where all is well."""

    @abstractmethod
    def _break(self, pid: int) -> None:
        """Do the harm; `pid` leads the process group of the program that is broken."""


class HeldRule:
    """A rule of the monitoring that fires when it holds HOLDS_SECONDS after it first held, or later.

    Three scrapes: who is called by its alert finds in the telemetry what it is about. In between it may not hold for a
    moment: some faults look at what came since the last look, and that may be too little.
    """

    def __init__(self, fault: Fault, seconds: Callable[[], float] = time.monotonic) -> None:
        self._fault, self._seconds = fault, seconds
        self._since: float | None = None

    def fires(self) -> bool:
        """Asked again and again; whether it fires now."""
        if not self._fault.alerting():
            return False
        now = self._seconds()
        if self._since is None:
            self._since = now
        return now - self._since >= HOLDS_SECONDS


class RestartFault(Fault):
    """A fault of one process that a restart of it cures."""

    cures: ClassVar[tuple[str, ...]] = ("process/restart",)

    def repaired(self) -> bool:
        """Whether another process than the broken one runs, and serves a client of its kind."""
        now = self.sandbox.supervisor.process(self.process)
        return now.pid not in (0, self.broken_pid) and self._serves()

    def heal(self) -> None:
        """Restart it where nobody did."""
        if not self.repaired():
            self.sandbox.supervisor.restart(self.process)

    @abstractmethod
    def _serves(self) -> bool:
        """Ask the target as its clients do."""


def front_door_serves(sandbox: Sandbox) -> bool:
    """Whether a customer who comes in now is served."""
    with suppress(httpx.HTTPError):
        return sandbox.visit().is_success
    return False


def shop_serves(sandbox: Sandbox) -> bool:
    """Whether the shop itself answers, wherever customers are sent."""
    with suppress(httpx.HTTPError):
        return httpx.get(sandbox.layout.url("shop", "/healthz"), timeout=2.0, trust_env=False).is_success
    return False


def restart_shop(sandbox: Sandbox) -> None:
    """Restart the shop, and return when it answers. Raises Unavailable where it does not within MEND_SECONDS."""
    sandbox.supervisor.restart("shop")
    deadline = time.monotonic() + MEND_SECONDS
    while not shop_serves(sandbox):
        if time.monotonic() > deadline:
            raise Unavailable("the shop does not answer after its restart")
        time.sleep(0.1)
