"""Signals from senders that sign what they send, in place of an API key."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import Depends, Request

from service.api import examples
from service.api.dependencies import PartsOf, answers, resource
from service.api.problems import MEDIA_TYPE, MalformedJson
from service.api.signals import SignalReport, report, valid_signals
from service.json_input import position
from service.security.webhooks import ID, SIGNATURE, TIME

router = resource("telemetry")


class DeliveryReport(SignalReport):
    """What became of each signal of a delivery."""

    repeated: bool = False
    """A delivery of this identifier was taken before: nothing was done."""


async def _bytes(request: Request) -> bytes:
    return await request.body()


def _header(name: str, description: str, example: str) -> dict[str, Any]:
    schema = {"type": "string", "example": example}
    return {"name": name, "in": "header", "required": True, "description": description, "schema": schema}


_DESCRIBED = {
    "parameters": [
        _header(ID, "The sender's; the same one when it tries again.", "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"),
        _header(TIME, "Unix seconds, at most five minutes from now.", "1674087231"),
        _header(SIGNATURE, "One or more, with blanks between them.", "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="),
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "example": examples.SIGNALS,
                "schema": {
                    "anyOf": [
                        {"type": "array", "items": {"$ref": "#/components/schemas/SignalInput"}},
                        {"$ref": "#/components/schemas/SignalList"},
                        {"type": "object", "description": "What Alertmanager sends to a webhook."},
                    ]
                },
            }
        },
    },
}  # fmt: skip
_REFUSALS: dict[int | str, Any] = {
    code: {"description": words, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}}
    for code, words in (
        (400, "The body is not JSON."),
        (401, "No webhook has that name, or the signature does not hold."),
        (413, "The body is too large."),
    )
}


@router.post(
    "/v1/webhooks/{name}",
    summary="Send signals, signed",
    status_code=202,
    responses={
        **answers(
            {**examples.SIGNAL_REPORT, "repeated": False},
            503,
            status=202,
            description="At least one was taken, or it is a repeat.",
        ),
        **_REFUSALS,
    },
    openapi_extra=_DESCRIBED,
)
def take_delivery(
    name: str, request: Request, body: Annotated[bytes, Depends(_bytes)], parts: PartsOf
) -> DeliveryReport:
    """Signals as `POST /v1/signals` takes them, or in the format that the webhook's settings name.

    Signed as Standard Webhooks (https://www.standardwebhooks.com) describes it; the signature is checked over the
    bytes of the body before they are parsed. A delivery whose `webhook-id` was taken before is answered with
    `repeated`, and nothing is done; one that was refused or failed may come again.
    """
    delivery = parts.webhooks.authenticate(name, request.headers, body)
    read = valid_signals(_parsed(body), delivery.format, parts)
    receipts = parts.intake.delivery(delivery.webhook, delivery.id, read.signals)
    if receipts is None:
        return DeliveryReport(accepted=(), refused=(), repeated=True)
    return DeliveryReport(**report(read, receipts).model_dump())


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except json.JSONDecodeError as error:
        place = position(error.doc, error.pos)
        raise MalformedJson(f"the body is not valid JSON: {error.msg} at {place}") from error
    except (RecursionError, ValueError) as error:  # nested too deep, or a number of too many digits
        raise MalformedJson(f"the body is not valid JSON: {error}") from error
