"""An installation with standing checks, whose clock moves when told."""

from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np
import pytest
from sqlalchemy import update

from models.detection.batch import Batch
from service.store.tables import standing_checks

FILE = """
checks:
  - id: memory-near-limit
    title: Containers stay below their limit
    every: 1m
    query: memory_used / memory_limit
    when: sample.value > 0.9
    text: raise the limit
"""


class Clock:
    def __init__(self):
        self.now = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)

    def __call__(self):
        return self.now


class Site:
    """An installation and its standing checks."""

    def __init__(self, parts, clock):
        self.parts, self.clock = parts, clock
        self.keepers = [parts.standing_keeper]

    def gauge(self, name, value, **labels):
        series = ({"__name__": name, **labels},)
        self.parts.samples.append(Batch(at=self.clock().timestamp(), series=series, values=np.array([value])))

    def measure(self):
        """Every check is due now; all keepers look."""
        with self.parts.database.write() as connection:
            connection.execute(update(standing_checks).values(due_at=1.0))
        for keeper in self.keepers:
            keeper.tick()

    def wait(self, **by):
        """Time passes; what holds is repeated and what went quiet resolves."""
        self.clock.now += timedelta(**by)
        for keeper in self.keepers:
            keeper.repeat()
        self.parts.intake.resolve_quiet()

    def incidents(self):
        return self.parts.incidents.page()

    def status(self, place=0):
        return self.parts.standing.status()[place]


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "checks.yaml"
    path.write_text(FILE)
    return path


@pytest.fixture
def build(build, file):
    return partial(build, checks=file, detector={"name": "off"})


@pytest.fixture
def site(build, clock):
    return Site(build(), clock)
