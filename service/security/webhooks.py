"""Webhooks: whoever sends signals signs them (Standard Webhooks, https://www.standardwebhooks.com), without an API key.

A signature is an HMAC-SHA256 over `<webhook-id>.<webhook-timestamp>.<body>`, and the time may be five minutes off: so
a request can be neither changed nor recorded and sent again later. Within that time its identifier tells that it is
a repeat (`service/store/deliveries.py`).
"""

from __future__ import annotations

import base64
import logging
import secrets
from collections.abc import Callable, Mapping

from standardwebhooks import Webhook, WebhookVerificationError

from models.domain.base import Frozen
from models.domain.errors import BadInput, Unauthenticated
from service.security.secrets import resolve_secret
from service.settings import SignalFormat, WebhookSettings

ID, TIME, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"

_log = logging.getLogger(__name__)
_PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64
"""Bytes of a secret, from the specification: 192 to 512 bits."""
_REFUSED = (
    "no webhook of this name has a secret that signed this request within the last five minutes; "
    "Suture's log says what is wrong with it"
)


class Delivery(Frozen):
    """A request whose signature holds."""

    webhook: str
    id: str
    """The sender's: the same one when it tries again."""
    format: SignalFormat


class Webhooks:
    """The webhooks of the settings."""

    def __init__(self, settings: Mapping[str, WebhookSettings], secret: Callable[[str], str] = resolve_secret) -> None:
        """Raises BadInput, with the setting's name, for a secret that cannot be read or used."""
        self._formats = {name: each.format for name, each in settings.items()}
        keys = {
            name: [_key(reference, secret, f"webhooks.{name}.secret") for reference in each.secret]
            for name, each in settings.items()
        }
        _refuse_shared(keys)
        self._verifiers = {name: [Webhook(key) for key in held] for name, held in keys.items()}
        # Signs nothing: a name that does not exist costs and says the same as a wrong signature.
        self._nobody = [Webhook(secrets.token_bytes(_SHORTEST))]

    def authenticate(self, name: str, headers: Mapping[str, str], body: bytes) -> Delivery:
        """The delivery of a body that nobody has parsed yet. Raises Unauthenticated, for whatever reason the same."""
        signed = {each: headers.get(each, "") for each in (ID, TIME, SIGNATURE)}
        problems = [_problem(each, signed, body) for each in self._verifiers.get(name, self._nobody)]
        if name not in self._formats or None not in problems:
            known = "; ".join(str(each) for each in problems) if name in self._formats else "there is no such webhook"
            _log.info("refused a request to the webhook %.80r: %s", name, known)
            raise Unauthenticated(_REFUSED)
        return Delivery(webhook=name, id=signed[ID], format=self._formats[name])


def _problem(verifier: Webhook, headers: dict[str, str], body: bytes) -> str | None:
    try:
        verifier.verify(body, headers, json_parse=False)
    except WebhookVerificationError as error:
        return str(error)
    except ValueError as error:  # a body or a header that cannot be decoded: not in the library's words
        return f"not of the form that Standard Webhooks has ({type(error).__name__})"
    return None


def _key(reference: str, secret: Callable[[str], str], where: str) -> bytes:
    try:
        text = secret(reference)
    except BadInput as error:
        raise BadInput(error.problem, where=where) from error
    try:
        # Strictly: the library leaves out what is not base64, and a passphrase would become a much shorter key.
        bare = text.removeprefix(_PREFIX).rstrip("=")
        key = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except ValueError:
        key = b""
    if not _SHORTEST <= len(key) <= _LONGEST:
        words = f"{reference} must hold {_PREFIX} and {_SHORTEST} to {_LONGEST} bytes as base64, as the sender shows it"
        raise BadInput(words, where=where) from None
    return key


def _refuse_shared(keys: Mapping[str, list[bytes]]) -> None:
    # The name is not signed: what was sent to one could be sent again to the other.
    owner: dict[bytes, str] = {}
    for name, held in keys.items():
        for key in held:
            if owner.setdefault(key, name) != name:
                raise BadInput(f"{owner[key]} has the same one; each needs its own", where=f"webhooks.{name}.secret")
