"""One past incident through the flow: recommend, decide by policy and levels, and never act."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from evals.incidents.running import answer
from evals.replay.case import Case
from evals.replay.limits import ShadowLimits
from models.domain.execution import CheckResult, Decision, Mode, Verdict
from models.domain.recommendation import Candidate, RankedCandidate, Recommendation
from models.domain.runbook import Check
from service.checks import measure
from service.guard.guard import Guard
from service.pipeline import Pipeline

Fate = Literal["acted", "asked", "suggested", "forbidden", "held", "abstained"]
"""What Suture would have done: acted by itself, asked people, only told them (modes observe and suggest), found all of
it forbidden, not started because a precondition did not hold or was not known, or recommended nothing."""


class Learning(Protocol):
    """Levels that learn from what is replayed."""

    def learn(self, candidate: Candidate, *, right: bool, ran: bool) -> str | None:
        """What follows from one incident's first choice; the change of level in words."""


@dataclass(frozen=True)
class Shadowed:
    """What would have become of one incident."""

    case: Case
    fate: Fate
    reason: str
    ranked: RankedCandidate | None = None
    """What it would have been about."""
    decision: Decision | None = None
    change: str | None = None
    """Of a level, by what this incident taught."""

    @property
    def right(self) -> bool | None:
        """Whether that choice was right by the truth; of an abstention, whether nothing fits. None: not known."""
        if self.fate == "abstained":
            return None if self.case.truth is None else self.case.truth == "nothing"
        return self.case.judge(self.ranked.candidate) if self.ranked else None


class Shadow:
    """The flow with everything but the act."""

    def __init__(
        self,
        pipeline: Pipeline,
        guard: Guard,
        limits: ShadowLimits,
        learning: Learning | None,
        *,
        assume_preconditions: bool,
    ) -> None:
        """`assume_preconditions`: those of which nothing was recorded are taken to have held."""
        self._pipeline = pipeline
        self._guard = guard
        self._limits = limits
        self._learning = learning
        self._assume = assume_preconditions

    def replay(self, case: Case) -> Shadowed:
        """What would have become of the incident; the pipeline's clock and source stand at its moment."""
        made = answer(self._pipeline, case.incident, case.id).made
        found = self._decide(case, made)
        if found.fate == "acted" and found.ranked is not None:
            self._limits.started(found.ranked.candidate, case.moment)
        return self._learned(case, made, found)

    def _decide(self, case: Case, made: Recommendation) -> Shadowed:
        if made.abstained is not None:
            return Shadowed(case, "abstained", made.abstained.reason)
        settings = self._pipeline.settings
        mode = settings.mode_of(case.incident.environment)
        tried = [made.candidates[place] for place in self._pipeline.worth_trying(made)][: settings.max_attempts]
        if not tried:
            return Shadowed(case, "abstained", "no candidate is probable enough to be tried")
        if mode in (Mode.OBSERVE, Mode.SUGGEST):
            words = f"the environment {case.incident.environment!r} is in mode {mode}: people act, Suture does not"
            return Shadowed(case, "suggested", words, tried[0])
        looked_at = []
        for ranked in tried:
            looked_at.append(self._try(case, ranked))
            if looked_at[-1].fate in ("acted", "asked"):
                return looked_at[-1]
        # Nothing is done: the reason of the first choice is the one that people want to know.
        return looked_at[0]

    def _try(self, case: Case, ranked: RankedCandidate) -> Shadowed:
        decision = self._guard.decide(ranked, case.incident)
        if decision.verdict is Verdict.FORBID:
            return Shadowed(case, "forbidden", decision.reason, ranked, decision)
        unmet = self._unmet(ranked.candidate)
        if unmet is not None:
            return Shadowed(case, "held", unmet, ranked, decision)
        if decision.verdict is Verdict.PERMIT:
            # The guard leaves out what passes soon by itself; a rate that is used up does not pass soon.
            hold = self._limits.look(ranked.candidate, case.moment)
            fate: Fate = "held" if hold else "acted"
            return Shadowed(case, fate, hold.reason if hold else decision.reason, ranked, decision)
        return Shadowed(case, "asked", decision.reason, ranked, decision)

    def _unmet(self, candidate: Candidate) -> str | None:
        """The first precondition that did not hold, or of which it is not known whether it did."""
        for check in candidate.preconditions:
            result = self._measured(check)
            passed = result.passed if result else None
            if passed is False or (passed is None and not self._assume):
                how = "did not hold" if passed is False else "was not recorded"
                return f"precondition `{check.subject} {check.condition}` {how}"
        return None

    def _measured(self, check: Check) -> CheckResult | None:
        """The answer then; None where it was no query: what an address or a database said is not known any more."""
        if check.query is None or self._pipeline.source is None:
            return None
        return measure(check, self._pipeline.source, clock=self._pipeline.clock)

    def _learned(self, case: Case, made: Recommendation, found: Shadowed) -> Shadowed:
        """Levels learn from the first choice: a person says yes to it where it is right, and no where it is not."""
        places = self._pipeline.worth_trying(made) if made.abstained is None else []
        if self._learning is None or not places:
            return found
        first = made.candidates[places[0]].candidate
        right = case.judge(first)
        if right is None:
            return found
        about_it = found.ranked is not None and found.ranked.candidate.hash == first.hash
        ran = about_it and (found.fate == "acted" or (found.fate == "asked" and right))
        change = self._learning.learn(first, right=right, ran=ran)
        return Shadowed(case, found.fate, found.reason, found.ranked, found.decision, change)
