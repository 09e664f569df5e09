"""Faults of the front door."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

from evals.sandbox import authority
from evals.sandbox.fault import Fault, Remedy, front_door_serves
from evals.sandbox.layout import VALID_DAYS
from evals.sandbox.routing import reload
from evals.sandbox.sandbox import Sandbox


class ExpiredCertificate(Fault):
    """The certificate that customers are shown has ended, because nobody renewed it. Open connections live on."""

    name = "expired_certificate"
    title = "The shop's certificate has expired"
    how = "a certificate of the same authority that ended an hour ago is installed, and the proxy told to serve it"
    service = "proxy"
    process = "proxy"
    cures = ("certificate/renew",)
    remedy = Remedy("certificate-expired", "renew-expired-certificate", "The shop's certificate was renewed.")

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        self._ago = timedelta(hours=1)

    def vary(self, random: Random) -> dict[str, Any]:
        """How long ago it ended: minutes to days."""
        self._ago = timedelta(minutes=round(10 ** random.uniform(0.5, 3.5)))
        return {"expired_minutes_ago": int(self._ago / timedelta(minutes=1))}

    def repaired(self) -> bool:
        """Whether a customer who checks the certificate is served."""
        return front_door_serves(self.sandbox)

    def heal(self) -> None:
        """Install a valid certificate where the one that is served is not."""
        if not self.repaired():
            self._install(timedelta(days=VALID_DAYS))

    def _break(self, pid: int) -> None:  # noqa: ARG002
        self._install(-self._ago)

    def _install(self, lasts: timedelta) -> None:
        authority.issue(self.sandbox.layout, lasts)
        reload(self.sandbox.layout)
