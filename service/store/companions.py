"""Pairs of kinds of signals that belonged together, or did not: bounded, in the database."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import Connection, delete, insert, or_, select

from models.correlation.companions import RESOLVED, Key, Pair, learned, within
from models.domain.incident import IncidentStatus
from models.domain.signal import Signal
from service.store.tables import companions, incidents, switches

PAIRS_AT_MOST = 5000
"""The ones of which nothing was heard for the longest time are forgotten first."""
_ASKED_AT_ONCE = 300
_UNTIL = "companions-learned-until"


def pairs_of(connection: Connection, kinds: Collection[str]) -> list[Pair]:
    """What is known of pairs with one of these kinds in it."""
    found: dict[Key, Pair] = {}
    asked = sorted(kinds)
    for begin in range(0, len(asked), _ASKED_AT_ONCE):
        some = asked[begin : begin + _ASKED_AT_ONCE]
        query = select(companions).where(or_(companions.c.one.in_(some), companions.c.other.in_(some)))
        for row in connection.execute(query):
            found[row.one, row.other] = Pair.model_validate(row._asdict())
    return list(found.values())


def learn(
    connection: Connection, keys: Iterable[Key], now: datetime, *, together: float = 0.0, apart: float = 0.0
) -> None:
    """One more observation of these pairs. The caller holds the lock under which signals are taken in."""
    asked = list(dict.fromkeys(keys))
    known = {(pair.one, pair.other): pair for pair in pairs_of(connection, {kind for key in asked for kind in key})}
    for pair in learned(known, asked, now, together=together, apart=apart):
        same = (companions.c.one == pair.one) & (companions.c.other == pair.other)
        connection.execute(delete(companions).where(same))
        values = pair.model_dump() | {"at": pair.at.isoformat()}
        connection.execute(insert(companions).values(**values))
    newest = select(companions.c.at).order_by(companions.c.at.desc()).offset(PAIRS_AT_MOST).limit(1)
    oldest = connection.execute(newest).scalar()
    if oldest is not None:
        connection.execute(delete(companions).where(companions.c.at <= oldest))


def learn_from_resolved(connection: Connection, now: datetime) -> int:
    """Learn from the incidents that were resolved since the last call, each once; returns how many.

    The caller holds the lock under which signals are taken in.
    """
    until = connection.execute(select(switches.c.value).where(switches.c.name == _UNTIL)).scalar()
    ended = select(incidents.c.ended_at, incidents.c.document).where(incidents.c.status == IncidentStatus.RESOLVED)
    if until is not None:
        ended = ended.where(incidents.c.ended_at > until)
    rows = connection.execute(ended.order_by(incidents.c.ended_at.desc()).limit(100)).all()
    for row in reversed(rows):
        signals = [Signal.model_validate(each) for each in row.document["signals"]]
        learn(connection, within(signals), now, together=RESOLVED)
    if rows:
        connection.execute(delete(switches).where(switches.c.name == _UNTIL))
        connection.execute(insert(switches).values(name=_UNTIL, value=rows[0].ended_at))
    return len(rows)
