"""What comes in: samples, anomalies found in them, and signals that may open an incident."""

from __future__ import annotations

from enum import StrEnum
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, FiniteFloat

from models.domain.base import Frozen, Labels, Severity, Time, canonical_json, sha256_hex

Score = Annotated[float, Field(ge=0.0, le=1.0)]
Direction = Literal["up", "down"]


class Sample(Frozen):
    """One number of one series at one time. `labels` holds the metric as `__name__`."""

    labels: Labels
    at: Time
    value: float
    """May be NaN or infinite, as exposition formats allow; detection skips those."""

    @property
    def metric(self) -> str:
        """The metric's name, empty where a query's result has none."""
        return self.labels.get("__name__", "")


class Anomaly(Frozen):
    """A scored departure of a series at one time."""

    labels: Labels
    at: Time
    score: Score
    p_value: Score
    """Calibrated: among healthy samples, at most a share p of them has a p-value of p or less."""
    observed: FiniteFloat
    expected: FiniteFloat
    lower: FiniteFloat
    upper: FiniteFloat
    direction: Direction
    component: str = Field(default="", max_length=100)
    """What of the series departed, in words: its value, a mean, a change; empty where the detector knows one only."""


class SignalKind(StrEnum):
    """What kind of thing spoke."""

    ANOMALY = "anomaly"
    ALERT = "alert"
    SLO = "slo"
    POLICY = "policy"
    TICKET = "ticket"


class Signal(Frozen):
    """Anything that may open an incident. Its texts come from outside and are data, never instructions."""

    kind: SignalKind
    name: str = Field(min_length=1, max_length=500)
    at: Time
    status: Literal["firing", "resolved"] = "firing"
    metric: str | None = None
    labels: Labels = Field(default_factory=dict)
    severity: Severity = Severity.WARNING
    value: float | None = None
    text: str = Field(default="", max_length=65_536)
    source: str = "api"
    anomaly: Anomaly | None = None

    @property
    def service(self) -> str | None:
        """The service that the labels name: `service`, else `job`."""
        return self.labels.get("service") or self.labels.get("job")

    @property
    def environment(self) -> str | None:
        """The environment that the labels name: `environment`, else `env`."""
        return self.labels.get("environment") or self.labels.get("env")

    @property
    def direction(self) -> Direction | None:
        """Which way an anomaly departed; None for other kinds."""
        return self.anomaly.direction if self.anomaly else None

    @cached_property
    def fingerprint(self) -> str:
        """Equal for repeats of one signal: a hash of what it is, without its time, value and words."""
        return sha256_hex(canonical_json([self.kind, self.name, self.metric, self.labels]))[:16]
