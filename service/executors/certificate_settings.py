"""What the settings say of certificates: where each lies, who issues it, who serves it."""

from __future__ import annotations

import ipaddress
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from models.domain.base import Duration, Frozen
from service.executors.reloading import AbsolutePath, Reload
from service.validation import existing_certificates, http_address

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
_HOST = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*")


def _subject(text: str) -> str:
    """A DNS name in lower case, or an IP address in its shortest form: one spelling each."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        if len(text) > 253 or not _HOST.fullmatch(text.removeprefix("*.")):
            raise ValueError("must be a DNS name or an IP address") from None
        return text.lower()


Subject = Annotated[str, AfterValidator(_subject)]


class LocalAuthority(Frozen):
    """An authority of one's own. `certificate`: its chain, the issuer first. `key`: a secret reference, PEM."""

    kind: Literal["local"]
    certificate: AbsolutePath
    key: str
    days: int = Field(default=90, ge=1, le=825)
    """Validity. 825 days is the longest that Apple's systems take of any authority (support.apple.com/103769)."""


class Challenge(Frozen):
    """How control of a name is shown (RFC 8555 section 8.3, http-01).

    `webroot`: the folder that a web server serves on port 80. `http_port`: a server of our own on that port for as
    long as it takes, on `host`; port 80 of the names must lead there.
    """

    webroot: AbsolutePath | None = None
    http_port: int | None = Field(default=None, ge=1, le=65535)
    host: str = "0.0.0.0"  # noqa: S104  (the authority asks from outside)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.webroot is None) == (self.http_port is None):
            raise ValueError("needs webroot or http_port, one of them")
        return self


class AcmeAuthority(Frozen):
    """An authority that speaks ACME. Naming it here agrees to its terms of service.

    `account_key`: a secret reference, PEM (RSA or P-256). `ca`: what verifies the directory's own TLS.
    """

    kind: Literal["acme"]
    directory: str = Field(pattern=r"^https://")
    account_key: str
    contact: Annotated[str, Field(pattern=r"^[^\s@]+@[^\s@]+$")] | None = None
    challenge: Challenge
    ca: Path | None = None

    _address = field_validator("directory")(http_address)
    _certificates = field_validator("ca")(existing_certificates)


class Certificate(Frozen):
    """One certificate that may be renewed.

    `certificate` holds the chain, the server's first; `key` its private key. `serves`: where the certificate is
    served, host:port, TLS from the first byte. `server_name`: the name to ask for there, by default the first of
    `names`. `ca`: what verifies the served chain, in place of the usual certificates. `within`: how long after a
    reload the old one may still be served.
    """

    certificate: AbsolutePath
    key: AbsolutePath
    key_type: Literal["ec", "rsa"] = "ec"
    """P-256, or RSA of 2048 bits for clients that know nothing else."""
    names: tuple[Subject, ...] = Field(min_length=1, max_length=100)
    authority: Annotated[LocalAuthority | AcmeAuthority, Field(discriminator="kind")]
    serves: str = Field(pattern=r"^([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]):[0-9]{1,5}$")
    server_name: Subject | None = None
    ca: Path | None = None
    reload: Reload | None = None
    within: Duration = Field(default=timedelta(seconds=10), gt=timedelta(0))

    _certificates = field_validator("ca")(existing_certificates)

    @model_validator(mode="after")
    def _two_files(self) -> Self:
        if self.certificate == self.key:
            raise ValueError("certificate and key must be two files")
        return self

    @property
    def asked_name(self) -> str:
        """The name that the server is asked for."""
        return self.server_name or self.names[0].replace("*", "suture", 1)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the server."""
        host, _, port = self.serves.rpartition(":")
        return host.strip("[]"), int(port)


class CertificateConfig(Frozen):
    """Settings section `executors.certificate`: the certificates that may be renewed."""

    certificates: dict[Name, Certificate] = Field(min_length=1)

    @model_validator(mode="after")
    def _files_each(self) -> Self:
        files = [path for one in self.certificates.values() for path in (one.certificate, one.key)]
        if len(set(files)) < len(files):
            raise ValueError("two certificates have the same file")
        return self
