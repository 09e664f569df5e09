"""The default source: PromQL over the samples that Suture keeps itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from models.domain.errors import BadInput, Unavailable
from models.domain.signal import Sample
from service.ports import Context, SampleReader
from service.promql import evaluate


class EmbeddedSource:
    """Answers a subset of PromQL (docs/telemetry.md) from the embedded store."""

    name = "embedded"

    def __init__(self, samples: SampleReader) -> None:
        self._samples = samples

    def query(self, expression: str, at: datetime) -> list[Sample]:
        """The instant vector of a PromQL expression. Raises BadInput (cannot be asked) or Unavailable (no answer)."""
        return evaluate(expression, self._samples, at)

    def healthy(self) -> bool:
        """Whether the store can be read now."""
        epoch = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
        try:
            list(self._samples.select(lambda _: False, epoch, epoch))
        except Unavailable:
            return False
        return True


def build(config: Mapping[str, Any], context: Context) -> EmbeddedSource:
    """The source over `context.samples`; it takes no settings. Raises BadInput."""
    if config:
        raise BadInput(f"the embedded source has no settings; remove {', '.join(config)}", where="source.config")
    if context.samples is None:
        raise BadInput("the embedded source needs the sample store, which this command does not open")
    return EmbeddedSource(context.samples)
