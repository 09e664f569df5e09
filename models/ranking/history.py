"""What earlier executions of an action are worth today."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from models.domain.execution import Outcome

HALF_LIFE = timedelta(days=90)
"""An outcome counts half after so long: systems change by the quarter. Exponential forgetting as in Jøsang & Ismail
2002, The beta reputation system, section 3.4. Stated, not measured."""
ELSEWHERE = 0.25
"""What an outcome in another environment counts beside one in this: the same act, other load and other data. Stated."""


class History(NamedTuple):
    """Weighed successes and failures, for a beta posterior, and the plain counts behind them."""

    successes: float = 0.0
    failures: float = 0.0
    helped: int = 0
    ran: int = 0


def history_of(outcomes: Iterable[Outcome], environment: str, now: datetime) -> History:
    """The outcomes of one action, each by its age and its environment. A success is a verified one."""
    found = History()
    for outcome in outcomes:
        age = max(now - outcome.at, timedelta(0))
        weight = 0.5 ** (age / HALF_LIFE) * (1.0 if outcome.environment == environment else ELSEWHERE)
        found = History(
            successes=found.successes + weight * outcome.verified,
            failures=found.failures + weight * (not outcome.verified),
            helped=found.helped + outcome.verified,
            ran=found.ran + 1,
        )
    return found
