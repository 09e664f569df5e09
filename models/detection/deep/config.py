"""The deep tier's settings: one set for all series."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field

from models.detection.config import read_settings
from models.domain.base import Duration, Frozen


class DeepConfig(Frozen):
    """Section `detector.config` of the settings where `detector.name` is `deep`."""

    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Share of false anomalies among those reported, over `horizon` ticks."""
    horizon: Annotated[int, Field(ge=10, le=100_000)] = 3600
    """Ticks over which false discoveries are controlled."""
    lasts_at_most: Annotated[int, Field(ge=1, le=100_000)] = 600
    """Ticks that an anomaly is reported while the series stays beyond its band; then that is the new normal."""
    forget_after: Duration = timedelta(days=7)
    """A series without samples for this long leaves the state, and its past with it."""
    max_series: Annotated[int, Field(ge=1, le=10_000)] = 500
    """Series beyond this many are not scored; `refused` counts them. Each takes 68 kB."""


def read_config(config: Mapping[str, Any]) -> DeepConfig:
    """The validated settings. Raises BadInput that names each wrong one."""
    return read_settings(DeepConfig, config)
