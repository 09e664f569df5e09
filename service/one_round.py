"""Asking a monitoring system many questions in a row, where each wait for an answer that does not come may be long."""

from __future__ import annotations

from datetime import datetime

from models.domain.errors import Unavailable
from models.domain.signal import Sample
from service.ports import Source


class OneRound:
    """A source that is not asked again in a round in which it did not answer. For one thread."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._away: str | None = None
        self.name = source.name

    def begin(self) -> None:
        """A new round: it is asked again."""
        self._away = None

    def query(self, expression: str, at: datetime) -> list[Sample]:
        """As the source's; Unavailable at once where it did not answer in this round."""
        if self._away is not None:
            raise Unavailable(self._away)
        try:
            return self._source.query(expression, at)
        except Unavailable as error:
            self._away = str(error)
            raise

    def healthy(self) -> bool:
        """Whether it answers now."""
        return self._source.healthy()
