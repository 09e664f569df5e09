"""A private key and its certificate chain: made, checked, and installed as two files that belong together."""

from __future__ import annotations

import ipaddress
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from service.executors.arguments import refused
from service.executors.certificate_settings import Certificate
from service.executors.replacing import put_in_place, remove, write_beside
from service.ports import ExecutorError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

_CHAIN_MODE = 0o644
_KEY_MODE = 0o600


@dataclass(frozen=True)
class Pair:
    """Both as PEM. The key never leaves this pair and its file: `repr` leaves it out."""

    chain: bytes
    key: bytes

    def __repr__(self) -> str:
        """Without the key."""
        return f"Pair(serial={serial_of(self.leaf)})"

    @property
    def leaf(self) -> x509.Certificate:
        """The server's certificate, first of the chain."""
        from cryptography import x509

        return x509.load_pem_x509_certificates(self.chain)[0]

    def belongs_together(self) -> bool:
        """Whether the key is the certificate's."""
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        return load_pem_private_key(self.key, None).public_key() == self.leaf.public_key()


def serial_of(certificate: x509.Certificate) -> str:
    """The serial number in hexadecimal, lower case."""
    return format(certificate.serial_number, "x")


def new_key(key_type: str) -> tuple[CertificateIssuerPrivateKeyTypes, bytes]:
    """A private key, and the same as PEM (PKCS #8)."""
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = (
        rsa.generate_private_key(65537, 2048) if key_type == "rsa" else ec.generate_private_key(ec.SECP256R1())
    )
    return key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def new_request(key: CertificateIssuerPrivateKeyTypes, names: tuple[str, ...]) -> x509.CertificateSigningRequest:
    """A signing request for the names, which stand in the subject alternative name alone (RFC 9525)."""
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    # Critical, since the subject is empty (RFC 5280 section 4.2.1.6).
    request = request.add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=True)
    return request.sign(key, SHA256())


def read_pair(certificate: Path, key: Path) -> Pair | None:
    """The pair of the two files; None where one is missing, cannot be understood, or is not of the other.

    Raises ExecutorError where a file is there and cannot be read (nothing was changed by that).
    """
    try:
        pair = Pair(certificate.read_bytes(), key.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise refused(f"{error.filename} cannot be read: {error.strerror}") from error
    with suppress(ValueError, TypeError):  # no PEM, or a key with a password: no server could use it as it is
        return pair if pair.belongs_together() else None
    return None


def check(pair: Pair, settings: Certificate, now: datetime) -> None:
    """Raises ExecutorError where the pair would not do: its key, its dates, its names, or its chain."""
    try:
        if not pair.belongs_together():
            raise ExecutorError("the certificate is not of the key that was made for it")
        leaf = pair.leaf
    except ValueError as error:
        raise ExecutorError(f"the certificate cannot be understood: {error}") from error
    if not leaf.not_valid_before_utc <= now < leaf.not_valid_after_utc:
        dates = f"{leaf.not_valid_before_utc:%Y-%m-%dT%H:%MZ} to {leaf.not_valid_after_utc:%Y-%m-%dT%H:%MZ}"
        raise ExecutorError(f"the certificate is valid from {dates}, and not now")
    missing = set(settings.names) - _names(leaf)
    if missing:
        raise ExecutorError(f"the certificate is not for {', '.join(sorted(missing))}")


def try_handshake(chain: Path, key: Path, settings: Certificate) -> None:
    """Raises ExecutorError where a client that trusts `settings.ca` would not take the pair: a handshake in memory."""
    try:
        server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server_side.load_cert_chain(chain, key)
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = server_side.wrap_bio(to_server, to_client, server_side=True)
        client = trusting(settings.ca).wrap_bio(to_client, to_server, server_hostname=settings.asked_name)
        pending = [client, server]
        while pending:
            for side in tuple(pending):
                with suppress(ssl.SSLWantReadError):  # its turn comes when the other side has spoken
                    side.do_handshake()
                    pending.remove(side)
    except (ssl.SSLError, ssl.CertificateError) as error:
        raise ExecutorError(f"a client would not take the certificate: {tls_words(error)}") from error


def trusting(ca: Path | None) -> ssl.SSLContext:
    """What a client verifies by: the certificates in `ca`, else the usual ones."""
    return ssl.create_default_context(cafile=str(ca) if ca else None)


def tls_words(error: OSError) -> str:
    """What is wrong, without the place in OpenSSL's sources."""
    return getattr(error, "verify_message", "") or getattr(error, "reason", None) or error.strerror or str(error)


def install(pair: Pair, settings: Certificate) -> None:
    """Put both files in place; an old pair stays beside them until `forget_previous`.

    Raises ExecutorError (nothing of the installed pair was changed) where the pair fails the trial, and OSError.
    """
    old = read_pair(settings.certificate, settings.key)
    chain = write_beside(settings.certificate, pair.chain, mode=_CHAIN_MODE)
    try:
        key = write_beside(settings.key, pair.key, mode=_KEY_MODE)
        try:
            try_handshake(chain, key, settings)
            if old is not None:  # else two halves of an attempt that was cut off: the pair before it stands there
                _keep(settings, old)
            put_in_place(key, settings.key)
            put_in_place(chain, settings.certificate)
        finally:
            key.unlink(missing_ok=True)
    finally:
        chain.unlink(missing_ok=True)


def previous(settings: Certificate) -> Pair | None:
    """The pair before the last one that was installed and not yet found to be served."""
    return read_pair(_previous(settings.certificate), _previous(settings.key))


def put_previous_back(settings: Certificate) -> Pair | None:
    """Install the previous pair again and return it; None where there is none, and nothing is done. Raises OSError."""
    old = previous(settings)
    if old is not None:
        put_in_place(write_beside(settings.key, old.key, mode=_KEY_MODE), settings.key)
        put_in_place(write_beside(settings.certificate, old.chain, mode=_CHAIN_MODE), settings.certificate)
        forget_previous(settings)
    return old


def forget_previous(settings: Certificate) -> None:
    """Remove the previous pair. Raises OSError."""
    remove(_previous(settings.key))
    remove(_previous(settings.certificate))


def _keep(settings: Certificate, old: Pair) -> None:
    for path, data, mode in (
        (settings.certificate, old.chain, _CHAIN_MODE),
        (settings.key, old.key, _KEY_MODE),
    ):
        put_in_place(write_beside(_previous(path), data, mode=mode), _previous(path))


def _previous(path: Path) -> Path:
    return path.with_name(f"{path.name}.previous")


def _general(name: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _names(leaf: x509.Certificate) -> set[str]:
    from cryptography import x509

    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {name.lower() for name in names.get_values_for_type(x509.DNSName)} | {
        str(address) for address in names.get_values_for_type(x509.IPAddress)
    }
