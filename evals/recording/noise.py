"""What happens beside a fault and has nothing to do with it."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

from evals.recording.neighbour import Neighbour
from evals.sandbox.batch_job import BatchJob
from evals.sandbox.load import Load, set_load
from evals.sandbox.postgres import ORDINARY_CONNECTIONS
from evals.sandbox.sandbox import Sandbox


@dataclass(frozen=True)
class Scene:
    """Where it happens."""

    sandbox: Sandbox
    neighbour: Neighbour
    load: Load
    """The usual customers."""


class Noise(ABC):
    """Something harmless. One object is one occurrence."""

    name: ClassVar[str]
    unfit: ClassVar[tuple[str, ...]] = ()
    """Subjects with which it would be no noise, because it touches what they are about."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    @classmethod
    def fits(cls, subject: str) -> bool:
        """Whether it is noise beside that subject."""
        return subject not in cls.unfit

    @abstractmethod
    def begin(self, random: Random) -> dict[str, Any]:
        """Begin, a moment before the fault; says how strong it was chosen to be."""

    def end(self) -> None:  # noqa: B027
        """End it, where it does not end by itself."""


class TrafficWave(Noise):
    """Some more customers come, as on any good day: nothing that the shop could not serve."""

    name = "traffic_wave"
    # The one is a wave itself, and the other begins with the end of one.
    unfit = ("overload", "idle_workers")

    def begin(self, random: Random) -> dict[str, Any]:
        """The customers come at once."""
        load = self.scene.load
        factor = round(random.uniform(1.2, 1.5), 2)
        set_load(self.scene.sandbox.layout, Load(load.rate * factor, load.checkout_share))
        return {"customers": factor}

    def end(self) -> None:
        """As many as usual."""
        set_load(self.scene.sandbox.layout, self.scene.load)


class NoisyNeighbour(Noise):
    """Another service, on which nothing here depends, has a bad day."""

    name = "noisy_neighbour"

    def begin(self, random: Random) -> dict[str, Any]:
        """Its queue grows at once."""
        self.scene.neighbour.unrest = round(random.uniform(4.0, 20.0), 1)
        return {"queue": self.scene.neighbour.unrest}

    def end(self) -> None:
        """It calms down."""
        self.scene.neighbour.unrest = 1.0


class RestartedStandby(Noise):
    """The standby, which has no customers, is restarted by somebody."""

    name = "restarted_standby"
    unfit = ("broken_start",)

    def begin(self, random: Random) -> dict[str, Any]:
        """Restart it, and wait for a few seconds."""
        pause = round(random.uniform(1.0, 5.0), 1)
        self.scene.sandbox.supervisor.restart("shop-standby")
        time.sleep(pause)
        return {"seconds_before": pause}


class SecondDeparture(Noise):
    """A batch job opens more connections than are usual, and leaves room for everybody."""

    name = "second_departure"
    unfit = (
        "kill_database", "exhaust_connections", "crowd_connections", "wrong_remedy", "checkouts_no_database",
        "checkouts_no_connections",
    )  # fmt: skip

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._job = BatchJob(scene.sandbox)

    def begin(self, random: Random) -> dict[str, Any]:
        """The job opens them within a moment."""
        most = round(random.uniform(0.3, 0.5) * ORDINARY_CONNECTIONS)
        self._job.start(most)
        return {"connections": most}

    def end(self) -> None:
        """The job ends."""
        self._job.end()


NOISES: dict[str, type[Noise]] = {
    noise.name: noise for noise in (TrafficWave, NoisyNeighbour, RestartedStandby, SecondDeparture)
}
