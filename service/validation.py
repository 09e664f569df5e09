"""Reads a section of somebody's settings into its typed form, with an error that names the key."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from models.domain.errors import BadInput
from service.plain_words import words_of

_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_.])?|[0-9A-Fa-f:.]+")

Model = TypeVar("Model", bound=BaseModel)


def explain(error: ValidationError, data: Mapping[str, Any] | None = None) -> str:
    """Each problem as `key.path: what is wrong`, without the values: one of them may be a secret.

    `data`: what was read. With it a path has its keys alone, without the name of the variant that a `kind` chose.
    """
    return "; ".join(
        f"{'.'.join(_keys(item, data)) or 'value'}: {words_of(item)}"
        for item in error.errors(include_input=False, include_url=False)
    )


def _keys(item: ErrorDetails, data: Any) -> list[str]:
    keys = []
    for number, part in enumerate(item["loc"], start=1):
        is_missing_key = item["type"] == "missing" and number == len(item["loc"])
        if isinstance(data, Mapping) and part not in data and not is_missing_key:
            continue  # a variant
        keys.append(str(part))
        if isinstance(data, Mapping):
            data = data.get(part)
        elif isinstance(data, list | tuple) and isinstance(part, int):
            data = data[part]
        else:
            data = None
    return keys


def read_config(model: type[Model], config: Mapping[str, Any], *, where: str) -> Model:
    """`config` as `model`. Raises BadInput; `where` is the section's name, for example `executors.process`."""
    try:
        return model.model_validate(dict(config))
    except ValidationError as error:
        raise BadInput(explain(error, config), where=where) from error


def require_secret(secret: Callable[[str], str], reference: str, *, where: str) -> None:
    """Raises BadInput, with the key that holds the reference, where it has no value: now, not in an incident."""
    try:
        secret(reference)
    except BadInput as error:
        raise BadInput(error.problem, where=where) from error


def http_address(text: str) -> str:
    """`text`, for a field validator. Raises ValueError where it is no http(s) URL, or holds credentials."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must begin with http:// or https:// and a host")
    if "@" in parts.netloc:
        raise ValueError("must hold no credentials; use a secret reference")
    if parts.fragment or not text.isprintable() or " " in text:
        raise ValueError("must hold no space, no control character and no #")
    if parts.port == 0:  # `port` itself raises ValueError on what is no port
        raise ValueError("must have a port above 0")
    _plain_host(parts.hostname)
    return text


def _plain_host(host: str) -> None:
    """Raises ValueError on letters that only look like Latin ones, and on what resolvers read in different ways."""
    if not host.isascii():
        raise ValueError("must have a host in ASCII; write another script as xn--… (IDNA)")
    if not _HOST.fullmatch(host):
        raise ValueError("must have a host of letters, digits, - _ . or a numeric address")
    if "xn--" in host:
        import idna

        try:
            idna.decode(host)
        except idna.IDNAError as error:
            raise ValueError(f"must have a host that is valid IDNA: {error}") from error


def trust(ca: Path | None) -> ssl.SSLContext | bool:
    """What httpx verifies servers by: the certificates in `ca`, else the usual ones."""
    return ssl.create_default_context(cafile=str(ca)) if ca else True


def existing_certificates(ca: Path | None) -> Path | None:
    """`ca`, for a field validator. Raises ValueError where no certificate can be read from it."""
    try:
        trust(ca)
    except OSError as error:  # ssl.SSLError is one
        raise ValueError(f"holds no certificates that can be read: {error.strerror or error}") from error
    return ca
