"""Signals in: alerts, SLO breaches, policy violations, tickets, anomalies that others found."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Body
from pydantic import SkipValidation

from models.domain.base import Clock, Frozen
from models.domain.errors import BadInput
from models.domain.signal import Signal
from service.api import examples
from service.api.dependencies import PartsOf, answers, resource, takes
from service.api.problems import NothingValid, PlaceProblem
from service.contract import SignalInput, read_signal
from service.json_input import Problem
from service.security.auth import SENDER

router = resource("telemetry")

MAX_SIGNALS = 10_000
"""In one request; more come in several."""


class SignalList(Frozen):
    """The other form of the body."""

    signals: tuple[SignalInput, ...]


class AcceptedSignal(Frozen):
    """A signal that is stored."""

    path: str
    fingerprint: str
    """Equal for repeats of one signal."""
    incident: str | None
    """The incident that it opened or joined."""
    note: str


class SignalReport(Frozen):
    """What became of each signal of a request."""

    accepted: tuple[AcceptedSignal, ...]
    refused: tuple[PlaceProblem, ...]


# Documented as its type, validated item by item below: one bad signal must not refuse the others.
SignalsBody = Annotated[
    SkipValidation[list[SignalInput] | SignalList], Body(examples=[examples.SIGNALS, {"signals": examples.SIGNALS}])
]


@router.post(
    "/v1/signals",
    summary="Send signals",
    status_code=202,
    responses=answers(examples.SIGNAL_REPORT, 503, status=202, description="At least one was taken."),
    openapi_extra=takes(examples.SIGNALS),
    dependencies=[SENDER],
)
def send_signals(parts: PartsOf, body: SignalsBody) -> SignalReport:
    """A list of signals, or `{"signals": [...]}`.

    Each is checked by itself: the answer lists those that were taken (stored durably by then) and those that were
    refused, with the path and the reason. 422 where none was valid.
    """
    accepted, refused = _read(body, parts.clock)
    if not accepted:
        raise NothingValid(refused)
    receipts = parts.intake.signals([signal for _, signal in accepted])
    return SignalReport(
        accepted=tuple(
            AcceptedSignal(path=path, fingerprint=receipt.fingerprint, incident=receipt.incident, note=receipt.note)
            for (path, _), receipt in zip(accepted, receipts, strict=True)
        ),
        refused=tuple(PlaceProblem(**each) for each in refused),
    )


def _read(body: Any, clock: Clock) -> tuple[list[tuple[str, Signal]], list[Problem]]:
    items, root = _items(body)
    accepted: list[tuple[str, Signal]] = []
    refused: list[Problem] = []
    for index, item in enumerate(items):
        path = f"{root}[{index}]"
        try:
            accepted.append((path, read_signal(item, root=path, now=clock())))
        except BadInput as error:
            refused.append(Problem(path=error.where or path, problem=error.problem))
    return accepted, refused


def _items(body: Any) -> tuple[list[Any], str]:
    items, root = (body.get("signals"), "$.signals") if isinstance(body, dict) else (body, "$")
    if not isinstance(items, list) or not items:
        raise BadInput('send a list of signals that is not empty, or {"signals": [...]}', where=root)
    if len(items) > MAX_SIGNALS:
        raise BadInput(f"{len(items)} signals in one request; send at most {MAX_SIGNALS}", where=root)
    return items, root
