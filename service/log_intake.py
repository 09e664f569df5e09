"""The way in for log lines and events: counted in memory, sampled for the detector, what is new sent on as signals."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from models.detection.logs.book import LogBook
from models.detection.logs.lines import LogLine, Taken, Tick
from models.domain.base import Clock, Frozen, Time
from models.domain.errors import Unavailable
from models.domain.signal import Signal
from models.redaction import Redaction, redacted_words
from service.intake import Intake
from service.settings import Settings
from service.store.changes import Changes
from service.store.state import DetectorStates

_log = logging.getLogger(__name__)

STATE = "logs"


class LogTemplate(Frozen):
    """One template of one service, redacted for people's eyes."""

    service: str
    environment: str
    id: str
    """The label `template` of its series."""
    level: str
    template: str
    """`<*>` for a word that differs from line to line; `<num>`, `<id>`, `<ip>` and the like for what was masked."""
    count: int
    first_at: Time
    last_at: Time
    example: str
    """The first line of it, masked."""


class LogIntake:
    """Takes lines. Safe to call from several threads."""

    def __init__(
        self, intake: Intake, states: DetectorStates, changes: Changes, settings: Settings, clock: Clock
    ) -> None:
        self._intake = intake
        self._states = states
        self._changes = changes
        self._redaction = settings.redaction
        self._detects = settings.detector.name != "off"
        self._settings = settings.logs
        self._clock = clock
        self._book = LogBook(settings.logs)
        # Lines of two requests go on with one stream's time.
        self._lock = threading.Lock()
        self._works = False

    def start(self) -> None:
        """Continue with the state that was saved; from now on lines are taken in this process."""
        saved = self._states.load(STATE)
        if saved is not None:
            try:
                self._book.restore(saved)
            except ValueError as error:
                _log.warning("log templates are learnt afresh: %s", error)
        self._works = True

    def save(self) -> None:
        """Keep what is known for the next start."""
        if self._works:
            with self._lock:
                state = self._book.dump()
            self._states.save(STATE, state)

    def lines(self, lines: Sequence[LogLine]) -> Taken:
        """Count lines; what became of them, in numbers. Raises Unavailable in a process that does not detect."""
        if not self._works:
            raise Unavailable("this process does not take logs; send them to one with the role all or detector")
        with self._lock:
            taken, ticks = self._book.take(lines, self._clock().timestamp())
            self._send(ticks)
        return taken

    def tick(self) -> None:
        """Count events that were stored meanwhile, and sample what the clock has finished."""
        now = self._clock().timestamp()
        with self._lock:
            for number, event in self._changes.after(self._book.changes_seen):
                self._send(self._book.changed(event.kind, (event.service, event.environment), now))
                self._book.changes_seen = number
            self._send(self._book.tick(now))

    def templates(self, service: str | None = None) -> list[LogTemplate]:
        """The templates, of one service or of all, the most frequent first; as last saved, in another process."""
        if not self._works:
            return saved_templates(self._states, self._redaction, service)
        with self._lock:
            return templates_of(self._book, self._redaction, service)

    @property
    def total(self) -> Taken:
        """What became of all lines."""
        return self._book.total

    def _send(self, ticks: Iterable[Tick]) -> None:
        for tick in ticks:
            self._intake.telemetry([tick.batch], self._told)
            if tick.signals and self._detects:
                self._intake.signals([self._redacted(signal) for signal in tick.signals])

    def _told(self, signal: Signal) -> Signal:
        return self._book.describe(signal, lambda text: redacted_words(text, self._redaction))

    def _redacted(self, signal: Signal) -> Signal:
        return signal.model_copy(update={"text": redacted_words(signal.text, self._redaction)})


def saved_templates(states: DetectorStates, redaction: Redaction, service: str | None = None) -> list[LogTemplate]:
    """The templates as the process that takes logs saved them last, at most half a minute ago. Raises Unavailable."""
    from models.detection.logs.config import LogSettings

    saved = states.load(STATE)
    if saved is None:
        return []
    book = LogBook(LogSettings(max_templates=10_000, max_services=10_000))
    try:
        book.restore(saved)
    except ValueError as error:
        raise Unavailable(f"{error}; the process that takes logs saves a new one within half a minute") from error
    return templates_of(book, redaction, service)


def templates_of(book: LogBook, redaction: Redaction, service: str | None) -> list[LogTemplate]:
    """The templates of a book, redacted, the most frequent first."""
    found = [
        LogTemplate(
            service=log.owner[0],
            environment=log.owner[1],
            id=str(one.id),
            level=one.level,
            template=redacted_words(log.templates.words(one), redaction),
            count=one.count,
            first_at=datetime.fromtimestamp(one.first_at, UTC),
            last_at=datetime.fromtimestamp(one.last_at, UTC),
            example=redacted_words(one.example, redaction),
        )
        for log in book.services.values()
        if service is None or log.owner[0] == service
        for one in log.templates.by_id.values()
    ]
    return sorted(found, key=lambda one: (-one.count, one.service, one.environment, int(one.id)))
