"""What senders write, as signals: our own form, and what Alertmanager sends to a webhook. Each item by itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field

from models.domain.base import Frozen
from models.domain.errors import BadInput
from models.domain.signal import Signal, SignalKind
from service.contract import LabelMap, read_signal
from service.json_input import Problem, read_model
from service.settings import SignalFormat

MAX_SIGNALS = 10_000
"""In one request; more come in several."""

_WORDS = ("summary", "description", "message")
"""Annotations that people write for people, by the conventions of Prometheus and Grafana."""
_MOST_TEXT = 65_536


@dataclass(frozen=True)
class ReadSignals:
    """The items of one body: each with its path, what is wrong with the others."""

    accepted: list[tuple[str, Signal]] = field(default_factory=list)
    refused: list[Problem] = field(default_factory=list)

    @property
    def signals(self) -> list[Signal]:
        """Those that can be taken in."""
        return [signal for _, signal in self.accepted]


def read_signals(body: Any, form: SignalFormat, now: datetime) -> ReadSignals:
    """The signals of a JSON value in that form. Raises BadInput where it is another form as a whole."""
    items, root = _alerts(body) if form == "alertmanager" else _items(body)
    if len(items) > MAX_SIGNALS:
        raise BadInput(f"{len(items)} signals in one request; send at most {MAX_SIGNALS}", where=root)
    read = ReadSignals()
    for index, item in enumerate(items):
        path = f"{root}[{index}]"
        try:
            value = _as_input(item, path) if form == "alertmanager" else item
            read.accepted.append((path, read_signal(value, root=path, now=now)))
        except BadInput as error:
            read.refused.append(Problem(path=error.where or path, problem=error.problem))
    return read


def _items(body: Any) -> tuple[list[Any], str]:
    items, root = (body.get("signals"), "$.signals") if isinstance(body, dict) else (body, "$")
    if not isinstance(items, list) or not items:
        raise BadInput('send a list of signals that is not empty, or {"signals": [...]}', where=root)
    return items, root


def _alerts(body: Any) -> tuple[list[Any], str]:
    items = body.get("alerts") if isinstance(body, dict) else None
    if not isinstance(items, list) or not items:
        raise BadInput("send what Alertmanager sends to a webhook, with alerts", where="$.alerts")
    return items, "$.alerts"


class _Alert(Frozen):
    """An alert as https://prometheus.io/docs/alerting/latest/configuration/#webhook_config describes it."""

    model_config = ConfigDict(extra="ignore")

    status: Literal["firing", "resolved"]
    labels: LabelMap
    annotations: dict[str, str] = Field(default_factory=dict)


def _as_input(item: Any, path: str) -> dict[str, Any]:
    alert = read_model(_Alert, item, root=path)
    if not alert.labels.get("alertname"):
        raise BadInput("an alert without this label has no name", where=f"{path}.labels.alertname")
    # No `at`, so it is now: it fires, or is over, when Alertmanager says so. Its `startsAt` stays the same in every
    # repeat, and an incident whose alert still fires would be taken for one that went quiet.
    return {
        "kind": SignalKind.ALERT,
        "name": alert.labels["alertname"],
        "status": alert.status,
        "labels": alert.labels,
        "text": "\n".join(alert.annotations[name] for name in _WORDS if alert.annotations.get(name))[:_MOST_TEXT],
        "source": "alertmanager",
    }
