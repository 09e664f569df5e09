"""A healthy fleet: services with twenty series each, of the kinds that real ones expose, a sample a minute."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.detection.batch import Batch
from models.domain.base import Labels

Floats = NDArray[np.float64]

INTERVAL = 60.0
"""Seconds between samples."""
DAY_TICKS = 1440
WEEKEND_MIDDLE, WEEKEND_DAYS, WEEKEND_EDGE = 6.0, 2.0, 0.05
"""Days since Monday, days, and the days in which most of its beginning and its end happen."""
START = 1_767_571_200.0
"""A Monday, 00:00 UTC."""
A_SERVICE = 20
METRICS: dict[str, int] = {
    "up": 1,  # constant
    "config_workers": 1,
    "cache_usage_ratio": 3,  # Gaussian
    "jobs_operations_total": 2,  # Poisson, of a rate that stays
    "http_requests_total": 3,  # Poisson, by time of day and of week
    "http_request_duration_seconds_sum": 1,  # heavy-tailed times of those requests, with their count
    "http_request_duration_seconds_count": 1,
    "probe_latency_seconds": 2,  # heavy-tailed: log-normal, and Pareto without a variance
    "rare_errors_total": 2,  # sparse: nothing for hours
    "disk_usage_bytes": 1,  # a random walk
    "cpu_usage_ratio": 2,  # correlated in time
    "pool_in_use": 1,  # whole numbers that follow the load of all services at once
}
"""Metrics of a service, with how many series of each."""


class Fleet:
    """Makes the ticks; `values` are those of the last one, by metric, shape [services, series of it]."""

    def __init__(self, services: int, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.services = services
        self.tick = 0
        draw = self.random
        self.series: tuple[Labels, ...] = tuple(
            {"__name__": name, "service": f"service-{service}", "part": str(part)}
            for name, count in METRICS.items()
            for service in range(services)
            for part in range(count)
        )
        shape = {name: (services, count) for name, count in METRICS.items()}
        self.usage = draw.uniform(0.2, 0.8, shape["cache_usage_ratio"])
        self.noise = draw.uniform(0.01, 0.08, shape["cache_usage_ratio"])
        self.jobs_rate = 10 ** draw.uniform(-2, 2, shape["jobs_operations_total"])  # a second
        self.rate = 10 ** draw.uniform(-1, 2, shape["http_requests_total"])
        self.swing = draw.uniform(0.2, 0.8, (services, 1))
        self.noon = draw.normal(0.5, 0.05, (services, 1))  # of the day
        self.weekend = draw.uniform(0.4, 1.0, (services, 1))
        self.latency = 10 ** draw.uniform(-3, 0, shape["probe_latency_seconds"])
        self.error_rate = 10 ** draw.uniform(-5, -3, shape["rare_errors_total"])
        self.walk = draw.uniform(2e9, 5e10, shape["disk_usage_bytes"])
        self.step = self.walk * 10 ** draw.uniform(-5, -3, shape["disk_usage_bytes"])
        self.cpu = np.zeros(shape["cpu_usage_ratio"])
        self.common = 0.0
        self.totals = {name: np.zeros(shape[name]) for name in METRICS if name.endswith(("_total", "_sum", "_count"))}

    def load(self) -> Floats:
        """The share of its mean traffic that each service has now, shape [services, 1]."""
        day = self.tick / DAY_TICKS
        wave = 1.0 + self.swing * np.cos(2 * np.pi * (day - self.noon))
        # A week-end comes and goes within hours: 1 in the middle of it.
        away = abs((day - WEEKEND_MIDDLE + 3.5) % 7.0 - 3.5)
        depth = 1.0 / (1.0 + np.exp(-(WEEKEND_DAYS / 2 - away) / WEEKEND_EDGE))
        return np.asarray((1.0 + (self.weekend - 1.0) * depth) * wave)

    def next(self) -> Batch:
        """The next tick; values as a fresh array in the order of `series`."""
        values = np.concatenate([column.ravel() for column in self.columns().values()])
        at = START + self.tick * INTERVAL
        self.tick += 1
        return Batch(at=at, series=self.series, values=values)

    def columns(self) -> dict[str, Floats]:
        """The samples of a tick by metric."""
        random, totals, load = self.random, self.totals, self.load()
        self.common = 0.9 * self.common + random.normal(0.0, 0.1)
        requests = random.poisson(self.rate * INTERVAL * load)
        totals["jobs_operations_total"] += random.poisson(self.jobs_rate * INTERVAL)
        totals["http_requests_total"] += requests
        totals["rare_errors_total"] += random.poisson(self.error_rate * INTERVAL)
        served = requests[:, :1]
        # A sum of log-normal times: its mean, and noise that shrinks with the number of requests.
        times = 0.05 * (1 + random.standard_t(3, served.shape) * 0.6 / np.sqrt(np.maximum(served, 1)))
        totals["http_request_duration_seconds_sum"] += served * np.clip(times, 0.005, 2.0)
        totals["http_request_duration_seconds_count"] += served
        self.walk = np.maximum(self.walk + random.normal(0.0, self.step), 1e8)
        self.cpu = 0.95 * self.cpu + random.normal(0.0, 0.02, self.cpu.shape)
        tails = np.stack([random.lognormal(0.0, 0.6, self.services), 1 + random.pareto(1.8, self.services)], axis=1)
        gauges = {
            "up": np.ones((self.services, 1)),
            "config_workers": np.full((self.services, 1), 8.0),
            "cache_usage_ratio": self.usage * (1 + self.noise * random.normal(size=self.usage.shape)),
            "probe_latency_seconds": self.latency * tails,
            "disk_usage_bytes": self.walk,
            "cpu_usage_ratio": np.clip(0.4 + self.cpu, 0.0, 1.0),
            "pool_in_use": random.poisson(6.0 * np.exp(self.common) * load).astype(float),
        }
        return {name: totals[name] if name in totals else gauges[name] for name in METRICS}
