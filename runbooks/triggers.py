"""Which runbooks a signal speaks for: CEL expressions over `signal`, any one of a runbook's matches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.domain.runbook import Runbook
from models.domain.signal import Signal
from runbooks.expressions import BadExpression, NoValue, Variables, check, fields_read, value_of

SIGNAL_FIELDS = frozenset(
    {"kind", "name", "metric", "labels", "value", "text", "direction", "severity", "service", "environment", "score"}
)
"""What a trigger may read. Those that a signal does not have are missing: `has(signal.metric)` asks."""


@dataclass(frozen=True)
class TriggerMatch:
    """A trigger that matched: its expression, and the fingerprint and the name of the signal."""

    runbook: str
    trigger: str
    signal: str
    name: str


def check_trigger(source: str) -> None:
    """Raises BadExpression with the reason where a trigger cannot be used."""
    check(source, "signal", SIGNAL_FIELDS)


def signal_variables(signal: Signal) -> Variables:
    """A signal as triggers see it. `score` is the anomaly's, in [0, 1]."""
    values = {
        "kind": signal.kind.value,
        "name": signal.name,
        "metric": signal.metric,
        "labels": signal.labels,
        "value": signal.value if signal.value is not None or signal.anomaly is None else signal.anomaly.observed,
        "text": signal.text,
        "direction": signal.direction,
        "severity": signal.severity.value,
        "service": signal.service,
        "environment": signal.environment,
        "score": signal.anomaly.score if signal.anomaly else None,
    }
    return Variables(signal={name: value for name, value in values.items() if value is not None})


def matches(source: str, signal: Variables) -> bool:
    """Whether the trigger is true of a signal as `signal_variables` gives it. What it lacks is no match.

    Nor is a broken trigger, which is the linter's to report: an incident must not fail on it.
    """
    try:
        return value_of(source, signal) is True
    except (NoValue, BadExpression):
        return False


def matching(runbooks: Sequence[Runbook], signals: Sequence[Signal]) -> tuple[TriggerMatch, ...]:
    """Every trigger that matched a firing signal, in the order of the runbooks."""
    firing = {signal.fingerprint: signal for signal in signals if signal.status == "firing"}
    seen = [_Seen(signal) for signal in firing.values()]
    return tuple(
        TriggerMatch(runbook.id, trigger, one.signal.fingerprint, one.signal.name)
        for runbook in runbooks
        for trigger in runbook.triggers
        for one in seen
        if one.matches(trigger)
    )


_ANSWERS: dict[tuple[str, tuple[Any, ...]], bool] = {}
"""What triggers say that read only what signals have in common from one recommendation to the next: by the trigger and
the values of the fields that it reads."""
_ANSWERS_AT_MOST = 50_000
_OF_THE_MOMENT = frozenset({"value", "text", "score"})


class _Seen:
    """A signal that every trigger is asked about."""

    def __init__(self, signal: Signal) -> None:
        self.signal = signal
        self._variables = signal_variables(signal)
        self._keys = {
            name: tuple(sorted(value.items())) if isinstance(value, Mapping) else value
            for name, value in self._variables.values["signal"].items()
        }

    def matches(self, trigger: str) -> bool:
        fields = fields_read(trigger, "signal")
        if fields is None or not _OF_THE_MOMENT.isdisjoint(fields):
            return matches(trigger, self._variables)
        key = trigger, tuple(self._keys.get(name) for name in fields)
        answer = _ANSWERS.get(key)
        if answer is None:
            answer = matches(trigger, self._variables)
            if len(_ANSWERS) >= _ANSWERS_AT_MOST:
                _ANSWERS.clear()
            _ANSWERS[key] = answer
        return answer
