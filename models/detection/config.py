"""The detector's settings: one set for all series."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, TypeVar

from pydantic import Field, ValidationError

from models.domain.base import Duration, Frozen
from models.domain.errors import BadInput

Settings = TypeVar("Settings", bound=Frozen)


class DetectorConfig(Frozen):
    """Section `detector.config` of the settings. Ticks are samples of a series, whatever their interval."""

    warmup: Annotated[int, Field(ge=5, le=100_000)] = 30
    """Ticks of a series before it is scored."""
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Share of false anomalies among those reported, over `horizon` ticks."""
    horizon: Annotated[int, Field(ge=10, le=100_000)] = 3600
    """Ticks over which false discoveries are controlled: an hour at one scrape a second."""
    persist: Annotated[int, Field(ge=1, le=20)] = 2
    """An anomaly is reported when it has held for this many ticks."""
    adapt_after: Annotated[int, Field(ge=10)] = 600
    """Ticks after which a lasting departure becomes the series' new normal. A state (`up`) never does."""
    floor_share: Annotated[float, Field(ge=0, lt=1)] = 0.03
    """The scale of a series is at least this share of its level, so that a constant series is not all surprise."""
    floor: Annotated[float, Field(ge=0)] = 0.005
    """The same in base units, for a level near 0: 5 ms, half a per cent."""
    forget_after: Duration = timedelta(hours=1)
    """A series without samples for this long leaves the state."""
    max_series: Annotated[int, Field(ge=1)] = 100_000
    """Series beyond this many are not scored; `refused` counts them."""


def read_config(config: Mapping[str, Any]) -> DetectorConfig:
    """The validated settings. Raises BadInput that names each wrong one."""
    return read_settings(DetectorConfig, config)


def read_settings(shape: type[Settings], config: Mapping[str, Any]) -> Settings:
    """A detector's settings in its own shape. Raises BadInput that names each wrong one."""
    try:
        return shape.model_validate(dict(config))
    except ValidationError as error:
        words = "; ".join(_explain(item, shape) for item in error.errors())
        raise BadInput(words, where="detector.config") from error


def _explain(item: Any, shape: type[Frozen]) -> str:
    name = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        return f"there is no setting {name!r}; there are {', '.join(shape.model_fields)}"
    return f"{name}: {item['msg']} (got {item['input']!r})"
