"""The same samples in a real Prometheus and in the embedded store give the same answers."""

from __future__ import annotations

import math
import random
import shutil
import socket
import subprocess
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest

from models.detection.batch import Batch
from models.domain.errors import BadInput
from service.ports import Context
from service.promql import evaluate
from service.sources.prometheus import build
from service.store.samples import SampleStore

REFUSED = """
requests_total / ignoring (code) requests_total
requests_total / on (instance) machine
machine / on (instance) requests_total
requests_total * on (instance) group_left (code) requests_total
pool_in_use + on () group_left pool_size
abs({__name__=~"pool_.+"})
-{__name__=~"pool_.+"}
rate({__name__=~"pool_.+"}[5m])
topk(NaN, requests_total)
requests_total[5m]
rate(requests_total)
sum(
nosuch(requests_total)
{job=~".*"}
requests_total{code=~"("}
""".strip().splitlines()
"""Prometheus answers these with an error (or, for the bare range, with a range)."""

pytestmark = [
    pytest.mark.needs_apt,
    pytest.mark.skipif(
        not (shutil.which("prometheus") and shutil.which("promtool")), reason="apt's prometheus is not installed"
    ),
]

START = datetime(2026, 3, 1, 12, 0, 3, tzinfo=UTC)
AT = START + timedelta(minutes=40, seconds=7, milliseconds=313)
"""Off the grid of samples: where a sample lies exactly on the old end of a range, versions of Prometheus differ."""

EXPRESSIONS = """
requests_total
requests_total{code="500"}
requests_total{code!="500",instance=~"a|c"}
requests_total{code=~"5..",instance!~"b"}
{__name__=~"pool_.+"}
requests_total{missing=""}
requests_total offset 7m
gone
gone offset 20m
rate(requests_total[5m])
rate(requests_total[1m] offset 3m)
increase(requests_total[10m])
increase(late_total[30m])
irate(requests_total[2m])
delta(temperature[8m])
idelta(temperature[8m])
deriv(temperature[8m])
predict_linear(temperature[8m], 3600)
changes(pool_in_use[10m])
resets(requests_total[30m])
avg_over_time(temperature[10m])
min_over_time(temperature[10m])
max_over_time(temperature[10m])
sum_over_time(temperature[10m])
count_over_time(requests_total[10m])
last_over_time(gone[30m])
stddev_over_time(temperature[10m])
stdvar_over_time(temperature[10m])
quantile_over_time(0.9, temperature[10m])
present_over_time(gone[30m])
histogram_quantile(0.95, sum by (le) (rate(duration_seconds_bucket[5m])))
histogram_quantile(0.5, rate(duration_seconds_bucket[5m]))
histogram_quantile(0.999, rate(duration_seconds_bucket[5m]))
histogram_quantile(1.5, duration_seconds_bucket)
absent(requests_total)
absent(nothing{job="x",zone=~"a.*"})
absent(sum(nothing{job="x"}))
absent_over_time(nothing{job="x"}[5m])
abs(temperature)
ceil(temperature)
floor(temperature)
round(temperature)
round(temperature, 0.25)
clamp(temperature, -1, 2)
clamp(temperature, 2, -1)
clamp_min(temperature, 0)
clamp_max(temperature, 0)
sqrt(temperature)
ln(temperature)
sgn(temperature)
scalar(sum(requests_total))
scalar(requests_total)
vector(3.5)
time()
timestamp(requests_total)
timestamp(requests_total * 1)
sum(requests_total)
sum by (code) (requests_total)
sum without (code, instance) (requests_total)
avg by (instance) (rate(requests_total[5m]))
min by (zone) (temperature)
max(temperature)
count by (code) (requests_total)
stddev(temperature)
stdvar by (zone) (temperature)
group by (instance) (requests_total)
quantile(0.3, temperature)
quantile by (zone) (-1, temperature)
topk(2, requests_total)
bottomk by (code) (1, requests_total)
topk(0, requests_total)
pool_in_use / pool_size
pool_in_use / on (service) pool_size
pool_in_use > 0.5 * pool_size
pool_in_use > bool on (service) pool_size
pool_in_use == ignoring (nothing) pool_in_use
10 < pool_in_use
10 < bool pool_in_use
3 > bool 2
requests_total / ignoring (code) group_left sum without (code) (requests_total)
requests_total * on (instance) group_left (zone) machine
machine * on (instance) group_right (zone) requests_total
requests_total and on (instance) machine{zone="north"}
requests_total unless on (instance) machine{zone="north"}
pool_in_use or pool_size
vector(1) or on () vector(2)
-temperature
- 3
2 ^ 3 ^ 2
-2 ^ 2
7 % 3 - 7 % -3
temperature % 3
temperature ^ 0.5
temperature / 0
0 / 0
1 / -0
heat
heat - heat
heat * 0
sum(heat)
avg(heat)
max_over_time(heat[5m])
avg_over_time(heat[5m])
stddev(heat)
rate(heat[5m])
sum(rate(requests_total{code=~"5.."}[5m])) / sum(rate(requests_total[5m])) > 0.01
up == 0
sort_desc(pool_in_use)
""".strip().splitlines()


Points = list[tuple[datetime, float]]
Series = list[tuple[dict[str, str], Points]]


class Scripted:
    """What a day in a shop looks like: counters that reset, histograms, gauges, scraped with jitter."""

    def __init__(self) -> None:
        self.chance = random.Random(7)

    def times(self, first: int = 0, last: int = 160) -> list[datetime]:
        return [
            START + timedelta(seconds=15 * tick, milliseconds=self.chance.randint(0, 900))
            for tick in range(first, last)
        ]

    def steady(self, value: float) -> Points:
        return [(at, value) for at in self.times()]

    def walk(self, step: float, *span: int) -> Points:
        steps = [self.chance.uniform(-step, step) for _ in self.times(*span)]
        return list(zip(self.times(*span), np.cumsum(steps).tolist(), strict=True))

    def counter(self, speed: int, *span: int, start: float = 0.0) -> Points:
        value, points = start, []
        for at in self.times(*span):
            value = 0.0 if self.chance.random() < 0.03 else value + self.chance.randint(0, speed)
            points.append((at, value))
        return points

    def histogram(self, bounds: list[str]) -> dict[str, Points]:
        at = self.times()
        seen = np.array([self.chance.expovariate(3) for _ in range(20 * len(at))]).reshape(len(at), 20)
        return {
            bound: list(zip(at, np.cumsum((seen <= float(bound)).sum(axis=1)).astype(float).tolist(), strict=True))
            for bound in bounds
        }


def _series() -> Series:
    day = Scripted()
    series: Series = []
    for instance, zone in (("a", "north"), ("b", "south"), ("c", "south")):
        for code in ("200", "404", "500"):
            series.append(({"__name__": "requests_total", "instance": instance, "code": code}, day.counter(40)))
        series.append(({"__name__": "machine", "instance": instance, "zone": zone}, day.steady(1.0)))
        for bound, points in day.histogram(["0.1", "0.3", "0.6", "1", "+Inf"]).items():
            series.append(({"__name__": "duration_seconds_bucket", "instance": instance, "le": bound}, points))
        for rack in "12":
            series.append(({"__name__": "temperature", "zone": zone, "rack": instance + rack}, day.walk(1.5)))
    for service, size in (("shop", 20.0), ("orders", 10.0), ("idle", 5.0)):
        used = [(at, float(day.chance.randint(0, 20))) for at in day.times()]
        series.append(({"__name__": "pool_size", "service": service}, day.steady(size)))
        series.append(({"__name__": "pool_in_use", "service": service}, used))
    for side, value in (("hot", math.inf), ("cold", -math.inf), ("mild", 1e308)):
        series.append(({"__name__": "heat", "side": side}, day.steady(value)))
    series.append(({"__name__": "up", "service": "shop"}, day.steady(0.0)))
    series.append(({"__name__": "gone", "job": "batch"}, day.walk(2, 0, 100)))
    # It starts far from zero: the limit for counters that start near it changed between Prometheus 2 and 3.
    series.append(({"__name__": "late_total", "job": "batch"}, day.counter(10, 100, 160, start=1e6)))
    return series


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    store = SampleStore(
        f"sqlite:///{tmp_path_factory.mktemp('samples')}/s.db",
        retention=timedelta(days=1),
        max_series=1000,
        clock=lambda: AT,
    )
    by_time = defaultdict(list)
    for labels, points in _series():
        for at, value in points:
            by_time[at].append((labels, value))
    for at, row in by_time.items():
        labels, values = zip(*row, strict=True)
        store.append(Batch(at.timestamp(), labels, np.array(values)))
    yield store
    store.close()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "samples.om").write_text(_openmetrics())
    (folder / "prometheus.yml").write_text("{}")
    subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", folder / "samples.om", folder / "data"],
        check=True,
        capture_output=True,
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                "--storage.tsdb.retention.time=100y",
                f"--web.listen-address={address}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        _wait(f"http://{address}/-/ready", server, folder / "log")
        yield build({"url": f"http://{address}"}, Context(clock=lambda: AT, secret=str))
    finally:
        server.terminate()
        server.wait(timeout=20)


def _openmetrics() -> str:
    lines: list[str] = []
    for labels, points in sorted(_series(), key=lambda entry: entry[0]["__name__"]):
        pairs = ",".join(f'{name}="{value}"' for name, value in labels.items() if name != "__name__")
        for at, value in points:
            written = {math.inf: "+Inf", -math.inf: "-Inf"}.get(value, repr(value))
            lines.append(f"{labels['__name__']}{{{pairs}}} {written} {at.timestamp():.3f}")
    return "\n".join([*lines, "# EOF", ""])


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    pytest.fail(log.read_text())


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_same_answer_as_prometheus(expression, samples, prometheus):
    theirs = prometheus.query(expression, AT)
    ours = evaluate(expression, samples, AT)

    def readable(answer):
        return {frozenset(sample.labels.items()): sample.value for sample in answer}

    assert readable(ours) == pytest.approx(readable(theirs), rel=1e-9, abs=1e-12, nan_ok=True)
    assert len(ours) == len(theirs)


@pytest.mark.parametrize("expression", REFUSED)
def test_refused_as_by_prometheus(expression, samples, prometheus):
    with pytest.raises(BadInput):
        prometheus.query(expression, AT)
    with pytest.raises(BadInput, match=r"^PromQL"):
        evaluate(expression, samples, AT)
