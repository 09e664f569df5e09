"""Telemetry that is pushed as JSON: checks every item by itself, keeps the good ones and says why others are not."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from models.detection.batch import Batch
from models.domain.base import Frozen, Labels
from models.domain.errors import BadInput
from service.instants import as_float, read_instant

MAX_LABELS = 64
MAX_VALUE_LENGTH = 4096

# https://prometheus.io/docs/concepts/data_model/#metric-names-and-labels
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_SPELLED = {"NaN": math.nan, "+Inf": math.inf, "-Inf": -math.inf}

_Series = frozenset[tuple[str, str]]


class Refused(Frozen):
    """An item that was not taken: its JSON path, and what is wrong with it."""

    path: str
    problem: str


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What a payload held: batches in time order, and what was refused."""

    batches: tuple[Batch, ...]
    refused: tuple[Refused, ...]

    @property
    def accepted(self) -> int:
        """How many samples the batches hold."""
        return sum(len(batch.series) for batch in self.batches)


def read_telemetry(payload: object, *, now: datetime, retention: timedelta) -> Telemetry:
    """The samples of `{"samples": [{"labels": {...}, "at": …, "value": …}, …]}`.

    `labels` holds the metric as `__name__`; `at` is RFC 3339 with a zone, or unix seconds, between `now - retention`
    and ten minutes ahead, and `now` where it is left out; `value` is a number, "NaN", "+Inf" or "-Inf". Of two samples
    of one series at one time the later in the list stays. Raises BadInput where the payload is no object or has no
    list `samples`.
    """
    if not isinstance(payload, dict):
        raise BadInput("write an object with a list `samples`", where="$")
    items = payload.get("samples")
    if not isinstance(items, list):
        raise BadInput("write a list of {labels, at, value}", where="$.samples")
    refused = [Refused(path=f"$.{name}", problem="unknown field") for name in payload if name != "samples"]
    by_time: dict[float, dict[_Series, tuple[Labels, float]]] = {}
    for place, item in enumerate(items):
        try:
            labels, at, value = _sample(item, now, retention)
        except _Problem as problem:
            refused.append(Refused(path=f"$.samples[{place}]{problem.path}", problem=problem.words))
            continue
        by_time.setdefault(at, {})[frozenset(labels.items())] = (labels, value)
    return Telemetry(tuple(_batch(at, by_time[at]) for at in sorted(by_time)), tuple(refused))


class _Problem(Exception):
    def __init__(self, path: str, words: str) -> None:
        self.path = path
        self.words = words


def _batch(at: float, series: Mapping[_Series, tuple[Labels, float]]) -> Batch:
    return Batch(
        at=at,
        series=tuple(labels for labels, _ in series.values()),
        values=np.array([value for _, value in series.values()], dtype=np.float64),
    )


def _sample(item: object, now: datetime, retention: timedelta) -> tuple[Labels, float, float]:
    if not isinstance(item, dict):
        raise _Problem("", "write an object {labels, at, value}")
    for field in ("labels", "value"):
        if field not in item:
            raise _Problem(f".{field}", "missing")
    for field in item:
        if field not in ("labels", "at", "value"):
            raise _Problem(f".{field}", "unknown field")
    at = _time(item["at"], now, retention) if "at" in item else now.timestamp()
    return _labels(item["labels"]), at, _value(item["value"])


def _labels(given: object) -> Labels:
    if not isinstance(given, dict):
        raise _Problem(".labels", "write an object of label names and texts")
    if len(given) > MAX_LABELS:
        raise _Problem(".labels", f"{len(given)} labels; at most {MAX_LABELS} are taken")
    for name, value in given.items():
        _check_label(name, value)
    if not _METRIC.fullmatch(given.get("__name__", "")):
        raise _Problem(".labels.__name__", "the metric's name: letters, digits, _ and :, not first a digit")
    # A label with an empty value is the same as none.
    return {name: value for name, value in given.items() if value}


def _check_label(name: str, value: object) -> None:
    if not _LABEL.fullmatch(name):
        raise _Problem(f".labels[{name[:100]!r}]", "a label's name has letters, digits and _, not first a digit")
    path = f".labels.{name[:100]}"
    if name.startswith("__") and name != "__name__":
        raise _Problem(path, "names with two leading underscores are reserved")
    if not isinstance(value, str):
        raise _Problem(path, f"write a text, not {type(value).__name__}")
    if len(value) > MAX_VALUE_LENGTH:
        raise _Problem(path, f"a text of {len(value)} characters; at most {MAX_VALUE_LENGTH} are taken")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _Problem(path, "half of a surrogate pair is not valid text") from None


def _time(given: object, now: datetime, retention: timedelta) -> float:
    try:
        return read_instant(given, now, retention)
    except ValueError as error:
        raise _Problem(".at", str(error)) from error


def _value(given: object) -> float:
    if isinstance(given, str) and given in _SPELLED:
        return _SPELLED[given]
    if isinstance(given, int | float) and not isinstance(given, bool):
        try:
            return as_float(given)
        except ValueError as error:
            raise _Problem(".value", str(error)) from error
    raise _Problem(".value", 'write a number, "NaN", "+Inf" or "-Inf"')
