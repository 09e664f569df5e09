"""One labelled incident and what was recommended for it, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from evals.incidents.format import Gold, LabelledIncident
from evals.statistics import Ranks, placed
from models.domain.errors import BadInput
from models.domain.incident import Culprit
from models.domain.recommendation import ModelUse, RankedCandidate, Recommendation
from models.domain.runbook import Document, Runbook, ScoredPassage

Kind = Literal["action", "document", "remedy", "nothing", "culprit"]
"""What an incident's truth lets be judged: an action of the catalogue, a runbook without actions (by the documents that
are found), a remedy in words, that nothing fits, or the culprit alone."""

ABSTAINED = "(abstained)"
NOTHING = "(nothing fits)"
SHOWN = 10


@dataclass(frozen=True)
class Option:
    """One thing that was ranked, with whether it is right."""

    name: str
    probability: float
    right: bool


@dataclass(frozen=True)
class Judged:
    """One row's result."""

    id: str
    digest: str
    """SHA-256 of the row: two runs are compared only over equal rows."""
    kind: Kind
    gold: str
    options: tuple[Option, ...]
    abstained: bool = False
    reason: str = ""
    """Of the abstention."""
    culprit: Ranks | None = None
    """Where the row names one."""
    seconds: float | None = None
    model: ModelUse | None = None
    title: str = ""

    @property
    def ranks(self) -> Ranks:
        """Where the right ones came."""
        return placed([one.probability for one in self.options], [one.right for one in self.options])

    @property
    def probability(self) -> float:
        """Of the first; 0 without any."""
        return max((one.probability for one in self.options), default=0.0)

    @property
    def answer(self) -> str:
        """The first option's name, or that there was no answer."""
        if self.abstained or not self.options:
            return ABSTAINED
        return max(self.options, key=lambda one: one.probability).name

    @property
    def correct(self) -> float:
        """Whether the whole answer was right, by expectation over ties: the right one recommended first, or abstained
        where nothing fits.
        """
        if self.kind == "nothing":
            return float(self.abstained)
        return 0.0 if self.abstained else self.ranks.top1

    def row(self) -> dict[str, Any]:
        """The row of the JSON report."""
        best = sorted(self.options, key=lambda one: -one.probability)[:SHOWN]
        return {
            "id": self.id,
            "digest": self.digest,
            "title": self.title,
            "kind": self.kind,
            "gold": self.gold,
            "answer": self.answer,
            "abstained": {"reason": self.reason} if self.abstained else None,
            "probability": round(self.probability, 4),
            "correct": self.correct,
            "top1": self.ranks.top1,
            "top3": self.ranks.top3,
            "reciprocal_rank": self.ranks.reciprocal,
            "culprit": self.culprit._asdict() if self.culprit else None,
            "milliseconds": None if self.seconds is None else round(self.seconds * 1000, 2),
            "ranked": [{"name": one.name, "probability": round(one.probability, 4)} for one in best],
        }


def kind_of(gold: Gold | None, runbooks: Sequence[Runbook]) -> Kind:
    """What that truth lets be judged."""
    if gold is None:
        return "nothing"
    if gold.runbook is not None:
        return "action" if any(one.id == gold.runbook for one in runbooks) else "document"
    return "remedy" if gold.remediation is not None else "culprit"


def check_gold(row: LabelledIncident, documents: Sequence[Document], runbooks: Sequence[Runbook]) -> None:
    """Raises BadInput where the truth names a runbook or an action that the folders do not have."""
    if row.gold is None or row.gold.runbook is None:
        return
    known = [one.id for one in documents]
    if row.gold.runbook not in known:
        words = f"gold names the runbook {row.gold.runbook!r}, which the folders do not have"
        raise BadInput(words + _near(row.gold.runbook, known), where=f"incident {row.id!r}")
    if row.gold.action is None:
        return
    actions = [action.id for one in runbooks if one.id == row.gold.runbook for action in one.actions]
    if row.gold.action not in actions:
        words = f"gold names the action {row.gold.action!r}; {row.gold.runbook} has {', '.join(actions) or 'none'}"
        raise BadInput(words, where=f"incident {row.id!r}")


def candidate_options(candidates: Iterable[RankedCandidate], gold: Gold | None) -> tuple[Option, ...]:
    """The candidates; right is the action that the truth names, or any of its runbook where it names none."""
    return tuple(
        Option(
            name=name_of(one),
            probability=one.probability,
            right=gold is not None
            and one.candidate.runbook == gold.runbook
            and gold.action in (None, one.candidate.action),
        )
        for one in candidates
    )


def document_options(passages: Sequence[ScoredPassage], gold: Gold) -> tuple[Option, ...]:
    """The documents that were found, best first. Their places count: scores of retrieval are no probabilities."""
    names = list(dict.fromkeys(one.passage.document for one in sorted(passages, key=lambda one: -one.score)))
    return tuple(Option(name, 1 / place, name == gold.runbook) for place, name in enumerate(names, 1))


def culprit_ranks(culprits: Sequence[Culprit], gold: Gold | None) -> Ranks | None:
    """Where the service came that the truth names; None where it names none."""
    if gold is None or gold.culprit is None:
        return None
    best: dict[str, float] = {}
    for one in culprits:
        best[one.service] = max(one.probability, best.get(one.service, 0.0))
    return placed(list(best.values()), [service == gold.culprit for service in best])


def name_of(one: RankedCandidate) -> str:
    """`runbook/action`."""
    return f"{one.candidate.runbook}/{one.candidate.action}"


def gold_name(gold: Gold | None) -> str:
    """The truth in one word or line."""
    if gold is None:
        return NOTHING
    if gold.runbook:
        return f"{gold.runbook}/{gold.action}" if gold.action else gold.runbook
    return gold.remediation or f"culprit {gold.culprit}"


def abstention_of(made: Recommendation) -> tuple[bool, str]:
    """Whether nothing was recommended, and why."""
    return (True, made.abstained.reason) if made.abstained else (False, "")


def _near(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else "; write null where nothing there fits"
