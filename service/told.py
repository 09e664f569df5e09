"""Signals that Suture repeats itself: their incidents may have ended meanwhile, and repeating would open them again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from sqlalchemy import Connection

from models.domain.incident import Incident
from models.domain.signal import Signal
from service.store.incidents import Incidents

Take = Callable[[Callable[[Connection], Sequence[Signal]]], object]
"""Takes the signals that a function gives, in the transaction in which that function writes."""


class Problems:
    """Logs why something cannot be measured when that appears or changes, and once when it is over."""

    def __init__(self, log: logging.Logger, kind: str) -> None:
        """`kind`: what they are called, before their names."""
        self._log = log
        self._kind = kind
        self._told: dict[str, str | None] = {}

    def say(self, name: str, problem: str | None) -> None:
        """The problem of `name` now; None: it is measured."""
        before = self._told.get(name)
        self._told[name] = problem
        if problem is not None and problem != before:
            self._log.warning("%s %s: not known: %s", self._kind, name, problem)
        elif problem is None and before is not None:
            self._log.info("%s %s is measured again", self._kind, name)


def ended_incidents(
    incidents: Incidents, connection: Connection, fingerprints: Collection[str], since: datetime
) -> dict[str, Incident]:
    """By fingerprint, the incident that ended last since then, where no active one has it."""
    wanted = set(fingerprints)
    if not wanted:
        return {}
    active = {signal.fingerprint for one in incidents.active(connection) for signal in one.signals}
    found: dict[str, Incident] = {}
    for incident in incidents.ended_since(connection, since):
        for fingerprint in {signal.fingerprint for signal in incident.signals} & (wanted - active):
            held = found.get(fingerprint)
            if held is None or _ended(incident) > _ended(held):
                found[fingerprint] = incident
    return found


def _ended(incident: Incident) -> datetime:
    return incident.ended_at or incident.updated_at
