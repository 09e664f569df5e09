"""Alerts while all is well: of rules that err, and of matters for which no runbook is there."""

from __future__ import annotations

from random import Random
from typing import Any

from evals.recording.subjects import FALSE_ALARM
from evals.sandbox.config import ENVIRONMENT, SCRAPED

_FALSE = (
    ("PostgresDown", "db-exporter", "critical", "A probe of the orders database did not come back in time."),
    ("PostgresTooManyConnections", "db-exporter", "warning", "The number of connections was above its limit."),
    ("ServiceDown", "shop", "critical", "The shop did not answer one probe."),
    ("HighLatency", "shop", "warning", "The 95th percentile of the shop's answers was above its objective."),
    ("WorkersBusy", "shop", "warning", "The shop's workers were busy for a moment."),
    ("CertificateExpired", "proxy", "critical", "The certificate check could not read the end of the certificate."),
)
"""Name, program, severity, words: each of a rule that there is, at a moment at which what it says is not so. The
program is that whose series are watched: the database's are those of its exporter."""
_FOREIGN = (
    ("NewsletterNotSent", "shop", "warning", "The weekly newsletter has not left by nine o'clock."),
    ("TranslationsMissing", "shop", "warning", "Forty product texts have no Danish translation."),
    ("PriceListDiffers", "shop", "warning", "Three prices differ from those that the accounting department has."),
    ("InvoiceNumbersGap", "shop", "critical", "Between two invoices of this morning a number is missing."),
    ("SurveyScoreLow", "shop", "warning", "Customers rate the new layout lower than the one before."),
    ("AuditExportLate", "db-exporter", "warning", "The auditors' copy of last month's orders was not fetched."),
    ("LicenceEndsSoon", "proxy", "warning", "The licence of the address validation ends in three weeks."),
    ("VoucherMisuse", "shop", "critical", "One voucher was entered six hundred times within the hour."),
)
"""The same, of what no action on processes, traffic or certificates mends."""


def alarm(subject: str, random: Random) -> dict[str, Any]:
    """A signal as the monitoring would send it, for one of the two subjects without a fault."""
    name, program, severity, text = random.choice(_FALSE if subject == FALSE_ALARM else _FOREIGN)
    labels = SCRAPED[program] | {"environment": ENVIRONMENT}
    return {"kind": "alert", "name": name, "labels": labels, "severity": severity, "text": text}
