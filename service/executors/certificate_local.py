"""Issues certificates of an authority of one's own, whose key this installation can read."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from service.executors.arguments import refused
from service.executors.certificate_settings import LocalAuthority

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    _Key = EllipticCurvePrivateKey | RSAPrivateKey

_SKEW = timedelta(minutes=5)
"""How far a client's clock may be behind ours."""


class LocalIssuer:
    """The authority, ready to sign. It holds the key: keep it no longer than an act."""

    def __init__(self, settings: LocalAuthority, key: str, now: datetime) -> None:
        """`key`: PEM. Raises ExecutorError where it is not the authority's, or the authority has expired."""
        self._settings = settings
        self._now = now
        self._chain = _read_chain(settings)
        self._key = _read_key(key)
        issuer = self._chain[0]
        if self._key.public_key() != issuer.public_key():
            raise refused(f"the authority's key is not that of {settings.certificate}")
        if not issuer.not_valid_before_utc <= now < issuer.not_valid_after_utc:
            raise refused(f"the authority itself is not valid now: {settings.certificate}")

    @property
    def words(self) -> str:
        """Who issues, for people."""
        return f"the local authority {self._chain[0].subject.rfc4514_string()}"

    def issue(self, request: x509.CertificateSigningRequest) -> bytes:
        """The chain, as PEM: the new certificate, then the issuer's own up to a root, which clients have."""
        from cryptography.hazmat.primitives.serialization import Encoding

        leaf = self._sign(request)
        between = [one for one in self._chain if one.subject != one.issuer]
        return b"".join(one.public_bytes(Encoding.PEM) for one in (leaf, *between))

    def _sign(self, request: x509.CertificateSigningRequest) -> x509.Certificate:
        from cryptography import x509
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.x509.oid import ExtendedKeyUsageOID

        issuer = self._chain[0]
        ends = min(self._now + timedelta(days=self._settings.days), issuer.not_valid_after_utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(request.subject)
            .issuer_name(issuer.subject)
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(max(self._now - _SKEW, issuer.not_valid_before_utc))
            .not_valid_after(ends)
        )
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        for extension, critical in (
            (names.value, names.critical),
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_signs_only(), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
            (x509.SubjectKeyIdentifier.from_public_key(request.public_key()), False),
            (_authority_identifier(issuer, self._key), False),
        ):
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(self._key, SHA256())


def _read_chain(settings: LocalAuthority) -> list[x509.Certificate]:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(settings.certificate.read_bytes())
    except OSError as error:
        raise refused(f"{settings.certificate} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise refused(f"{settings.certificate} holds no certificate that can be understood") from error


def _read_key(key: str) -> _Key:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        found = load_pem_private_key(key.encode(), None)
    except (ValueError, TypeError):  # its words may quote the key
        raise refused("the authority's key is not a PEM private key without a password") from None
    if not isinstance(found, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise refused("the authority's key is neither RSA nor of an elliptic curve")
    return found


def _signs_only() -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_identifier(issuer: x509.Certificate, key: _Key) -> x509.AuthorityKeyIdentifier:
    from cryptography import x509

    try:
        own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)
