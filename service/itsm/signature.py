"""Signs what is sent to a webhook, and checks the signature for those who receive it.

The form is the one that webhook receivers know from Stripe (https://docs.stripe.com/webhooks#verify-manually):
`t=<unix seconds>,v1=<hex>`, an HMAC-SHA256 (RFC 2104) over `<t>.<body>`. The time is signed too, so that a recorded
request cannot be sent again later.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import datetime, timedelta

from models.domain.errors import Unauthenticated

HEADER = "Suture-Signature"


def sign(body: bytes, secret: str, at: datetime) -> str:
    """The header's value for a body that is sent at that time."""
    seconds = int(at.timestamp())
    return f"t={seconds},v1={_digest(seconds, body, secret)}"


def verify_signature(
    header: str, body: bytes, secret: str, *, now: datetime, tolerance: timedelta = timedelta(minutes=5)
) -> None:
    """Raises Unauthenticated where the header is not ours for exactly these bytes, or not of about now.

    Several `v1` may stand in one header, while a secret is being changed: one that fits is enough.
    """
    parts = [part.strip().partition("=")[::2] for part in header.split(",")]
    times = [value for name, value in parts if name == "t"]
    if len(times) != 1 or not re.fullmatch(r"[0-9]{1,12}", times[0]):
        raise Unauthenticated(f"the {HEADER} header is missing or has another form")
    seconds = int(times[0])
    expected = _digest(seconds, body, secret)
    given = [value for name, value in parts if name == "v1"]
    if not any(hmac.compare_digest(expected.encode(), value.encode()) for value in given):
        raise Unauthenticated("the signature does not fit the body")
    if abs(now.timestamp() - seconds) > tolerance.total_seconds():
        raise Unauthenticated("the signature is too old, or from the future; are the clocks right?")


def _digest(seconds: int, body: bytes, secret: str) -> str:
    return hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
