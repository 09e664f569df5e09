"""Waits until the service knows the healthy sandbox, by asking the service."""

from __future__ import annotations

import time
from contextlib import suppress

from evals.sandbox.client import Client
from evals.sandbox.config import WARMUP_TICKS
from evals.sandbox.sandbox import Sandbox
from evals.sandbox.service import RunningService
from models.domain.errors import Conflict, Unavailable
from models.domain.incident import ACTIVE_STATUSES, IncidentStatus

SETTLE_SECONDS = 150.0
CALM_TICKS = 15
"""Healthy ticks between two faults, so that the second is not read as the end of the first."""
_WORKING = ACTIVE_STATUSES - {IncidentStatus.ESCALATED}


def settle(service: RunningService, sandbox: Sandbox) -> None:
    """Return when every series had its warm-up and nothing was wrong for CALM_TICKS scrapes.

    What was handed to a person is resolved on the way, as the person would once all is mended: else the signals of the
    next failure would join it, and nobody would work on them. Raises Unavailable where the service takes no samples, or
    the sandbox does not become healthy.
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    calm_since: float | None = None
    while time.monotonic() < deadline:
        now = ticks(service)
        if not sandbox.serving() or _at_work(service) or _handed_back(service):
            calm_since = None
        elif calm_since is None:
            calm_since = now
        elif now >= WARMUP_TICKS and now - calm_since >= CALM_TICKS:
            return
        time.sleep(0.5)
    if ticks(service) == 0:
        raise Unavailable("the service scrapes no samples from the sandbox")
    raise Unavailable(f"the sandbox was not healthy, or an incident stayed open, for {SETTLE_SECONDS:.0f} s")


def wait_until_serving(sandbox: Sandbox) -> None:
    """Return when customers are served again. Raises Unavailable after SETTLE_SECONDS."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while not sandbox.serving():
        if time.monotonic() > deadline:
            raise Unavailable(f"the sandbox was not healthy for {SETTLE_SECONDS:.0f} s")
        time.sleep(0.2)


def ticks(service: RunningService) -> float:
    """Scrapes so far: samples kept, by series."""
    seen = service.metrics()
    return seen.get("suture_samples_total", 0.0) / max(1.0, seen.get("suture_series", 0.0))


def _handed_back(service: RunningService) -> bool:
    """Whether there was anything that a person had."""
    client = Client(service)
    handed_over = client.handed_over()
    for incident in handed_over:
        with suppress(Conflict):  # its signals went quiet just now
            client.resolve(incident, "mended by hand, as a person would")
    return bool(handed_over)


def _at_work(service: RunningService) -> bool:
    listed = service.get("/v1/incidents", environment="sandbox")["items"]
    return any(item["status"] in _WORKING for item in listed)
