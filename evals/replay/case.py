"""One incident to be replayed, whatever it was read from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from evals.incidents.format import LabelledIncident
from models.domain.execution import Decision
from models.domain.incident import Incident
from models.domain.recommendation import Candidate

NOTHING: Literal["nothing"] = "nothing"


@dataclass(frozen=True)
class Truth:
    """What helped: the action, or any of its runbook where no action is named."""

    runbook: str
    action: str | None

    def fits(self, candidate: Candidate) -> bool:
        """Whether the candidate is what helped."""
        return candidate.runbook == self.runbook and self.action in (None, candidate.action)


@dataclass(frozen=True)
class Case:
    """An incident, when it is judged, and what is known of its end."""

    id: str
    incident: Incident
    moment: datetime
    truth: Truth | Literal["nothing"] | None
    """`nothing`: acting is wrong. None: not known."""
    resolved_at: datetime | None = None
    was: Decision | None = None
    """The guard's word then, where the installation recorded it."""

    @property
    def lasted(self) -> timedelta | None:
        """From the moment of the recommendation until people had mended it; None where that is not known."""
        return self.resolved_at - self.moment if self.resolved_at and self.resolved_at > self.moment else None

    def judge(self, candidate: Candidate) -> bool | None:
        """Whether acting so would have been right; None where that is not known."""
        if self.truth is None:
            return None
        return False if self.truth == NOTHING else self.truth.fits(candidate)


def case_of(row: LabelledIncident) -> Case:
    """A labelled incident as a case."""
    gold = row.gold
    truth: Truth | Literal["nothing"] | None = None
    if gold is None:
        truth = NOTHING
    elif gold.runbook is not None:
        truth = Truth(gold.runbook, gold.action)
    return Case(row.id, row.asked(), row.moment, truth, row.resolved_at)
