"""Faults of the front door."""

from __future__ import annotations

from datetime import timedelta

from evals.sandbox import authority
from evals.sandbox.fault import Fault, front_door_serves
from evals.sandbox.layout import VALID_DAYS
from evals.sandbox.routing import reload

_AGO = timedelta(hours=1)


class ExpiredCertificate(Fault):
    """The certificate that customers are shown has ended, because nobody renewed it. Open connections live on."""

    name = "expired_certificate"
    title = "The shop's certificate has expired"
    how = "a certificate of the same authority that ended an hour ago is installed, and the proxy told to serve it"
    service = "proxy"
    process = "proxy"
    cures = ("certificate/renew",)

    def repaired(self) -> bool:
        """Whether a customer who checks the certificate is served."""
        return front_door_serves(self.sandbox)

    def heal(self) -> None:
        """Install a valid certificate where the one that is served is not."""
        if not self.repaired():
            self._install(timedelta(days=VALID_DAYS))

    def _break(self, pid: int) -> None:  # noqa: ARG002
        self._install(-_AGO)

    def _install(self, lasts: timedelta) -> None:
        authority.issue(self.sandbox.layout, lasts)
        reload(self.sandbox.layout)
