import numpy as np
import pytest

from models.detection.batch import Batch


class Fleet:
    """Simulated series of the shapes that a scraped sandbox shows; `fault` changes the values of chosen series."""

    def __init__(self, groups: int, seed: int, interval: float = 1.0, burst_share: float = 0.002) -> None:
        self.random = np.random.default_rng(seed)
        self.interval, self.burst_share = interval, burst_share
        self.groups = groups
        self.rates = self.random.uniform(5, 200, groups)
        self.levels = self.random.uniform(0.5, 100, groups)
        self.requests = np.zeros(groups)
        self.rare = np.zeros(groups)
        self.seconds = np.zeros(groups)
        self.cpu = np.zeros(groups)
        self.walk = np.zeros(groups)
        self.files = self.random.integers(8, 40, groups).astype(float)
        self.memory = self.random.uniform(3e7, 2e8, groups)
        self.bursts = np.zeros(groups, dtype=int)
        names = ["requests_total", "request_seconds_count", "request_seconds_sum", "rare_events_total", "level", "walk"]
        names += ["process_cpu_seconds_total", "process_open_fds", "process_resident_memory_bytes", "pool_in_use"]
        names += ["process_start_time_seconds", "up", "probe_seconds", "request_seconds_bucket"]
        self.series = tuple({"__name__": name, "instance": str(i)} for name in names for i in range(groups))
        self.tick = 0

    def index(self, name: str, group: int = 0) -> int:
        return next(i for i, labels in enumerate(self.series) if labels == {"__name__": name, "instance": str(group)})

    def next(self, rate_factor: np.ndarray | float = 1.0) -> Batch:
        n, random, dt = self.groups, self.random, self.interval
        self.bursts = np.where(self.bursts > 0, self.bursts - 1, np.where(random.random(n) < self.burst_share, 3, 0))
        lively = np.where(self.bursts > 0, 1.4, 1.0)
        arrivals = random.poisson(self.rates * dt * lively * rate_factor)
        self.requests += arrivals
        self.rare += random.random(n) < 0.02
        self.seconds += np.where(arrivals > 0, random.gamma(np.maximum(arrivals, 1) * 2.0, 0.002), 0.0)
        self.cpu += np.round(random.gamma(4.0, 0.01, n) * dt, 2)
        self.walk = 0.95 * self.walk + random.normal(0, 1, n)
        self.files += (random.random(n) < 0.01) * random.integers(-1, 3, n)
        self.memory += (random.random(n) < 0.05) * random.uniform(0, 2e5, n)
        columns = [self.requests, self.requests, self.seconds, self.rare]
        columns += [self.levels * (1 + 0.05 * random.normal(size=n)), 50 + self.walk, self.cpu, self.files]
        columns += [np.floor(self.memory / 4096) * 4096, random.binomial(10, 0.15, n).astype(float)]
        columns += [np.full(n, 1.7e9), np.ones(n), np.exp(random.normal(-6, 0.5, n)), self.requests]
        at = 1_700_000_000.0 + self.tick * dt
        self.tick += 1
        return Batch(at=at, series=self.series, values=np.concatenate(columns).astype(float))


@pytest.fixture
def fleet():
    return Fleet
