"""Faults of the shop's load: more customers than its workers can serve, and more workers than its customers need."""

from __future__ import annotations

from random import Random
from typing import Any

from evals.sandbox.fault import Fault, Remedy, front_door_serves, restart_shop, shop_serves
from evals.sandbox.layout import WORKERS
from evals.sandbox.load import LOADS, Load, read_load, set_load
from evals.sandbox.sandbox import Sandbox
from evals.sandbox.shop_workers import set_workers, workers
from models.domain.errors import BadInput, Unavailable

BUSY = 0.8
"""Utilisation above which a worker keeps its customers waiting."""
ROOM = 0.6
"""Utilisation of the usual workers up to which they could do alone what all do now: then the others are idle."""


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
    remedy = Remedy("workers-busy", "add-workers", "Workers were added to the shop.")

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        self._peak = LOADS["peak"]

    def vary(self, random: Random) -> dict[str, Any]:
        """How many customers the sale brings, and how many of them buy."""
        self._peak = Load(round(random.uniform(68.0, 80.0), 1), round(random.uniform(0.88, 0.95), 2))
        return {"rate": self._peak.rate, "checkout_share": self._peak.checkout_share}

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
        set_load(self.sandbox.layout, self.usual)

    def heal(self) -> None:
        """End the sale, and take away the workers that it was worth."""
        self.ease()
        if not shop_serves(self.sandbox):
            restart_shop(self.sandbox)
        set_workers(self.sandbox, WORKERS)

    def _break(self, pid: int) -> None:  # noqa: ARG002
        if self._is_peak():
            raise BadInput("the sale is on already")
        set_load(self.sandbox.layout, self._peak)

    def _is_peak(self) -> bool:
        return read_load(self.sandbox.layout.load_file) == self._peak


class IdleWorkers(Fault):
    """A sale is over, and the workers that were added for it have nothing to do.

    Nobody suffers, so a rule of the monitoring tells of it. That is also how `Overload` goes on, once it was cured.
    """

    name = "idle_workers"
    title = "The sale is over, and the added workers have nothing to do"
    how = (
        f"{LOADS['base'].rate:.0f} customers a second again;"
        f" the rule WorkersIdle fires once {ROOM:.0%} of what the usual workers can do is enough"
    )
    service = "shop"
    process = "shop"
    cures = ("script/run",)
    remedy = Remedy("workers-idle", "remove-workers", "The workers that were added for the sale were taken away.")
    alert = "WorkersIdle"

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        self._added = 1

    def vary(self, random: Random) -> dict[str, Any]:
        """How many workers are left from the sale."""
        self._added = random.randint(1, 2)
        return {"workers": WORKERS + self._added}

    def alerting(self) -> bool:
        """Whether there are more workers than usual, and the usual ones would do."""
        try:
            seen = self.sandbox.metrics("shop")
        except Unavailable:
            return False
        busy = seen["shop_workers"] * seen["shop_worker_utilisation"]
        return seen["shop_workers"] > WORKERS and busy < ROOM * WORKERS

    def repaired(self) -> bool:
        """Whether the shop has its usual workers, and serves."""
        return workers(self.sandbox) == WORKERS and front_door_serves(self.sandbox)

    def heal(self) -> None:
        """Take the added workers away."""
        if not shop_serves(self.sandbox):
            restart_shop(self.sandbox)
        set_workers(self.sandbox, WORKERS)

    def _break(self, pid: int) -> None:  # noqa: ARG002
        set_load(self.sandbox.layout, self.usual)
        if workers(self.sandbox) == WORKERS:
            set_workers(self.sandbox, WORKERS + self._added)
