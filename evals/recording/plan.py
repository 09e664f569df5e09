"""Which variants are recorded, and how each differs: all of it follows from the seed, the number and the subjects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from random import Random

from evals.recording.noise import NOISES
from evals.recording.subjects import Subject
from evals.sandbox.config import WARMUP_TICKS
from evals.sandbox.load import LOADS, Load

BLOCK = 16
"""Numbers that share the load and the warm-up: one sandbox plays those of a block that can share its settings."""
WITHOUT_NOISE = 0.4
"""The share of variants to which nothing happens but their fault."""


@dataclass(frozen=True)
class Variant:
    """One incident to be recorded."""

    seed: int
    number: int
    subject: Subject
    noise: str
    pause: float
    """Seconds that all is well before it begins, beyond those that every variant has."""

    @property
    def id(self) -> str:
        """Its id in the file, which says nothing of the fault."""
        return f"sandbox-{self.seed}-{self.number:03d}"

    def random(self) -> Random:
        """For what else is chosen while it is played: the fault's strength, the noise's."""
        return Random(f"{self.seed}/strength/{self.number}")  # noqa: S311 (variations, not secrets)


@dataclass(frozen=True)
class Session:
    """Variants that one sandbox and one service play, one after the other."""

    name: str
    load: Load
    """The usual customers."""
    warmup: int
    """Ticks (seconds) of the healthy system before the first."""
    variants: tuple[Variant, ...]


def plan(seed: int, count: int, subjects: Sequence[Subject]) -> list[Session]:
    """`count` variants with the numbers from 0 on, in sessions. Each subject comes equally often, in any order.

    A variant is the same whatever `count` is, so that a file can be continued.
    """
    variants = list(islice(_variants(seed, subjects), count))
    sessions = []
    for block, numbered in groupby(variants, key=lambda one: one.number // BLOCK):
        apart: dict[str, list[Variant]] = {}
        for variant in numbered:
            apart.setdefault(repr((variant.subject.settings, variant.subject.runbooks)), []).append(variant)
        for place, (_, together) in enumerate(sorted(apart.items()), 1):
            random = Random(f"{seed}/session/{block}")  # noqa: S311
            usual = LOADS["base"]
            load = Load(
                round(usual.rate * random.uniform(0.7, 1.25), 1), round(random.uniform(0.22, 0.38), 2)
            )  # fmt: skip
            warmup = random.randint(WARMUP_TICKS, WARMUP_TICKS + 30) if _detects(together[0]) else 0
            sessions.append(Session(f"{block}-{place}", load, warmup, tuple(together)))
    return sessions


def _detects(variant: Variant) -> bool:
    """Whether a detector looks on, which has to learn first what is usual."""
    return dict(variant.subject.settings.get("detector", {})).get("name") != "off"


def _variants(seed: int, subjects: Sequence[Subject]) -> Iterator[Variant]:
    number = 0
    while True:
        shuffled = list(subjects)
        Random(f"{seed}/order/{number}").shuffle(shuffled)  # noqa: S311
        for subject in shuffled:
            random = Random(f"{seed}/variant/{number}")  # noqa: S311
            fitting = [noise.name for noise in NOISES.values() if noise.fits(subject.name)]
            noise = "" if random.random() < WITHOUT_NOISE or not fitting else random.choice(fitting)
            yield Variant(seed, number, subject, noise, round(random.uniform(0.0, 6.0), 1))
            number += 1
