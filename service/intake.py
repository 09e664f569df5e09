"""The way in: telemetry is stored and scored, signals are stored as incidents before they are acknowledged."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from models.correlation import Correlation, quiet
from models.correlation.companions import Companions, kind_of
from models.correlation.correlate import REOPEN_WITHIN
from models.detection.batch import Batch, Detector
from models.detection.feedback import Tolerances, Tunable
from models.domain.base import Clock, Frozen
from models.domain.errors import Conflict, Unavailable
from models.domain.incident import WITH_PEOPLE_STATUSES, Incident, IncidentStatus
from models.domain.signal import Signal
from service.changing import ChangeNotes
from service.detector_room import DetectorRoom
from service.detector_view import restore_saved
from service.lately import Lately
from service.pipeline import Pipeline
from service.settings import Settings
from service.silencing import sift
from service.store.companions import learn_from_resolved, pairs_of
from service.store.database import CORRELATE, Database
from service.store.deliveries import Deliveries
from service.store.incidents import Incidents
from service.store.samples import SampleStore
from service.store.state import CorrelationMemory, DetectorStates

_log = logging.getLogger(__name__)


_SHARE_HOLDS_SECONDS = 5.0
"""Of what writes every few seconds, and mostly tells nothing."""


class SignalReceipt(Frozen):
    """What became of one signal."""

    fingerprint: str
    incident: str | None
    """None where it neither opened nor joined an incident."""
    note: str


class Intake:
    """Takes telemetry and signals. Safe to call from several threads."""

    def __init__(
        self,
        pipeline: Pipeline,
        database: Database,
        incidents: Incidents,
        samples: SampleStore,
        states: DetectorStates,
        settings: Settings,
        clock: Clock,
        notes: ChangeNotes | None = None,
    ) -> None:
        """`notes` puts on an incident what changed shortly before it; without, nothing is put there."""
        self._pipeline = pipeline
        self._notes = notes
        self._database = database
        self._incidents = incidents
        self._samples = samples
        self._states = states
        self._settings = settings
        self._clock = clock
        self._memory = CorrelationMemory()
        self._deliveries = Deliveries(database, clock)
        # The detector's state is one: batches are scored in the order in which they come.
        self._detecting = threading.Lock()
        self._detects = False
        self._lately_failing = Lately(pipeline.failing_share, _SHARE_HOLDS_SECONDS)
        self.room = DetectorRoom(pipeline.detector, clock)
        self._tolerances: Tolerances = {}

    def start_detecting(self) -> None:
        """Continue with the state that was saved; from now on telemetry is scored in this process."""
        detector = self._pipeline.detector
        saved = self._states.load(self._settings.detector.name) if detector else None
        if detector is not None and saved is not None:
            try:
                detector.restore(saved)
            except ValueError as error:
                _log.warning("the detector starts afresh, its saved state is of another version: %s", error)
        self._detects = True

    def save_detector(self) -> None:
        """Keep what the detector knows for the next start."""
        if self._pipeline.detector is not None and self._detects:
            with self._detecting:
                state = self._pipeline.detector.dump()
            self._states.save(self._settings.detector.name, state)

    def tune(self, tolerances: Tolerances) -> None:
        """Let the detector that runs here follow what people said; for one that takes no feedback, nothing."""
        detector = self._pipeline.detector
        if detector is None or tolerances == self._tolerances:
            return
        self._tolerances = tolerances
        if isinstance(detector, Tunable):
            with self._detecting:
                detector.tune(tolerances)
            _log.info("the detector follows feedback on %d classes of series", len(tolerances))

    @contextmanager
    def viewed(self) -> Iterator[tuple[Detector, datetime]]:
        """The detector, which stands still meanwhile, and when it stood so: now, or when it was saved elsewhere.

        Raises Conflict where it is off, NotFound where it runs in no process yet.
        """
        detector, name = self._pipeline.detector, self._settings.detector.name
        if detector is None:
            raise Conflict("the detector is off; set detector.name")
        with self._detecting:
            at = self._clock() if self._detects else restore_saved(name, detector, self._states)
            yield detector, at

    def telemetry(
        self, batches: Sequence[Batch], told: Callable[[Signal], Signal] = lambda signal: signal
    ) -> list[Incident]:
        """Store samples, score them, and let what departs open or join incidents; returns those.

        `told` gives a signal the words of whoever made its series. Raises Unavailable in a process that does not
        detect: samples that nobody scores would be lost silently.
        """
        if not self._detects:
            raise Unavailable("this process does not take telemetry; send it to one with the role all or detector")
        touched: dict[str, Incident] = {}
        for batch in batches:
            self._samples.append(batch)
            with self._detecting:
                signals = [told(signal) for signal in self._pipeline.detect(batch)]
                self.room.look()
                changed = self._correlate(signals).changed if signals else ()
            touched.update({incident.id: incident for incident, _ in changed})
        return list(touched.values())

    def signals(self, signals: Sequence[Signal]) -> list[SignalReceipt]:
        """Take signals; when this returns they are in the database. One receipt each, in order."""
        return _receipts(signals, self._correlate(signals))

    def with_writing(self, write: Callable[[Connection], Sequence[Signal]]) -> list[SignalReceipt]:
        """Take the signals that `write` gives, in the transaction in which it writes: both happen, or neither."""
        share = self._lately_failing()
        with self._database.write() as connection:
            # First, as everywhere: `write` may look at incidents, and two orders of locks would block each other.
            self._database.lock(connection, CORRELATE)
            signals = write(connection)
            taken = self._correlate_in(connection, signals, share) if signals else _Taken((), {})
        return _receipts(signals, taken)

    def delivery(self, webhook: str, identifier: str, signals: Sequence[Signal]) -> list[SignalReceipt] | None:
        """As `signals`, at most once for an identifier: None where it was taken before, on whichever replica.

        One transaction has both: a delivery that could not be taken in is not known, and may come again.
        """
        share = self._pipeline.failing_share()
        with self._database.write() as connection:
            if not self._deliveries.add(connection, webhook, identifier):
                return None
            taken = self._correlate_in(connection, signals, share)
        return _receipts(signals, taken)

    def resolve_quiet(self) -> list[str]:
        """Resolve incidents whose signals went quiet and on which nothing is being done; returns their ids.

        What was resolved since the last time, by whomever, teaches which signals belong together.
        """
        resolved = []
        with self._database.write() as connection:
            self._database.lock(connection, CORRELATE)
            # While a remediation is on its way it decides how the incident ends.
            with_people = [i for i in self._incidents.active(connection) if i.status in WITH_PEOPLE_STATUSES]
            for incident in quiet(with_people, self._clock(), self._settings.resolve_after):
                reason = "all of its signals went quiet"
                self._incidents.transition_in(connection, incident.id, IncidentStatus.RESOLVED, reason)
                resolved.append(incident.id)
            learn_from_resolved(connection, self._clock())
        return resolved

    def _correlate(self, signals: Sequence[Signal]) -> _Taken:
        share = self._pipeline.failing_share()
        with self._database.write() as connection:
            return self._correlate_in(connection, signals, share)

    def _correlate_in(self, connection: Connection, signals: Sequence[Signal], share: float | None) -> _Taken:
        now = self._clock()
        self._database.lock(connection, CORRELATE)
        memory = self._memory.load(connection)
        active = self._incidents.active(connection)
        recent = self._incidents.ended_since(connection, now - REOPEN_WITHIN)
        known = {signal.fingerprint for incident in active for signal in incident.signals}
        heard = sift(connection, signals, known, memory, now)
        fresh = [signal for signal in (*heard.signals, *heard.memory.pending) if signal.fingerprint not in known]
        companions = Companions(pairs_of(connection, {kind_of(signal) for signal in fresh}), now)
        found = self._pipeline.correlate(heard.signals, active, recent, heard.memory, companions)
        changed = self._store(connection, found, share)
        if self._notes is not None:
            for incident in changed:
                self._notes.note(connection, incident)
        if found.memory != memory:
            self._memory.save(connection, found.memory)
        for absorbed, into in found.merged:
            self._absorb(connection, absorbed, into)
        return _Taken(tuple(zip(changed, found.taken, strict=True)), heard.silenced)

    def _store(self, connection: Connection, found: Correlation, share: float | None) -> list[Incident]:
        """The incidents that were opened, updated and reopened, in this order, as they are stored."""
        assessed = partial(self._pipeline.assess, failing_share=share)
        changed: list[Incident] = []
        for draft in map(assessed, found.opened):
            changed.append(self._incidents.add(connection, draft))
            for entry in draft.timeline:
                if entry.kind == "severity":
                    self._incidents.note(connection, changed[-1].id, entry.kind, entry.text, entry.data)
        for incident in (*found.updated, *found.reopened):
            now_known = assessed(incident)
            changed.append(self._incidents.save(connection, now_known))
            for entry in now_known.timeline:
                self._incidents.note(connection, incident.id, entry.kind, entry.text, entry.data)
        for incident in found.reopened:
            reason = "its signals came back shortly after it ended"
            self._incidents.transition_in(connection, incident.id, IncidentStatus.OPEN, reason)
        return changed

    def _absorb(self, connection: Connection, absorbed: str, into: str) -> None:
        reason = f"merged into {into}: what it is about is a consequence of that"
        closing = self._incidents.held(connection, absorbed).model_copy(update={"merged_into": into})
        self._incidents.save(connection, closing)
        self._incidents.transition_in(connection, absorbed, IncidentStatus.CLOSED, reason, data={"into": into})
        text = f"{absorbed} is a consequence of this: its signals are here now"
        self._incidents.note(connection, into, "merged", text, {"from": absorbed})


@dataclass(frozen=True)
class _Taken:
    """What signals changed."""

    changed: tuple[tuple[Incident, frozenset[str]], ...]
    """Incidents, each with the fingerprints that came into it."""
    silenced: dict[str, str]
    """By fingerprint, the silence that held it back."""


def _receipts(signals: Sequence[Signal], taken: _Taken) -> list[SignalReceipt]:
    homes = {fingerprint: incident.id for incident, own in reversed(taken.changed) for fingerprint in own}
    return [
        SignalReceipt(
            fingerprint=signal.fingerprint,
            incident=homes.get(signal.fingerprint),
            note=_note(signal, homes.get(signal.fingerprint), taken.silenced.get(signal.fingerprint)),
        )
        for signal in signals
    ]


def _note(signal: Signal, incident: str | None, silence: str | None) -> str:
    if incident is not None:
        return f"part of {incident}"
    if silence is not None:
        return f"it opened no incident: {silence} silences it"
    why = "it is resolved" if signal.status == "resolved" else "it repeats what is known, or waits for a second signal"
    return f"it opened no incident: {why}"
