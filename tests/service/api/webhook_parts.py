"""Signs as a sender does, by the words of the specification: without the library that checks it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

SECRET = "whsec_" + base64.b64encode(b"a secret of 24 bytes or more").decode()
OTHER = "whsec_" + base64.b64encode(b"another one, as long as that").decode()
SIGNALS = [{"kind": "alert", "name": "ShopBroken", "severity": "critical", "labels": {"service": "shop"}}]
BODY = json.dumps(SIGNALS).encode()


def signature(body: bytes, identifier: str, at: object, secret: str = SECRET) -> str:
    """One entry of the header, of version 1."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{identifier}.{at}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def headers(body: bytes = BODY, identifier: str = "msg_1", secret: str = SECRET, late: int = 0) -> dict[str, str]:
    """What a sender sends with that body; `late` is how many seconds ago it signed it."""
    at = int(time.time()) - late
    return {
        "webhook-id": identifier,
        "webhook-timestamp": str(at),
        "webhook-signature": signature(body, identifier, at, secret),
        "content-type": "application/json",
    }


def send(client: Any, body: bytes = BODY, name: str = "ci", **signed: Any) -> Any:
    """A delivery as an honest sender makes it."""
    return client.post(f"/v1/webhooks/{name}", content=body, headers=headers(body, **signed))
