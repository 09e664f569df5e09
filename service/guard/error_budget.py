"""How much of the error budget is left, asked of the monitoring system."""

from __future__ import annotations

import logging
from collections.abc import Callable

from models.domain.base import Clock
from models.domain.errors import SutureError
from service.ports import Source

_log = logging.getLogger(__name__)


def error_budget(query: str | None, source: Source, clock: Clock) -> Callable[[], float | None] | None:
    """Gives the share that is left now, or None where the answer is not one number; itself None without a query."""
    if query is None:
        return None

    def measured() -> float | None:
        try:
            answer = source.query(query, clock())
        except SutureError as error:
            # The policy sees that it is not known; a monitoring system that is down must not stop decisions.
            _log.warning("the error budget cannot be measured: %s", error)
            return None
        return answer[0].value if len(answer) == 1 else None

    return measured
