"""Faults of the shop: its processes, its start, its release, its load."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import ClassVar

from evals.sandbox.fault import Fault, RestartFault, front_door_serves, restart_shop, shop_serves
from evals.sandbox.layout import WORKERS
from evals.sandbox.load import LOADS, read_load, set_load
from evals.sandbox.releases import RELEASES, Releases
from evals.sandbox.routing import active_pool, switch
from evals.sandbox.sandbox import Sandbox
from evals.sandbox.shop_release import deploy, runs
from evals.sandbox.shop_workers import set_workers, workers
from models.domain.errors import BadInput, Unavailable

_STABLE, _SLOW = (release.version for release in RELEASES)
BUSY, IDLE = 0.8, 0.3
"""Utilisation above which a worker keeps its customers waiting, and below which several have too little to do."""


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
    signal = signal.SIGKILL


class HangService(_SignalFault):
    """The shop's processes stop running but keep their sockets: connections are accepted and never answered."""

    name = "hang_service"
    title = "The shop hangs"
    how = "SIGSTOP to the shop's process group: it accepts, and never answers"
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


class Overload(Fault):
    """More customers come, and want more, than the shop's workers can do well."""

    name = "overload"
    title = "A sale brings more customers than the shop can serve"
    how = (
        f"{LOADS['peak'].rate:.0f} customers a second instead of {LOADS['base'].rate:.0f},"
        f" {LOADS['peak'].checkout_share:.0%} of them at the checkout instead of {LOADS['base'].checkout_share:.0%}"
    )
    service = "shop"
    process = "shop"
    cures = ("script/run",)

    def repaired(self) -> bool:
        """Whether there are more workers or fewer customers, each worker has room, and customers are served."""
        try:
            seen = self.sandbox.metrics("shop")
        except Unavailable:
            return False
        eased = seen["shop_workers"] > WORKERS or not self._is_peak()
        return eased and seen["shop_worker_utilisation"] < BUSY and front_door_serves(self.sandbox)

    def ease(self) -> None:
        """The sale ends: as many customers as before. Workers that were added stay, and have little to do."""
        set_load(self.sandbox.layout, "base")

    def heal(self) -> None:
        """End the sale, and take away the workers that it was worth."""
        self.ease()
        if not shop_serves(self.sandbox):
            restart_shop(self.sandbox)
        set_workers(self.sandbox, WORKERS)

    def _break(self, pid: int) -> None:  # noqa: ARG002
        if self._is_peak():
            raise BadInput("the sale is on already")
        set_load(self.sandbox.layout, "peak")

    def _is_peak(self) -> bool:
        return read_load(self.sandbox.layout.load_file) == LOADS["peak"]


class IdleWorkers(Fault):
    """A sale is over, and the workers that were added for it have nothing to do.

    Nobody suffers, so a rule of the monitoring tells of it. That is also how `Overload` goes on, once it was cured.
    """

    name = "idle_workers"
    title = "The sale is over, and the added workers have nothing to do"
    how = f"{LOADS['base'].rate:.0f} customers a second again; the rule WorkersIdle fires at a utilisation below {IDLE}"
    service = "shop"
    process = "shop"
    cures = ("script/run",)
    alert = "WorkersIdle"

    def alerting(self) -> bool:
        """Whether there are more workers than usual, and each is idle most of the time."""
        try:
            seen = self.sandbox.metrics("shop")
        except Unavailable:
            return False
        return seen["shop_workers"] > WORKERS and seen["shop_worker_utilisation"] < IDLE

    def repaired(self) -> bool:
        """Whether the shop has its usual workers, and serves."""
        return workers(self.sandbox) == WORKERS and front_door_serves(self.sandbox)

    def heal(self) -> None:
        """Take the added workers away."""
        if not shop_serves(self.sandbox):
            restart_shop(self.sandbox)
        set_workers(self.sandbox, WORKERS)

    def _break(self, pid: int) -> None:  # noqa: ARG002
        set_load(self.sandbox.layout, "base")
        if workers(self.sandbox) == WORKERS:
            set_workers(self.sandbox, WORKERS + 1)
