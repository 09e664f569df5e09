"""The format of labelled incidents: one JSON object a line, an incident as it was seen and the truth about it.

The incident is that of `suture recommend --incident`. Beside it stand what was measured around that time, so that
preconditions and diagnoses can be answered as they would have been, and `gold`, which no recommendation ever sees.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from models.domain.base import Frozen, Labels
from models.domain.incident import Incident
from models.domain.signal import Anomaly, Signal
from service.contract import IncidentFile, Instant, SignalInput, Word

_DOCUMENTED = ConfigDict(use_attribute_docstrings=True)
Text = Annotated[str, Field(min_length=1, max_length=65_536)]


class LabelledSignal(SignalInput):
    """A signal of the incident."""

    model_config = _DOCUMENTED

    direction: Literal["up", "down"] | None = None
    """Which way a metric departed, where the whole anomaly is not known. Triggers read it."""

    @model_validator(mode="after")
    def _one_direction(self) -> Self:
        if self.direction and self.anomaly and self.anomaly.direction != self.direction:
            raise ValueError(f"direction is {self.direction}, the anomaly's is {self.anomaly.direction}")
        return self

    def to_signal(self, now: datetime) -> Signal:
        """The signal; one that tells only its direction counts as sure, as a signal without an anomaly does."""
        signal = super().to_signal(now)
        if self.direction is None or self.anomaly is not None:
            return signal
        seen = self.value or 0.0
        anomaly = Anomaly(
            labels=self.labels | ({"__name__": self.metric} if self.metric else {}),
            at=signal.at,
            score=1.0,
            p_value=0.0,
            observed=seen,
            expected=seen,
            lower=seen,
            upper=seen,
            direction=self.direction,
        )
        return signal.model_copy(update={"anomaly": anomaly})


class Series(Frozen):
    """One series of samples."""

    model_config = _DOCUMENTED

    labels: Labels
    """With the metric's name as `__name__`."""
    at: tuple[float, ...]
    """Unix seconds, rising."""
    values: tuple[float | None, ...]
    """One for each time; null where the series says so itself that there is no number (NaN)."""

    @model_validator(mode="after")
    def _aligned(self) -> Self:
        if not self.labels.get("__name__"):
            raise ValueError("labels must name the metric as __name__")
        if len(self.at) != len(self.values):
            raise ValueError(f"{len(self.at)} times and {len(self.values)} values")
        if any(later <= earlier for earlier, later in zip(self.at, self.at[1:], strict=False)):
            raise ValueError("the times must rise")
        return self


class Telemetry(Frozen):
    """What was measured around the incident."""

    series: tuple[Series, ...] = ()


class Gold(Frozen):
    """The truth, as far as it is known; at least one of the fields."""

    model_config = _DOCUMENTED

    runbook: Word | None = None
    """The runbook that fits, by its id."""
    action: Word | None = None
    """The action of that runbook that was right, by its id."""
    remediation: Text | None = None
    """What mended it, in words."""
    culprit: Word | None = None
    """The service where it began."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.runbook or self.remediation or self.culprit):
            raise ValueError("names no runbook, remediation or culprit; write null where nothing fits")
        if self.action and not self.runbook:
            raise ValueError("action needs the runbook that it is of")
        return self


class LabelledIncident(IncidentFile):
    """One incident of the past, what was measured around it, and the truth about it."""

    model_config = _DOCUMENTED

    id: Word
    """Unique in the file."""
    signals: tuple[LabelledSignal, ...] = Field(default=(), max_length=1000)
    detected_at: Instant | None = None
    """When the recommendation would have been asked for; nothing that was measured later is seen. Without it, the time
    of the latest signal, else the start, else the latest sample."""
    resolved_at: Instant | None = None
    """When people had mended it."""
    telemetry: Telemetry = Telemetry()
    gold: Gold | None
    """The truth; null says that nothing fits, so that abstaining is right."""
    source: str = ""
    """Where the row is from."""
    variant: dict[str, Any] = Field(default_factory=dict)
    """Free: how the row was made."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.started_at and self.resolved_at and self.resolved_at < self.started_at:
            raise ValueError("resolved_at is before started_at")
        return self

    @property
    def moment(self) -> datetime:
        """When the recommendation is asked for; the epoch where no time is known at all."""
        if self.detected_at:
            return self.detected_at
        spoke = [signal.at for signal in self.signals if signal.at] or ([self.started_at] if self.started_at else [])
        if spoke:
            return max(spoke)
        last = max((series.at[-1] for series in self.telemetry.series if series.at), default=0.0)
        return datetime.fromtimestamp(last, UTC)

    def asked(self) -> Incident:
        """The incident as the recommendation sees it, without the truth."""
        return self.to_incident(self.moment)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of one line."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **LabelledIncident.model_json_schema(mode="validation"),
    }


def schema_text() -> str:
    """The schema as `docs/labelled-incidents.schema.json` has it."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
