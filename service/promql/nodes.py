"""The parts of a PromQL expression that are supported, as plain immutable data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from models.domain.base import Labels


@dataclass(frozen=True, slots=True)
class Number:
    """A number literal."""

    value: float


@dataclass(frozen=True, slots=True)
class Selector:
    """An instant selector. `offset` is in milliseconds into the past, negative into the future."""

    metric: str | None
    """The name where an equality fixes it."""
    equalities: tuple[tuple[str, str], ...]
    """What `absent` may give its result as labels."""
    offset: int
    matches: Callable[[Labels], bool] = field(compare=False)


@dataclass(frozen=True, slots=True)
class Range:
    """A range selector: the samples of the last `length` milliseconds."""

    selector: Selector
    length: int


@dataclass(frozen=True, slots=True)
class Function:
    """A call."""

    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Grouping:
    """`by` (or, where `without`, all but) these labels."""

    labels: frozenset[str] = frozenset()
    without: bool = False


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregation over groups; `parameter` is what `topk`, `bottomk` and `quantile` take first."""

    operator: str
    operand: Node
    grouping: Grouping
    parameter: Node | None


class Many(Enum):
    """Which side of an operator may have several series for one match."""

    NEITHER = "one-to-one"
    LEFT = "group_left"
    RIGHT = "group_right"


@dataclass(frozen=True, slots=True)
class Matching:
    """Which series of two vectors belong together: those equal in `labels` (`on`), or in all others (`ignoring`)."""

    on: bool = False
    labels: frozenset[str] = frozenset()
    many: Many = Many.NEITHER
    include: tuple[str, ...] = ()
    """Labels taken over from the side with one series."""


@dataclass(frozen=True, slots=True)
class Binary:
    """An operator between two sides. `boolean`: a comparison answers 0 or 1 instead of filtering."""

    operator: str
    left: Node
    right: Node
    boolean: bool
    matching: Matching


@dataclass(frozen=True, slots=True)
class Negation:
    """Unary minus."""

    operand: Node


Node = Number | Selector | Range | Function | Aggregate | Binary | Negation
