"""Postmortems of incidents in which the same metrics moved the same way."""

from __future__ import annotations

from models.domain.base import Frozen
from models.domain.signal import Direction
from retrieval.facts import Filter
from retrieval.signature import Moves, likeness
from retrieval.snapshot import Snapshot


class AlikeDocument(Frozen):
    """A postmortem that is alike in its telemetry."""

    document: str
    title: str
    likeness: float
    """In (0, 1]: 1 where exactly the same metrics moved, each the same way."""
    shared: tuple[tuple[str, Direction], ...]
    """The moves that both have: what to show as the reason."""


def alike(moves: Moves, snapshot: Snapshot, k: int, among: Filter) -> list[AlikeDocument]:
    """The `k` most alike documents of a snapshot, best first, equal ones by their ids."""
    if not moves or not snapshot.moving:
        return []
    passes = snapshot.admitted(among)
    found = [
        AlikeDocument(
            document=record.id,
            title=record.title,
            likeness=likeness(moves, record.facts.moves, snapshot.rarity),
            shared=tuple(move for move in moves if move in record.facts.moves),
        )
        for row, record in ((row, snapshot.records[row]) for row in snapshot.moving)
        if passes[row] and not set(moves).isdisjoint(record.facts.moves)
    ]
    return sorted(found, key=lambda one: (-one.likeness, one.document))[: max(0, k)]
