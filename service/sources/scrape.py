"""Scrapes Prometheus exposition endpoints: all targets at once, one batch a tick.

Labels are joined as Prometheus does with `honor_labels: false`:
https://prometheus.io/docs/prometheus/latest/configuration/configuration/#scrape_config
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

import httpx
import numpy as np

from models.detection.batch import Batch
from models.domain.base import Labels
from models.domain.errors import BadInput
from service.settings import ScrapeTarget
from service.sources.exposition import ACCEPT, Malformed, read_exposition

MAX_BYTES = 32 * 1024 * 1024
"""Largest body, after decompression. A target with 100,000 series exposes about 15 MB."""

# https://prometheus.io/docs/concepts/data_model/#metric-names-and-labels
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

_log = logging.getLogger(__name__)


class _Failed(Exception):
    """Why a scrape gave nothing."""


@dataclass(frozen=True, slots=True)
class _Fetched:
    body: bytes
    content_type: str
    seconds: float
    error: str | None


class Scraper:
    """Fetches a fixed set of targets. Use it from one thread at a time, and not inside a running event loop."""

    def __init__(
        self,
        targets: Sequence[ScrapeTarget],
        timeout: timedelta,
        *,
        max_bytes: int = MAX_BYTES,
        stopwatch: Callable[[], float] = time.monotonic,
    ) -> None:
        """`timeout` is for one target, until its last byte; `stopwatch` tells seconds.

        Raises BadInput where a label's name is wrong or two targets have equal labels.
        """
        self._targets = tuple(targets)
        self._labels = [{name: value for name, value in target.labels.items() if value} for target in targets]
        for place, labels in enumerate(self._labels):
            _check(labels, place, self._labels[:place])
        self._timeout = timeout.total_seconds()
        self._max_bytes = max_bytes
        self._stopwatch = stopwatch
        self._runner: asyncio.Runner | None = None
        self._client: httpx.AsyncClient | None = None
        self.last_error: dict[str, str | None] = {target.url: None for target in targets}
        """Why the last scrape of each URL failed; None where it did not."""

    def scrape(self, at: datetime) -> Batch:
        """All targets' samples, with the target's labels, as of `at`. Never raises for a target that fails.

        Each target adds `up` (1 or 0), `scrape_duration_seconds` and `scrape_samples_scraped`. A label of the
        exposition that the target has too becomes `exported_<name>`. Of two samples with equal labels the first stays.
        """
        if self._runner is None:
            self._runner = asyncio.Runner()
        found: dict[frozenset[tuple[str, str]], tuple[Labels, float]] = {}
        # Texts are parsed after all have come: parsing in the loop would eat into the others' timeouts.
        for target, labels, fetched in zip(self._targets, self._labels, self._runner.run(self._all()), strict=True):
            for exposed, value in self._samples(target, fetched):
                joined = join_labels(exposed, labels)
                found.setdefault(frozenset(joined.items()), (joined, value))
        return Batch(
            at=at.timestamp(),
            series=tuple(labels for labels, _ in found.values()),
            values=np.array([value for _, value in found.values()], dtype=np.float64),
        )

    def close(self) -> None:
        """Close connections."""
        if self._runner is not None:
            if self._client is not None:
                self._runner.run(self._client.aclose())
            self._runner.close()
            self._runner = self._client = None

    def __enter__(self) -> Self:
        """Closes at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close connections."""
        self.close()

    async def _all(self) -> list[_Fetched]:
        if self._client is None:
            self._client = httpx.AsyncClient(
                headers={"Accept": ACCEPT, "User-Agent": "suture"},
                timeout=self._timeout,
                follow_redirects=True,
                trust_env=False,  # targets are inside: never through a proxy
                limits=httpx.Limits(max_connections=None),
            )
        return await asyncio.gather(*(self._one(self._client, target.url) for target in self._targets))

    async def _one(self, client: httpx.AsyncClient, url: str) -> _Fetched:
        began = self._stopwatch()
        body, content_type, error = b"", "", None
        try:
            # The client's own timeout starts again with every byte; this one does not.
            async with asyncio.timeout(self._timeout):
                body, content_type = await self._fetch(client, url)
        except (TimeoutError, httpx.TimeoutException):
            error = f"no whole answer within {self._timeout:g} s"
        except (httpx.HTTPError, httpx.InvalidURL) as failure:
            error = f"cannot be reached: {failure or type(failure).__name__}"
        except _Failed as failure:
            error = str(failure)
        return _Fetched(body, content_type, self._stopwatch() - began, error)

    async def _fetch(self, client: httpx.AsyncClient, url: str) -> tuple[bytes, str]:
        async with client.stream("GET", url) as response:
            if response.status_code != 200:
                raise _Failed(f"answered with status {response.status_code}")
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > self._max_bytes:
                    raise _Failed(f"exposes more than {self._max_bytes} bytes")
            return bytes(body), response.headers.get("Content-Type", "")

    def _samples(self, target: ScrapeTarget, fetched: _Fetched) -> list[tuple[Labels, float]]:
        error = fetched.error
        samples: list[tuple[Labels, float]] = []
        if error is None:
            try:
                samples = read_exposition(fetched.body, fetched.content_type)
            except Malformed as failure:
                error = f"malformed exposition: {failure}"
        self._note(target, error)
        # First, so that they win over an exposition that has such names without labels.
        return [
            ({"__name__": "up"}, float(error is None)),
            ({"__name__": "scrape_duration_seconds"}, fetched.seconds),
            ({"__name__": "scrape_samples_scraped"}, float(len(samples))),
            *samples,
        ]

    def _note(self, target: ScrapeTarget, error: str | None) -> None:
        if error is not None and error != self.last_error[target.url]:
            _log.warning("scrape of %s failed: %s", target.url, error)
        elif error is None and self.last_error[target.url] is not None:
            _log.info("scrape of %s works again", target.url)
        self.last_error[target.url] = error


def _check(labels: Labels, place: int, earlier: Sequence[Labels]) -> None:
    where = f"scrape.{place}.labels"
    for name in labels:
        if not _LABEL.fullmatch(name) or name.startswith("__"):
            raise BadInput(f"{name!r} cannot name a label: letters, digits and _, no digit or two _ first", where=where)
    if labels in earlier:
        raise BadInput(f"the same as of scrape.{earlier.index(labels)}; add one that tells them apart", where=where)


def join_labels(exposed: Labels, target: Labels) -> Labels:
    """The labels of a sample with its target's, which win; a clash keeps the exposed one as `exported_<name>`."""
    joined = {name: value for name, value in exposed.items() if name not in target}
    for name in exposed.keys() & target.keys():
        kept = f"exported_{name}"
        while kept in exposed or kept in target or kept in joined:
            kept = f"exported_{kept}"
        joined[kept] = exposed[name]
    return joined | target
