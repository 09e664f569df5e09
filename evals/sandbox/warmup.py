"""Waits until the service knows the healthy sandbox, by asking the service."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from evals.sandbox.client import Client
from evals.sandbox.config import WARMUP_TICKS
from evals.sandbox.sandbox import Sandbox
from evals.sandbox.service import RunningService
from models.domain.errors import Conflict, Unavailable
from models.domain.incident import WITH_PEOPLE_STATUSES

SETTLE_SECONDS = 150.0
CALM_TICKS = 8
"""Healthy ticks between two faults, so that the second is not read as the end of the first."""
NOT_SERVING = "the sandbox does not serve its customers"


def settle(service: RunningService, sandbox: Sandbox) -> None:
    """Return when every series had its warm-up and nothing was wrong for CALM_TICKS scrapes.

    What was handed to a person, or waits for one's approval, is resolved on the way, as the person would once all is
    mended: else the signals of the next failure would join it, and nobody would work on them. Raises Unavailable where
    the service takes no samples, or something stays unwell.
    """
    wait_for_calm(service, lambda: _unrest(service, sandbox), time.sleep)


def wait_for_calm(
    service: RunningService,
    unrest: Callable[[], str],
    sleep: Callable[[float], object],
    *,
    warmup: float = WARMUP_TICKS,
    calm: float = CALM_TICKS,
) -> None:
    """Return once the service had `warmup` scrapes and `unrest` found nothing for `calm` of them.

    `unrest` says what is not well, in words, and may mend it on the way; empty where all is. `sleep` takes seconds.
    Raises Unavailable after SETTLE_SECONDS with the last of those words.
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    calm_since: float | None = None
    in_the_way = "it had no time to learn what is normal"
    while time.monotonic() < deadline:
        now = ticks(service)
        if words := unrest():
            in_the_way = words
            calm_since = None
        elif calm_since is None:
            calm_since = now
        elif now >= warmup and now - calm_since >= calm:
            return
        sleep(0.5)
    if ticks(service) == 0:
        raise Unavailable("the service scrapes no samples from the sandbox")
    raise Unavailable(f"not all was well for long enough within {SETTLE_SECONDS:.0f} s: {in_the_way}")


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


def _unrest(service: RunningService, sandbox: Sandbox) -> str:
    """What is not well, in words; empty where all is. What a person had is resolved."""
    if not sandbox.serving():
        return NOT_SERVING
    client = Client(service)
    active = client.active()
    for incident in active:
        if incident.status in WITH_PEOPLE_STATUSES:
            with suppress(Conflict):  # it ended just now, or went on
                client.resolve(incident.id, "mended by hand, as a person would")
    return "; ".join(f"{one.id} ({one.title}) is {one.status}" for one in active)
