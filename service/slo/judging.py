"""Whether an objective must be told of now: the workbook's alerts, and what was told already.

Alerts look back for hours: long after an outage is over they are still reached by the same errors. So errors are told
once. When what fired is over, or its incident ended, they are forgiven; only what comes after may fire again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from models.detection.slo.burn import Verdict, judge
from models.detection.slo.objective import SLOT, Objective
from models.domain.base import Clock
from models.domain.signal import Signal
from service.slo.book import SloBook
from service.slo.counting import Measured, minute_of
from service.slo.words import firing_signal, held_signal, over_signal
from service.store.incidents import Incidents
from service.store.slo import SloState
from service.told import ended_incidents

Judged = tuple[SloState, Sequence[Signal]]
"""What is known from now on, and what is told."""


class Judging:
    """Judges within the transaction that counts."""

    def __init__(self, book: SloBook, incidents: Incidents, clock: Clock) -> None:
        self._book = book
        self._incidents = incidents
        self._clock = clock

    def judge(
        self,
        connection: Connection,
        objective: Objective,
        before: SloState | None,
        measured: Measured,
        until: datetime,
    ) -> Judged:
        """The objective as of `until`, after what was `measured` was counted. `before` is what was said last."""
        state = self._unless_ended(connection, before or SloState(at=until)).model_copy(update={"at": until})
        held, now = state.signal, self._clock()
        if measured.problem is not None:
            # Not known is neither good nor bad: what fires goes on, and says so.
            signals = (held_signal(held, measured.problem, now),) if held is not None else ()
            return state.model_copy(update={"problem": measured.problem}), signals
        verdict = self._verdict(connection, objective, state, until)
        places = tuple(place for place, alert in enumerate(verdict.alerts) if alert.firing)
        pages = any(alert.alert.page for alert in verdict.firing)
        paged = any(objective.burn_alerts[place].page for place in state.firing if place < len(verdict.alerts))
        if pages or (places and not paged):
            signal = firing_signal(objective, verdict, now)
            return SloState(
                at=until, firing=places, signal=signal, since=state.since or now, forgiven_until=state.forgiven_until
            ), (signal,)
        if held is None:
            return SloState(at=until, forgiven_until=state.forgiven_until), ()
        # The slow alerts that a fast burn reached too are of the same errors, which were told: they need not be again.
        return SloState(at=until, forgiven_until=until), (over_signal(held, verdict, now),)

    def _verdict(self, connection: Connection, objective: Objective, state: SloState, until: datetime) -> Verdict:
        counts, key = self._book.counts, objective.key
        sums = counts.sums(connection, key, until, objective.windows, state.forgiven_until)
        whole = counts.sums(connection, key, until, {objective.window})[objective.window]
        return judge(objective, sums, whole, state.firing)

    def _unless_ended(self, connection: Connection, state: SloState) -> SloState:
        """The state; without what fires where its incident ended: only what comes after that may open it again."""
        if state.signal is None or state.since is None:
            return state
        name = state.signal.fingerprint
        incident = ended_incidents(self._incidents, connection, {name}, state.since).get(name)
        if incident is None:
            return state
        ended = incident.ended_at or incident.updated_at
        return SloState(at=state.at, forgiven_until=minute_of(ended) + SLOT)
