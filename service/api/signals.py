"""Signals in: alerts, SLO breaches, policy violations, tickets, anomalies that others found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Body
from pydantic import SkipValidation

from models.domain.base import Frozen
from service.api import examples
from service.api.dependencies import PartsOf, answers, resource, takes
from service.api.problems import NothingValid, PlaceProblem
from service.contract import SignalInput
from service.intake import SignalReceipt
from service.parts import Parts
from service.security.auth import SENDER
from service.settings import SignalFormat
from service.signal_formats import ReadSignals, read_signals

router = resource("telemetry")


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
def send_signals(parts: PartsOf, body: SignalsBody, format: SignalFormat = "signals") -> SignalReport:
    """A list of signals, or `{"signals": [...]}`; with `format=alertmanager` what Alertmanager sends to a webhook.

    Each is checked by itself: the answer lists those that were taken (stored durably by then) and those that were
    refused, with the path and the reason. 422 where none was valid.
    """
    read = valid_signals(body, format, parts)
    return report(read, parts.intake.signals(read.signals))


def valid_signals(body: Any, form: SignalFormat, parts: Parts) -> ReadSignals:
    """The signals of a body. Raises NothingValid, or BadInput where it has another form."""
    read = read_signals(body, form, parts.clock())
    if not read.accepted:
        raise NothingValid(read.refused)
    return read


def report(read: ReadSignals, receipts: Sequence[SignalReceipt]) -> SignalReport:
    """The answer, once they were taken in."""
    return SignalReport(
        accepted=tuple(
            AcceptedSignal(path=path, fingerprint=receipt.fingerprint, incident=receipt.incident, note=receipt.note)
            for (path, _), receipt in zip(read.accepted, receipts, strict=True)
        ),
        refused=tuple(PlaceProblem(**each) for each in read.refused),
    )
