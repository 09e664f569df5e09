"""Sends ticket events as signed JSON to a URL, for systems that have no adapter of their own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

import httpx
from pydantic import Field, field_validator

from models.domain.base import Clock, Duration, Frozen, Labels, Severity, Time
from models.domain.errors import BadInput
from models.redaction import Redaction, redacted_words
from service.itsm.signature import HEADER, sign
from service.ports import Context, TicketDraft, TicketingError
from service.validation import existing_certificates, http_address, read_config, require_secret, trust

_ANSWER_LIMIT = 65_536
"""Bytes of an answer that are read: it holds a reference or a few words."""
_LAST_WORDS = 500
"""Characters of an answer in an error's words."""
_REFERENCE_LENGTH = 200


class WebhookConfig(Frozen):
    """Settings section of the webhook. `secret`: a reference to the key of the signature.

    `ca`: a file with the certificates to trust, in place of the usual ones.
    """

    url: str
    secret: str
    timeout: Duration = timedelta(seconds=10)
    ca: Path | None = None
    redaction: Redaction = Redaction()
    """What is replaced in titles and texts before they leave; labels stay, receivers match on them."""

    _address = field_validator("url")(http_address)
    _certificates = field_validator("ca")(existing_certificates)

    @field_validator("timeout")
    @classmethod
    def _positive(cls, timeout: timedelta) -> timedelta:
        if timeout <= timedelta(0):
            raise ValueError("must be above 0s")
        return timeout


class TicketEvent(Frozen):
    """What is sent. An event that is sent again has the same `key`; apply it once.

    `incident`, `title`, `severity` and `labels` come with `opened` alone; `reference` from then on, as it was answered.
    """

    type: Literal["opened", "commented", "closed"]
    key: str
    at: Time
    body: str
    reference: str | None = None
    incident: str | None = None
    title: str | None = None
    severity: Severity | None = None
    labels: Labels = Field(default_factory=dict)


class WebhookTicketing:
    """Posts each event once; whether to try again is the caller's decision. Safe to use from several threads."""

    name = "webhook"

    def __init__(self, config: WebhookConfig, secret: Callable[[str], str], clock: Clock) -> None:
        self._config = config
        self._secret = secret
        self._clock = clock
        self._client = httpx.Client(
            headers={"Accept-Encoding": "identity"},  # so that the limit of an answer holds while it is read
            verify=trust(config.ca),
            follow_redirects=False,
            trust_env=False,
        )

    def open(self, draft: TicketDraft, key: str) -> str:
        """Post `opened`; the reference is the answer's JSON field `reference`, else the incident's id."""
        answer = self._post(
            TicketEvent(
                type="opened",
                key=key,
                at=self._clock(),
                body=draft.body,
                incident=draft.incident,
                title=draft.title,
                severity=draft.severity,
                labels=dict(draft.labels),
            )
        )
        return _reference(answer) or draft.incident

    def comment(self, reference: str, text: str, key: str) -> None:
        """Post `commented`."""
        self._post(TicketEvent(type="commented", key=key, at=self._clock(), body=text, reference=reference))

    def close(self, reference: str, resolution: str, key: str) -> None:
        """Post `closed`."""
        self._post(TicketEvent(type="closed", key=key, at=self._clock(), body=resolution, reference=reference))

    def _post(self, event: TicketEvent) -> bytes:
        body = self._redacted(event).model_dump_json().encode()
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": event.key,
            HEADER: sign(body, self._key(), self._clock()),
        }
        timeout = self._config.timeout.total_seconds()
        try:
            with self._client.stream(
                "POST", self._config.url, content=body, headers=headers, timeout=timeout
            ) as response:
                answer = _start_of(response)
        except httpx.HTTPError as error:
            words = str(error) or type(error).__name__
            raise TicketingError(f"{self._shown} does not answer: {words}", retriable=True) from error
        if not response.is_success:
            raise self._refusal(response.status_code, answer)
        return answer

    def _redacted(self, event: TicketEvent) -> TicketEvent:
        texts = {name: text for name in ("title", "body") if (text := getattr(event, name))}
        return event.model_copy(
            update={name: redacted_words(text, self._config.redaction) for name, text in texts.items()}
        )

    def _key(self) -> str:
        try:
            return self._secret(self._config.secret)
        except BadInput as error:  # it was there at the start; whoever is changing it may be about to finish
            raise TicketingError(str(error), retriable=True) from error

    def _refusal(self, status: int, answer: bytes) -> TicketingError:
        text = answer.decode("utf-8", "replace").strip()[:_LAST_WORDS]
        words = f"{self._shown} answered {status}" + (f": {text}" if text else "")
        # 408 and 429 ask for a later try (RFC 9110 section 15.5.9, RFC 6585 section 4).
        return TicketingError(words, retriable=status in (408, 429) or status >= 500)

    @property
    def _shown(self) -> str:
        parts = urlsplit(self._config.url)
        return urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))  # a query may hold a token


def _start_of(response: httpx.Response) -> bytes:
    answer = bytearray()
    for chunk in response.iter_bytes():
        answer += chunk
        if len(answer) > _ANSWER_LIMIT:
            break
    return bytes(answer[:_ANSWER_LIMIT])


def _reference(answer: bytes) -> str | None:
    try:
        content = json.loads(answer)
    except ValueError:  # a receiver need not answer in JSON
        return None
    reference = content.get("reference") if isinstance(content, dict) else None
    if isinstance(reference, bool) or not isinstance(reference, str | int):
        return None
    text = str(reference).strip()
    return text if text.isprintable() and 0 < len(text) <= _REFERENCE_LENGTH else None


def build(config: Mapping[str, Any], context: Context) -> WebhookTicketing:
    """The adapter of a settings section. Raises BadInput on a wrong one, and where the secret cannot be resolved."""
    settings = read_config(WebhookConfig, config, where="ticketing.config")
    require_secret(context.secret, settings.secret, where="ticketing.config.secret")
    return WebhookTicketing(settings, context.secret, context.clock)
