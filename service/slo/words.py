"""What an objective says: one signal an objective, the same one from the first alert to the last."""

from __future__ import annotations

from datetime import datetime, timedelta

from models.detection.slo.burn import AlertState, Verdict
from models.detection.slo.objective import Objective
from models.domain.base import Severity, format_duration
from models.domain.signal import Signal, SignalKind

_BEFORE = ". Before: "


def firing_signal(objective: Objective, verdict: Verdict, at: datetime) -> Signal:
    """The budget burns too fast. `value` is the burn rate over the long window of the most urgent alert."""
    urgent = verdict.firing[0]
    lines = [f"{objective.name}: {objective.target * 100:.6g} % over {format_duration(objective.window)}."]
    lines += [_rates(state) for state in verdict.firing]
    lines.append(budget_words(verdict))
    return Signal(
        kind=SignalKind.SLO,
        name=f"{objective.id} burns its error budget",
        at=at,
        labels={**objective.labels, "service": objective.service, "slo": objective.id},
        severity=severity_of(objective, urgent),
        value=urgent.long_rate,
        text=" ".join(lines),
        source="slo",
    )


def held_signal(signal: Signal, problem: str, at: datetime) -> Signal:
    """What fired goes on: it cannot be measured whether it is over."""
    known = signal.text.split(_BEFORE)[-1]
    text = f"Whether it is over cannot be measured: {problem}{_BEFORE}{known}"
    return signal.model_copy(update={"at": at, "text": text})


def over_signal(signal: Signal, verdict: Verdict, at: datetime) -> Signal:
    """No alert is reached any more."""
    text = f"The budget does not burn too fast any more. {budget_words(verdict)}"
    return signal.model_copy(update={"at": at, "status": "resolved", "text": text})


def removed_signal(signal: Signal, at: datetime) -> Signal:
    """Nobody watches it any more."""
    return signal.model_copy(update={"at": at, "status": "resolved", "text": "The objective was removed."})


def severity_of(objective: Objective, state: AlertState) -> Severity:
    """The objective's for a page, a warning at most for a ticket."""
    if state.alert.page:
        return objective.severity
    return min(objective.severity, Severity.WARNING, key=lambda severity: severity.rank)


def budget_words(verdict: Verdict) -> str:
    """What is left, and for how long."""
    if verdict.budget_left is None:
        return "Nothing was counted."
    left = f"{verdict.budget_left:.1%} of the error budget is left"
    if verdict.budget_left <= 0:
        return f"{left}: the objective is missed."
    if verdict.exhausted_in is None:
        return f"{left}."
    return f"{left}; as it burns now it is gone in {in_words(verdict.exhausted_in)}."


def in_words(span: timedelta) -> str:
    """To the minute, above two days to the hour."""
    step = timedelta(hours=1) if span > timedelta(days=2) else timedelta(minutes=1)
    return format_duration(max(step, round(span / step) * step))


def _rates(state: AlertState) -> str:
    alert = state.alert
    short = "no events" if state.short_rate is None else f"{state.short_rate:.3g} times"
    return (
        f"{'Page' if alert.page else 'Ticket'}: it burns {state.long_rate:.3g} times as fast as it lasts over "
        f"{format_duration(alert.long)}, {short} over {format_duration(alert.short)} ({alert.factor:.3g} is too fast)."
    )
