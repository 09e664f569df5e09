"""Chooses who issues, by the kind that the settings name."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from models.domain.errors import BadInput
from service.executors.arguments import refused
from service.executors.certificate_settings import AcmeAuthority, LocalAuthority

if TYPE_CHECKING:
    from cryptography import x509

_NEEDED = {"local": ("cryptography",), "acme": ("cryptography", "acme", "josepy")}


class Issuer(Protocol):
    """An authority that is ready to issue."""

    @property
    def words(self) -> str:
        """Who issues, for people."""

    def issue(self, request: x509.CertificateSigningRequest) -> bytes:
        """The chain as PEM, the new certificate first. Raises ExecutorError."""


def require_libraries(kind: str) -> None:
    """Raises BadInput, with the extra to install, where what the kind of authority needs is not installed."""
    missing = [name for name in _NEEDED[kind] if importlib.util.find_spec(name) is None]
    if missing:
        raise BadInput(
            f"needs {' and '.join(missing)}: pip install 'suture[certificate]'", where="executors.certificate"
        )


def secret_of(authority: LocalAuthority | AcmeAuthority) -> tuple[str, str]:
    """The settings key and the reference of the authority's secret."""
    if isinstance(authority, LocalAuthority):
        return "key", authority.key
    return "account_key", authority.account_key


def issuer_of(
    authority: LocalAuthority | AcmeAuthority,
    secret: Callable[[str], str],
    now: datetime,
    left: Callable[[], float],
    cancelled: Callable[[], bool],
) -> Issuer:
    """The authority, asked whether it is there. Raises ExecutorError (nothing was changed).

    `left`: seconds that remain. `cancelled`: whether a long wait is to be broken off.
    """
    try:
        key = secret(secret_of(authority)[1])
    except BadInput as error:
        raise refused(str(error)) from error
    if isinstance(authority, LocalAuthority):
        from service.executors.certificate_local import LocalIssuer

        return LocalIssuer(authority, key, now)
    from service.executors.certificate_acme import AcmeIssuer

    return AcmeIssuer(authority, key, left, cancelled)
