"""Bars that a run must clear, for continuous integration: `--fail-under top1=0.8 --fail-over ece=0.1`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from models.domain.errors import BadInput

LOWER_IS_BETTER = frozenset({"ece", "ece_top", "brier_top", "needless", "aurc", "p50_ms", "p99_ms", "risk"})
Side = Literal["under", "over"]


@dataclass(frozen=True)
class Bar:
    """The least, or with `over` the most, that a figure may be."""

    name: str
    value: float
    side: Side

    def failure(self, report: Mapping[str, Any]) -> str | None:
        """What failed, in words; None where it is cleared. Raises BadInput for a figure that the report has not."""
        known = dict(numbers(report))
        if self.name not in known:
            words = f"there is no figure {self.name!r} in this run; there are {', '.join(known)}"
            raise BadInput(words, where=f"--fail-{self.side}")
        reached = known[self.name]
        if reached < self.value if self.side == "under" else reached > self.value:
            return f"{self.name} is {reached:g}, {self.side} {self.value:g}"
        return None


def read_bars(under: Sequence[str], over: Sequence[str]) -> list[Bar]:
    """Bars as they are written, `metric=value`. Raises BadInput, also where the side makes no sense."""
    sides: tuple[tuple[Side, Sequence[str]], ...] = (("under", under), ("over", over))
    return [_bar(text, side) for side, texts in sides for text in texts]


def _bar(text: str, side: Side) -> Bar:
    where = f"--fail-{side}"
    name, equals, value = text.partition("=")
    try:
        bar = Bar(name.strip(), float(value), side)
    except ValueError as error:
        raise BadInput(f"{text!r} is not metric=value, for example top1=0.8", where=where) from error
    if not equals or not name.strip():
        raise BadInput(f"{text!r} is not metric=value, for example top1=0.8", where=where)
    lower = bar.name.rpartition(".")[2] in LOWER_IS_BETTER
    if lower is (side == "under"):
        other = "over" if lower else "under"
        better = "lower" if lower else "higher"
        raise BadInput(f"{bar.name} is better when it is {better}; write --fail-{other} {text}", where=where)
    return bar


def numbers(report: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Every single number of a report with its dotted name; lists (rows, curves) and what was not measured are left
    out, and so are intervals.
    """
    for name, value in report.items():
        if isinstance(value, Mapping) and name != "intervals":
            yield from numbers(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{prefix}{name}", float(value)
