"""What is known for and against one candidate when it is ranked."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat

from models.domain.base import Frozen
from models.domain.execution import CheckResult
from models.domain.recommendation import Candidate
from models.domain.runbook import ScoredPassage
from models.ranking.bridge import RemedyMatch


class DiagnosisAnswer(Frozen):
    """The measured answer to one `diagnose` check, and what it says of this candidate when it passes."""

    check: CheckResult
    stance: Literal["supports", "refutes"]


class CandidateEvidence(Frozen):
    """Everything that the ranker may use for one candidate."""

    candidate: Candidate
    triggers: tuple[str, ...] = ()
    """Triggers of its runbook that matched a signal, as written in the front matter."""
    passages: tuple[ScoredPassage, ...] = ()
    """Passages of its runbook that retrieval found."""
    remedy: RemedyMatch | None = None
    """How its remedy, in words, compares with those of the other candidates; None: not compared."""
    culprit_match: bool = False
    """Whether it acts on the service (or process) that localisation ranks first."""
    precondition: bool | None = None
    """Whether its preconditions hold now; None: not looked at, or it has none."""
    state: tuple[CheckResult, ...] = ()
    """The answers to those of its preconditions that were asked."""
    diagnosis: tuple[DiagnosisAnswer, ...] = ()
    successes: NonNegativeFloat = Field(default=0.0)
    """Earlier executions that verification found healthy; may be decayed, hence not an integer."""
    failures: NonNegativeFloat = Field(default=0.0)
    """Earlier executions that did not end so."""
    helped: int = 0
    """The plain count of healthy ends behind the two; 0 of 0 where they are counts themselves."""
    ran: int = 0

    @property
    def lexical(self) -> float:
        """The best BM25 score among the passages, 0 where there is none."""
        return max((found.lexical for found in self.passages), default=0.0)

    @property
    def dense(self) -> float:
        """The best cosine similarity among the passages, 0 where there is none or it is negative."""
        return max((found.dense for found in self.passages), default=0.0)
