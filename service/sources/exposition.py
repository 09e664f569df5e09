"""Reads what a scraped endpoint exposes: Prometheus text format or OpenMetrics.

Formats: https://prometheus.io/docs/instrumenting/exposition_formats/ . Timestamps in an exposition are not used: a
sample belongs to the tick in which it was scraped, as with `honor_timestamps: false` in Prometheus.
"""

from __future__ import annotations

import re

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families

from models.domain.base import Labels

ACCEPT = "text/plain;version=0.0.4,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1"

# The parser appends `_total` to counters named otherwise; Prometheus keeps their names. Declared untyped they stay.
_COUNTER = re.compile(r"^(#[ \t]+TYPE[ \t]+\S+[ \t]+)counter[ \t]*$", re.MULTILINE)


class Malformed(Exception):
    """The text is not an exposition."""


def read_exposition(body: bytes, content_type: str) -> list[tuple[Labels, float]]:
    """Every sample as (labels with `__name__`, value), in the order of the text. Raises Malformed with the reason.

    A label with an empty value is the same as none, and is left out.
    """
    try:
        text = body.decode("utf-8")
        if content_type.partition(";")[0].strip().lower() == "application/openmetrics-text":
            families = list(openmetrics_families(text))  # type: ignore[no-untyped-call]
        else:
            families = list(text_families(_COUNTER.sub(r"\1untyped", text.replace("\r\n", "\n"))))
    except (ValueError, LookupError) as error:
        # The parsers have no error of their own; text with a wrong character may also end in an index or a key.
        raise Malformed(" ".join(str(error).split())[:300] or type(error).__name__) from error
    return [
        ({"__name__": sample.name, **{name: value for name, value in sample.labels.items() if value}}, sample.value)
        for family in families
        for sample in family.samples
    ]
