"""Matchers on the labels of signals, as Alertmanager writes them: `service="shop"`, `alertname=~"Disk.*"`."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Literal

from pydantic import Field

from models.domain.base import Frozen, Labels
from models.domain.errors import BadInput
from models.domain.signal import Signal
from service.promql.matchers import full_match

_FORM = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*(=~|!~|!=|=)\s*(.*?)\s*", re.DOTALL)
LONGEST = 1000
_pattern = lru_cache(maxsize=1000)(full_match)


class Matcher(Frozen):
    """One condition on one label. A label that is absent counts as empty; a pattern must fit the whole value."""

    label: str = Field(min_length=1, max_length=200)
    op: Literal["=", "!=", "=~", "!~"]
    value: str = Field(max_length=LONGEST)

    def fits(self, labels: Labels) -> bool:
        """Whether these labels fulfil it."""
        text = labels.get(self.label, "")
        found = text == self.value if self.op in ("=", "!=") else _pattern(self.value)(text)
        return found is (self.op in ("=", "=~"))

    def __str__(self) -> str:
        """As it is written."""
        return f"{self.label}{self.op}{json.dumps(self.value, ensure_ascii=False)}"


def matcher(text: str) -> Matcher:
    """Reads `label=value`, with or without quotes. Raises BadInput where it is no matcher."""
    form = _FORM.fullmatch(text)
    if form is None or len(text) > LONGEST:
        raise BadInput(f'{text[:100]!r} is no matcher; write for example service="shop" or alertname=~"Disk.*"')
    label, op, value = form.groups()
    made = Matcher.model_validate({"label": label, "op": op, "value": _unquoted(value, text)})
    try:
        made.fits({})  # a pattern that cannot be used is refused now, not when a signal comes
    except BadInput as error:
        raise BadInput(f"{text[:100]!r}: not a regular expression that can be used here") from error
    return made


def matchers(texts: list[str] | tuple[str, ...]) -> tuple[Matcher, ...]:
    """Reads all of them. Raises BadInput also where nothing, or every signal, would fit."""
    made = tuple(matcher(text) for text in texts)
    if all(one.fits({}) for one in made):
        words = "one matcher at least must ask for a label that is there: these would fit every signal"
        raise BadInput(words if made else 'name at least one matcher, for example service="shop"')
    return made


def labels_of(signal: Signal) -> Labels:
    """What matchers see: the signal's labels, and its name (also as `alertname`), kind, severity and service."""
    told = {"name": signal.name, "alertname": signal.name, "kind": str(signal.kind), "severity": str(signal.severity)}
    named = {"service": signal.service, "environment": signal.environment, "metric": signal.metric}
    return {**told, **{label: value for label, value in named.items() if value}, **signal.labels}


def _unquoted(value: str, text: str) -> str:
    if not value.startswith('"'):
        return value
    try:
        return str(json.loads(value))
    except ValueError as error:
        raise BadInput(f"{text[:100]!r}: the value's quotes do not end where it ends") from error
