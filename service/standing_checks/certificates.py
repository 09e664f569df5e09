"""What is known of a certificate: one that a server shows, or one in a file."""

from __future__ import annotations

import ssl
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.domain.errors import BadInput, Unavailable
from service.executors.certificate_served import shown
from service.ports import ExecutorError

if TYPE_CHECKING:
    from cryptography import x509

_SECONDS = 5.0
_MISSING = "certificates need the extra: install suture[certificate]"


def of_server(address: str, server_name: str | None, ca: Path | None, now: datetime) -> dict[str, Any]:
    """Of what is shown at `host:port`, valid or not, and whether a client would accept it. Raises Unavailable."""
    _require_cryptography()
    host, _, port = address.rpartition(":")
    place, name = (host.strip("[]"), int(port)), server_name or host.strip("[]")
    anything = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anything.check_hostname = False
    anything.verify_mode = ssl.CERT_NONE
    try:
        found = facts_of(shown(place, name, anything, _SECONDS), now)
    except ExecutorError as error:
        raise Unavailable(str(error)) from error
    why = _why_refused(place, name, ca)
    return found | {"accepted": why is None, "refused_because": why or ""}


def of_file(path: Path, now: datetime) -> dict[str, Any]:
    """Of the first certificate of a PEM file. Raises Unavailable where it cannot be read."""
    _require_cryptography()
    from cryptography import x509

    try:
        chain = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise Unavailable(f"{path} holds no certificate in PEM") from error
    return facts_of(chain[0], now)


def facts_of(certificate: x509.Certificate, now: datetime) -> dict[str, Any]:
    """Its dates, names and authority. `days_left` is negative once it has expired."""
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        spelled = [str(name.value) for name in names]
    except x509.ExtensionNotFound:
        spelled = []
    ends = certificate.not_valid_after_utc
    return {
        "days_left": (ends - now).total_seconds() / 86_400,
        "not_after": ends.isoformat(),
        "not_before": certificate.not_valid_before_utc.isoformat(),
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "names": spelled,
        "serial": format(certificate.serial_number, "x"),
        "self_signed": certificate.subject == certificate.issuer,
    }


def _why_refused(place: tuple[str, int], name: str, ca: Path | None) -> str | None:
    try:
        trusting = ssl.create_default_context(cafile=str(ca) if ca else None)
    except OSError as error:
        raise BadInput(f"ca: {ca} holds no certificates that can be read: {error.strerror or error}") from error
    try:
        shown(place, name, trusting, _SECONDS)
    except ExecutorError as error:
        return str(error)
    return None


def _require_cryptography() -> None:
    from importlib.util import find_spec

    if find_spec("cryptography") is None:
        raise BadInput(_MISSING)
