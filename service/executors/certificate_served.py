"""Asks a server, by a TLS handshake, which certificate it serves."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

from service.executors.certificate_pair import serial_of, tls_words, trusting
from service.executors.certificate_settings import Certificate
from service.ports import ExecutorError

if TYPE_CHECKING:
    from cryptography import x509

_SECONDS = 5.0
"""Longest wait for one handshake."""


def served(settings: Certificate, seconds: float) -> x509.Certificate:
    """What is served, valid or not: an expired certificate is the usual reason to ask. Raises ExecutorError."""
    anything = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anything.check_hostname = False
    anything.verify_mode = ssl.CERT_NONE
    return _ask(settings, anything, seconds)


def served_and_valid(settings: Certificate, seconds: float) -> str:
    """The serial of what is served, its chain and name verified as a client does. Raises ExecutorError."""
    return serial_of(_ask(settings, trusting(settings.ca), seconds))


def _ask(settings: Certificate, context: ssl.SSLContext, seconds: float) -> x509.Certificate:
    return shown(settings.address, settings.asked_name, context, seconds)


def shown(address: tuple[str, int], name: str, context: ssl.SSLContext, seconds: float) -> x509.Certificate:
    """What a server at `address` shows to who asks for `name`. Raises ExecutorError."""
    from cryptography import x509

    limit, place = min(max(seconds, 0.05), _SECONDS), f"{address[0]}:{address[1]}"
    try:
        with (
            socket.create_connection(address, timeout=limit) as plain,
            context.wrap_socket(plain, server_hostname=name) as secure,
        ):
            der = secure.getpeercert(binary_form=True)
    except OSError as error:  # ssl.SSLError is one
        raise ExecutorError(f"{place}: {tls_words(error)}") from error
    if der is None:
        raise ExecutorError(f"{place} shows no certificate")
    return x509.load_der_x509_certificate(der)
