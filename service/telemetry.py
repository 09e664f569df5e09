"""Suture's own logs and metrics."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, TextIO

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_log = logging.getLogger(__name__)

_NOISY = ("httpx", "httpcore", "chromadb", "alembic", "dbos", "uvicorn.access", "LiteLLM", "openai", "urllib3")
"""Libraries that tell at `info` what only their own developers need."""


def configure_logging(level: str, form: Literal["text", "json"], stream: TextIO | None = None) -> None:
    """Send the logs of this process to `stream` (standard error), as text or as one JSON object a line.

    Third parties are heard from `warning` on, and at `debug` in full.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _NOISY:
        library = logging.getLogger(name)
        library.setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
        # Some libraries bring a handler of their own; every line is then written once, in our form.
        library.handlers.clear()
        library.propagate = True


class TextLines(logging.Formatter):
    """`2026-01-31T12:00:00.000Z INFO service.app: words`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802, ARG002  (theirs)
        """UTC, to the millisecond."""
        return _utc(record)

    def format(self, record: logging.LogRecord) -> str:
        """One line, but for tracebacks: a line break in a logged text cannot fake a second entry."""
        text = super().format(record)
        message = record.getMessage()
        return text.replace(message, message.replace("\r", "\\r").replace("\n", "\\n"), 1) if "\n" in message else text


class JsonLines(logging.Formatter):
    """One JSON object a line: `at`, `level`, `logger`, `message`, and `exception` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        entry = {
            "at": _utc(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def _utc(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


Reading = Callable[[], float | Mapping[str, float]]
"""Gives a number, or numbers by the value of one label, at the moment of a scrape."""


class Metrics:
    """Suture's own metrics, in a registry of their own: two installations in one process do not mix."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Histogram

        self.registry = CollectorRegistry()
        self._requests = Counter(
            "suture_http_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "suture_http_request_duration_seconds",
            "Time to answer, in seconds.",
            ["method", "route"],
            registry=self.registry,
        )
        self._readings = _Readings()
        self.registry.register(self._readings)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answered request. `route` is the template, so that series stay few."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def read(self, kind: Literal["gauge", "counter"], name: str, text: str, reading: Reading, label: str = "") -> None:
        """Add a metric that is asked for its value at every scrape; with `label`, `reading` gives one per value."""
        self._readings.add(kind, name, text, reading, label)

    def exposition(self) -> tuple[bytes, str]:
        """All metrics in the Prometheus text format, and its content type."""
        from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(self.registry), CONTENT_TYPE_LATEST


class _Readings:
    """A prometheus_client collector over callables."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: list[tuple[str, str, str, Reading, str]] = []

    def add(self, kind: str, name: str, text: str, reading: Reading, label: str) -> None:
        with self._lock:
            self._all.append((kind, name, text, reading, label))

    def describe(self) -> Iterable[Metric]:
        # Without it, registering would ask every reading, before the parts that they read are there.
        return []

    def collect(self) -> Iterable[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        families = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily}
        with self._lock:
            readings = list(self._all)
        for kind, name, text, reading, label in readings:
            try:
                value = reading()
            except Exception:  # noqa: BLE001  (the other metrics are wanted most when a part fails)
                _log.warning("the metric %s cannot be read", name, exc_info=True)
                continue
            family = families[kind](name, text, labels=[label] if label else None)
            for key, number in value.items() if isinstance(value, Mapping) else [("", value)]:
                family.add_metric([key] if label else [], number)
            yield family
