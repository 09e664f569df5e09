"""Plays the variants of one session: sandbox and service up, one incident after the other, all mended by hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from random import Random
from threading import Event
from typing import Any

from evals.recording.alarms import alarm
from evals.recording.neighbour import Neighbour
from evals.recording.noise import NOISES, Noise, Scene
from evals.recording.plan import Session, Variant
from evals.recording.rows import row_of
from evals.recording.telemetry import recorded
from evals.sandbox.client import Client
from evals.sandbox.config import ENVIRONMENT, RUNBOOKS, SCRAPED, TOPOLOGY, scraped, write_settings
from evals.sandbox.fault import Fault, HeldRule
from evals.sandbox.load import set_load
from evals.sandbox.sandbox import Sandbox
from evals.sandbox.service import RunningService
from evals.sandbox.warmup import CALM_TICKS, NOT_SERVING, wait_for_calm, wait_until_serving
from models.domain.base import utc_now
from models.domain.errors import Conflict, NotFound, SutureError, Unavailable
from models.domain.incident import Incident
from models.domain.recommendation import Recommendation
from models.domain.topology import Topology
from runbooks import LIBRARY

DETECT_SECONDS = 45.0
"""For an incident and its recommendation; a fault that shows later is not recorded."""
_POLL = 0.25


class NotRecorded(SutureError):
    """A variant of which there is nothing to write; the words say why."""

    title = "not recorded"


class Stopped(Exception):
    """Somebody asked to stop."""


class Stage:
    """A running sandbox and the service that watches it, in mode suggest: it recommends, and nobody acts."""

    def __init__(self, session: Session, sandbox: Sandbox, service: RunningService, scene: Scene, stop: Event) -> None:
        """`open_stage` is the way in."""
        self._session = session
        self._sandbox = sandbox
        self._service = service
        self._scene = scene
        self._stop = stop
        self._client = Client(service)
        self._topology = Topology.model_validate(TOPOLOGY)

    def play(self, variant: Variant) -> dict[str, Any]:
        """One variant from a healthy system to a healthy system; the line for the file.

        Raises NotRecorded where nothing was detected, Unavailable where the sandbox or the service does not answer,
        Stopped.
        """
        noise = NOISES[variant.noise](self._scene) if variant.noise else None
        fault = variant.subject.fault(self._sandbox) if variant.subject.fault else None
        if fault is not None:
            fault.usual = self._session.load
            fault.prepare()
        self._calm(variant.pause)
        try:
            row = self._row(variant, fault, noise)
        except NotRecorded:
            self._mend(fault, noise)
            raise
        # After any other error the sandbox ends, and with it all that was broken in it.
        self._mend(fault, noise)
        return row

    def _row(self, variant: Variant, fault: Fault | None, noise: Noise | None) -> dict[str, Any]:
        random = variant.random()
        chosen: dict[str, Any] = {}
        if noise is not None:
            chosen["noise_strength"] = noise.begin(random)
            self._close_all()
        began = utc_now()
        affected, alert = self._break(variant, fault, random, chosen)
        incident, made = self._recommended(affected, began)
        chosen["seconds_to_recommendation"] = round((made.created_at - began).total_seconds(), 1)
        series = recorded(self._service.state_dir, made.created_at)
        try:
            return row_of(
                variant, self._session, incident, made, self._topology, series, chosen,
                lambda signal: signal.name == alert if alert else signal.service == affected,
            )  # fmt: skip
        except ValueError as error:
            raise NotRecorded(str(error)) from error

    def _break(
        self, variant: Variant, fault: Fault | None, random: Random, chosen: dict[str, Any]
    ) -> tuple[str, str | None]:
        """Do the harm, or send the alarm; the service that is then affected, and the alert where one tells of it."""
        if fault is None:
            signal = alarm(variant.subject.name, random)
            self._service.post("/v1/signals", {"signals": [signal]})
            chosen["alert"] = signal["name"]
            return str(signal["labels"]["service"]), str(signal["name"])
        chosen["strength"] = fault.vary(random)
        fault.inject()
        if fault.alert is None:
            return fault.service, None
        rule = HeldRule(fault)
        if not self._poll(lambda: rule.fires() or None, DETECT_SECONDS):
            raise NotRecorded(f"the rule of {fault.alert} did not hold within {DETECT_SECONDS:.0f} s")
        labels = SCRAPED[fault.alert_from or fault.process]
        self._client.alert(fault.alert, labels | {"environment": ENVIRONMENT})
        return labels["service"], fault.alert

    def _recommended(self, affected: str, since: datetime) -> tuple[Incident, Recommendation]:
        """The incident and its first recommendation."""

        def look() -> tuple[Incident, Recommendation] | None:
            incident = self._client.incident_of(affected, since)
            made = self._client.recommendation(incident.id, since) if incident else None
            return (incident, made) if incident and made else None

        found = self._poll(look, DETECT_SECONDS)
        if found is None:
            raise NotRecorded(f"nothing was recommended within {DETECT_SECONDS:.0f} s")
        # Once more: the incident that was just listed may be older than the recommendation.
        return self._client.incident(found[0].id), found[1]

    def _mend(self, fault: Fault | None, noise: Noise | None) -> None:
        """End the fault by hand. What Suture recommended is not looked at."""
        if fault is not None:
            fault.heal()
        if noise is not None:
            noise.end()
        set_load(self._sandbox.layout, self._session.load)
        wait_until_serving(self._sandbox)
        self._close_all()

    def _calm(self, pause: float) -> None:
        """Return when the service has had its warm-up and nothing was wrong for CALM_TICKS and `pause` seconds."""

        def unrest() -> str:
            if not self._sandbox.serving():
                return NOT_SERVING
            return "incidents open again and again" if self._close_all() else ""

        wait_for_calm(self._service, unrest, self._sleep, warmup=self._session.warmup, calm=CALM_TICKS + pause)

    def _close_all(self) -> int:
        """Close every incident, so that the next fault opens its own; how many there were.

        One that is closed, not resolved, is not opened again and leaves no postmortem: the next recommendation knows
        nothing of it.
        """
        active = self._client.active()
        for incident in active:
            with suppress(Conflict, NotFound, Unavailable):
                self._service.post(f"/v1/incidents/{incident.id}/close", {"reason": "recorded"})
        return len(active)

    def _poll(self, look: Callable[[], Any], seconds: float) -> Any:
        """The first answer that is not None, or None after so many seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = look()
            if found is not None:
                return found
            self._sleep(_POLL)
        return None

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Stopped


@contextmanager
def open_stage(session: Session, seed: int, folder: Path, stop: Event) -> Iterator[Stage]:
    """Start a sandbox and a service below `folder`; both end with the block. Raises as Sandbox.start does."""
    subject = session.variants[0].subject
    with Sandbox.start(folder, seed=seed) as sandbox, Neighbour(Random(f"{seed}/neighbour")) as neighbour:  # noqa: S311
        set_load(sandbox.layout, session.load)
        changes = {
            "modes": {ENVIRONMENT: "suggest"},
            "runbooks": [str(path) for path in (LIBRARY, RUNBOOKS, *subject.runbooks)],
            "scrape": [*scraped(sandbox.layout), neighbour.target],
            **subject.settings,
        }
        with RunningService.start(write_settings(sandbox.layout, **changes), folder) as service:
            yield Stage(session, sandbox, service, Scene(sandbox, neighbour, session.load), stop)
