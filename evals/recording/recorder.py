"""Records what is missing in a file: sessions side by side, each incident written as soon as it is over."""

from __future__ import annotations

import shutil
import tempfile
import time
import xmlrpc.client
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event, Lock
from typing import Any

import psycopg

from evals.recording import file
from evals.recording.plan import Session, Variant
from evals.recording.session import NotRecorded, Stopped, open_stage
from models.domain.errors import SutureError


@dataclass
class Result:
    """What became of a run."""

    recorded: int = 0
    """Incidents that this run added."""
    had: int = 0
    """Those that were in the file before."""
    missing: dict[str, str] = field(default_factory=dict)
    """By the variant's id, why it was not recorded."""


class Recorder:
    """One run over a plan."""

    def __init__(self, out: Path, sessions: Sequence[Session], jobs: int, say: Callable[[str], None]) -> None:
        """`jobs` sessions at once. `say` takes a line of progress. Raises BadInput where `out` cannot be continued."""
        done = file.recorded_ids(out)
        self._out = out
        self._all = sum(len(session.variants) for session in sessions)
        self._sessions = [
            replace(session, variants=left)
            for session in sessions
            if (left := tuple(one for one in session.variants if one.id not in done))
        ]
        self._jobs = jobs
        self._say = say
        self._stop = Event()
        self._lock = Lock()
        self._began = time.monotonic()
        self.result = Result(had=self._all - sum(len(session.variants) for session in self._sessions))

    def run(self) -> Result:
        """Record all that is missing. Ctrl-C ends every process and keeps what was recorded."""
        self._began = time.monotonic()
        with ThreadPoolExecutor(self._jobs) as pool:
            running = [pool.submit(self._session, session) for session in self._sessions]
            try:
                for each in running:
                    each.result()
            except BaseException:
                self._stop.set()
                pool.shutdown(cancel_futures=True)
                raise
        return self.result

    def _session(self, session: Session) -> None:
        if self._stop.is_set():
            return
        folder = Path(tempfile.mkdtemp(prefix="suture-rec-"))
        keep, left = False, list(session.variants)
        try:
            with open_stage(session, session.variants[0].seed, folder, self._stop) as stage:
                while left:
                    self._variant(left[0], stage.play)
                    left.pop(0)
        except Stopped:
            return
        except (SutureError, OSError, psycopg.Error, xmlrpc.client.Fault) as error:
            # A sandbox that went wrong takes its own variants with it; the next run tries them again.
            keep = True
            self._note(dict.fromkeys((variant.id for variant in left), str(error)))
            self._say(f"session {session.name}: {error}; its logs are in {folder / 'logs'}")
        finally:
            if not keep:
                shutil.rmtree(folder, ignore_errors=True)

    def _variant(self, variant: Variant, play: Callable[[Variant], dict[str, Any]]) -> None:
        try:
            row = play(variant)
        except NotRecorded as error:
            self._note({variant.id: str(error)})
            self._say(f"{variant.id}  {variant.subject.name}: not recorded: {error}")
            return
        with self._lock:
            file.append(self._out, row)
            self.result.recorded += 1
            self._say(self._line(variant, row["variant"]))

    def _line(self, variant: Variant, facts: dict[str, Any]) -> str:
        done, todo = self.result.recorded, self._all - self.result.had
        minutes = (time.monotonic() - self._began) / 60
        left = minutes / done * (todo - done - len(self.result.missing))
        beside = f", {variant.noise}" if variant.noise else ""
        return (
            f"{self.result.had + done:3d} of {self._all}  {variant.id}  {variant.subject.name}{beside}: recommended"
            f" {facts['recommended'] or 'nothing'} after {facts['seconds_to_recommendation']:.0f} s;"
            f" about {max(left, 0.0):.0f} min left"
        )

    def _note(self, missing: dict[str, str]) -> None:
        with self._lock:
            self.result.missing |= missing
