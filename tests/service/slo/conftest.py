"""An installation whose clock moves when told, with counters that a test lets grow."""

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from models.detection.batch import Batch

FILE = """
slos:
  - id: shop-availability
    title: Requests of the shop succeed
    service: shop
    labels: {environment: production}
    target: 99.9%
    availability:
      total: http_requests_total{service="shop"}
      errors: http_requests_total{service="shop", code=~"5.."}
  - id: shop-latency
    service: shop
    target: 0.99
    latency: {histogram: 'http_seconds{service="shop"}', threshold: 0.25}
"""


class Clock:
    """Moves when told. It begins at 12:00."""

    def __init__(self):
        self.now = datetime(2026, 3, 2, 12, 0, 1, tzinfo=UTC)

    def __call__(self):
        return self.now


class Shop:
    """Counters of a service; `errors` and `slow` are shares of its requests from now on."""

    def __init__(self, parts, clock):
        self.parts, self.clock = parts, clock
        self.keepers = [parts.slo_keeper]
        self.counts = {"200": 1000.0, "500": 0.0, "fast": 1000.0, "all": 1000.0}
        self.errors = self.slow = 0.0
        self.per_minute = 600.0
        self.scraped = True
        self.samples = None  # those of the installation
        self.scrape()

    def scrapes_to(self, samples):
        """Whose store has the counters from now on."""
        self.samples = samples
        self.scrape()

    def scrape(self):
        if not self.scraped:
            return
        series = [
            {"__name__": "http_requests_total", "service": "shop", "code": "200"},
            {"__name__": "http_requests_total", "service": "shop", "code": "500"},
            {"__name__": "http_seconds_bucket", "service": "shop", "le": "0.25"},
            {"__name__": "http_seconds_bucket", "service": "shop", "le": "+Inf"},
        ]
        values = np.array(list(self.counts.values()))
        (self.samples or self.parts.samples).append(
            Batch(at=self.clock().timestamp() - 2, series=series, values=values)
        )

    def rest(self, minutes):
        """Let minutes pass in which all is scraped and nobody looks before their end."""
        keepers, self.keepers = self.keepers, []
        self.run(minutes - 1)
        self.keepers = keepers
        self.run(1)

    def run(self, minutes, errors=None, slow=None):
        """Let minutes pass, one scrape and one look of each keeper in each."""
        self.errors = self.errors if errors is None else errors
        self.slow = self.slow if slow is None else slow
        for _ in range(minutes):
            self.clock.now += timedelta(minutes=1)
            self.counts["200"] += self.per_minute * (1 - self.errors)
            self.counts["500"] += self.per_minute * self.errors
            self.counts["fast"] += self.per_minute * (1 - self.slow)
            self.counts["all"] += self.per_minute
            self.scrape()
            for keeper in self.keepers:
                keeper.tick()
            self.parts.intake.resolve_quiet()

    def incidents(self):
        return self.parts.incidents.page()

    def status(self, identifier="shop-availability"):
        return next(one for one in self.parts.slos.status() if one.id == identifier)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def slo_file(tmp_path) -> Path:
    path = tmp_path / "slos.yaml"
    path.write_text(FILE)
    return path


@pytest.fixture
def build(build, slo_file):
    return partial(build, slos=slo_file, detector={"name": "off"})


@pytest.fixture
def shop(build, clock):
    return Shop(build(), clock)
