"""What runs beside the API: scraping and detecting in one thread, starting remediations in another."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from models.domain.errors import SutureError
from service.detector_view import in_force
from service.discovery.metrics import EVERY as LOOK_FOR_CALLS_EVERY
from service.parts import Parts
from service.remediation.replica import BEATS
from service.sources.scrape import Scraper

_log = logging.getLogger(__name__)

# Prometheus' own default.
_SCRAPE_TIMEOUT = timedelta(seconds=10)
_SAVE_EVERY = timedelta(seconds=30)
_TUNE_EVERY = timedelta(seconds=2)
_PRUNE_EVERY = timedelta(minutes=1)
_RESOLVE_EVERY = timedelta(seconds=5)
# Of the objectives' minute: how late one may be judged.
_JUDGE_EVERY = timedelta(seconds=5)
# How late a standing check may be measured, and what violates one be said again.
_MEASURE_EVERY = timedelta(seconds=2)
_REPEAT_EVERY = timedelta(seconds=15)
_START_EVERY = timedelta(milliseconds=500)
_RESCUE_EVERY = timedelta(seconds=30)
# Looking whether a thousand files have changed takes some ten milliseconds.
_READ_EVERY = timedelta(seconds=10)


class Loop:
    """Calls a function at an interval in a thread of its own, until it is stopped; an error is logged, not the end."""

    def __init__(
        self,
        name: str,
        interval: timedelta,
        function: Callable[[], object],
        finish: Callable[[], object] | None = None,
    ) -> None:
        """`finish` is called once, after the last call."""
        self._finish = finish
        self._interval = interval.total_seconds()
        self._function = function
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; the first call is at once."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the call in progress and end."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._finish is not None:
            self._finish()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stopping.is_set():
            try:
                self._function()
            except SutureError as error:
                _log.warning("%s: %s", self._thread.name, error)
            except Exception:  # noqa: BLE001  (a loop that ended silently would be an outage that nobody sees)
                _log.exception("%s failed; it goes on", self._thread.name)
            # A call that took longer than the interval is followed by the next one at once, not by a burst.
            due = max(due + self._interval, time.monotonic())
            self._stopping.wait(due - time.monotonic())


class ToldOnce:
    """A function whose error is logged when it appears or changes, not at each call; and once when it is over."""

    def __init__(self, name: str, function: Callable[[], object]) -> None:
        self._name = name
        self._function = function
        self._told = ""

    def __call__(self) -> None:
        """Call it. An error of ours is a line, another one comes with its traceback."""
        try:
            self._function()
        except Exception as error:  # noqa: BLE001  (logged, and the next call may succeed)
            words = f"{type(error).__name__}: {error}"
            if words != self._told:
                plain = isinstance(error, SutureError)
                _log.warning("%s: %s", self._name, error if plain else words, exc_info=None if plain else error)
            self._told = words
            return
        if self._told:
            _log.info("%s: works again", self._name)
        self._told = ""


def corpus_loop(parts: Parts) -> Loop:
    """Read runbooks and sources again: what was changed or synced meanwhile, by whichever process, is served."""
    return Loop("read-corpus", _READ_EVERY, ToldOnce("read-corpus", parts.corpus.refresh))


def detector_loops(parts: Parts) -> list[Loop]:
    """Scrape and score, keep the detector's state, forget old samples, resolve what went quiet."""
    interval = parts.settings.scrape_interval

    def tune() -> None:
        parts.intake.tune(in_force(parts.feedbacks.tolerances()))

    loops = [
        Loop("save-detector", _SAVE_EVERY, parts.intake.save_detector),
        Loop("take-feedback", _TUNE_EVERY, ToldOnce("take-feedback", tune)),
        Loop("count-logs", parts.settings.logs.interval, parts.logs.tick),
        Loop("save-logs", _SAVE_EVERY, parts.logs.save),
        Loop("prune-samples", _PRUNE_EVERY, parts.samples.prune),
        Loop("resolve-quiet", _RESOLVE_EVERY, parts.intake.resolve_quiet),
        Loop("measure-checks", _MEASURE_EVERY, ToldOnce("measure-checks", parts.standing_keeper.tick)),
        Loop("repeat-violations", _REPEAT_EVERY, ToldOnce("repeat-violations", parts.standing_keeper.repeat)),
        Loop("look-for-calls", LOOK_FOR_CALLS_EVERY, ToldOnce("look-for-calls", parts.call_metrics.tick)),
        Loop("judge-slos", _JUDGE_EVERY, ToldOnce("judge-slos", parts.slo_keeper.tick)),
    ]
    if parts.settings.scrape:
        scraper = Scraper(parts.settings.scrape, timeout=min(interval, _SCRAPE_TIMEOUT))

        def scrape() -> None:
            parts.intake.telemetry([scraper.scrape(parts.clock())])

        loops.append(Loop("scrape", interval, scrape, finish=scraper.close))
    return loops


def worker_loops(parts: Parts) -> list[Loop]:
    """Take over the dead, start remediations, tell tickets how incidents ended.

    By status, not by event: a restart misses nothing.
    """
    return [
        Loop("take-over", parts.settings.replica_lease / BEATS, parts.remediation.take_over),
        Loop("continue-orphans", _RESCUE_EVERY, parts.remediation.continue_orphans),
        Loop("start-remediations", _START_EVERY, parts.remediation.start_open),
        Loop("look-again", _START_EVERY, parts.remediation.look_again),
        Loop("tell-endings", _START_EVERY, parts.remediation.tell_endings),
        Loop("rescue-remediations", _RESCUE_EVERY, parts.remediation.rescue),
    ]
