"""Redaction measured: how many of the values that must not leave were found, how much of what was replaced was one."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from evals.redaction.corpus import PERSONAL, PLAIN, SECRET
from evals.redaction.values import VALUES
from models.redaction import redact

SLACK = 20
"""Characters: a prefix such as a team's id in a webhook's path."""

_FIELD = re.compile(r"(?<!\{)\{([a-z -]+)\}(?!\})")


@dataclass
class Found:
    """Counts by kind of value, and the lines that were wrong."""

    planted: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    replaced: int = 0
    right: int = 0
    """Replaced pieces that are a planted value."""
    plain_lines: int = 0
    plain_changed: int = 0
    missed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """Precision over replaced pieces, recall over planted values, and recall by kind where it is not 1."""
        recall = {kind: self.found[kind] / count for kind, count in self.planted.items()}
        return {
            "values": sum(self.planted.values()),
            "recall": round(sum(self.found.values()) / sum(self.planted.values()), 4),
            "replaced": self.replaced,
            "precision": round(self.right / self.replaced, 4) if self.replaced else None,
            "ordinary_lines": self.plain_lines,
            "ordinary_lines_changed": self.plain_changed,
            "recall_below_1": {kind: round(value, 4) for kind, value in sorted(recall.items()) if value < 1},
        }


def measure(rounds: int = 20, seed: int = 7) -> Found:
    """Every line of the corpus, `rounds` times with new values."""
    rng = random.Random(seed)  # noqa: S311  (values for tests, nothing is protected by them)
    found = Found()
    for _ in range(rounds):
        for line in (*SECRET, *PERSONAL):
            _planted(line, rng, found)
    for line in PLAIN:
        found.plain_lines += 1
        text = redact(line)
        found.replaced += len(text.values)
        found.plain_changed += text.text != line
        if text.text != line:
            found.wrong.append(f"changed: {text.text!r}")
    return found


def _planted(line: str, rng: random.Random, found: Found) -> None:
    values: list[tuple[str, str]] = []

    def plant(match: re.Match[str]) -> str:
        kind = match[1]
        value = VALUES[kind](rng)
        values.append((kind, value))
        return value

    text = _FIELD.sub(plant, line).replace("{{", "{").replace("}}", "}")
    redacted = redact(text)
    assert redacted.restore(redacted.text) == text, "every text can be turned back"
    for kind, value in values:
        gone = any(value in replaced for replaced in redacted.values.values())
        found.planted[kind] += 1
        found.found[kind] += gone
        if not gone:
            found.missed.append(f"missed {kind}: {redacted.text!r}")
    for replaced in redacted.values.values():
        found.replaced += 1
        # A replaced piece may be wider than the value by what belongs to it, not by other words.
        right = any(value in replaced and len(replaced) <= len(value) + SLACK for _, value in values)
        found.right += right
        if not right:
            found.wrong.append(f"replaced {replaced!r} in {text!r}")
