"""Faults of the shop: its processes, its start, its release."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import ClassVar

from evals.sandbox.fault import Fault, Remedy, RestartFault, front_door_serves, restart_shop, shop_serves
from evals.sandbox.releases import RELEASES, Releases
from evals.sandbox.routing import active_pool, switch
from evals.sandbox.sandbox import Sandbox
from evals.sandbox.shop_release import deploy, runs
from models.domain.errors import BadInput, Unavailable

_STABLE, _SLOW = (release.version for release in RELEASES)


class _SignalFault(RestartFault):
    service = "shop"
    process = "shop"
    signal: ClassVar[signal.Signals]

    def _break(self, pid: int) -> None:
        os.killpg(pid, self.signal)

    def _serves(self) -> bool:
        return shop_serves(self.sandbox)


class KillService(_SignalFault):
    """The shop's master and workers end at once, as by the kernel's out-of-memory killer."""

    name = "kill_service"
    title = "The shop's processes are killed"
    how = "SIGKILL to the shop's process group"
    remedy = Remedy("service-down", "restart-process", "The shop's process was restarted.")
    signal = signal.SIGKILL


class HangService(_SignalFault):
    """The shop's processes stop running but keep their sockets: connections are accepted and never answered."""

    name = "hang_service"
    title = "The shop hangs"
    how = "SIGSTOP to the shop's process group: it accepts, and never answers"
    remedy = Remedy("service-not-answering", "restart-hung-process", "The shop, which hung, was restarted.")
    signal = signal.SIGSTOP


class BrokenStart(Fault):
    """The shop is killed, and what it reads at its start is gone: no restart brings it back.

    The standby, which runs already, is not touched.
    """

    name = "broken_start"
    title = "The shop is killed and cannot start again"
    how = "the folder of releases taken away, as a lost volume does, then SIGKILL to the shop's process group"
    service = "shop"
    process = "shop"
    cures = ("traffic/switch",)
    remedy = Remedy("service-down", "fail-over", "The shop's customers were sent to its standby.")

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        self._there = sandbox.layout.releases
        self._lost = self._there.with_name(f"{self._there.name}.lost")

    def repaired(self) -> bool:
        """Whether customers are served, by whichever shop."""
        return front_door_serves(self.sandbox)

    def heal(self) -> None:
        """Bring the folder back, start the shop, and send its customers to it."""
        if self._lost.exists():
            self._lost.rename(self._there)
        if not shop_serves(self.sandbox):
            restart_shop(self.sandbox)
        if active_pool(self.sandbox.layout) != "primary":
            switch(self.sandbox.layout, "primary")

    def _break(self, pid: int) -> None:
        self._there.rename(self._lost)
        os.killpg(pid, signal.SIGKILL)


class BadRelease(Fault):
    """A release is deployed, as people do it, that answers correctly and many times slower."""

    name = "bad_release"
    title = "A release is deployed that is many times slower"
    how = f"`shop-release {_SLOW}`: the list of products asks the database for each product by itself"
    service = "shop"
    process = "shop"
    cures = ("script/run",)
    remedy = Remedy("deploy-latency", "roll-back-release", "The shop was rolled back to its last stable release.")

    def repaired(self) -> bool:
        """Whether the shop runs the stable release, and customers are served."""
        return runs(self.sandbox, _STABLE) and front_door_serves(self.sandbox)

    def heal(self) -> None:
        """Deploy the stable release where another one runs."""
        if not runs(self.sandbox, _STABLE):
            deploy(self.sandbox, _STABLE)

    def _break(self, pid: int) -> None:  # noqa: ARG002
        if Releases(self.sandbox.layout.releases).pointed() == _SLOW:
            raise BadInput(f"{_SLOW} is deployed already")
        program = self.sandbox.layout.script("shop-release")
        done = subprocess.run([program, _SLOW], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Unavailable(f"{_SLOW} could not be deployed: {done.stderr.strip()}")
