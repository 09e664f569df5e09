"""`suture eval incidents`: labelled incidents in, figures out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from evals.incidents.figures import figures
from evals.incidents.format import LabelledIncident
from evals.incidents.running import digest_of, judge_rows
from models.domain.base import sha256_hex
from service.settings import Settings

SUITE = "incidents"


def run_incidents(
    rows: Sequence[LabelledIncident], settings: Settings, progress: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """The report over all rows, with the rows. Nothing is executed.

    `settings` name the runbook folders, the topology, the threshold and the language model. Raises BadInput where a
    truth names what the folders do not have.
    """
    judged = judge_rows(rows, settings, progress)
    over = sha256_hex("".join(sorted(digest_of(row) for row in rows)))
    return {"suite": SUITE, "digest": over, **figures(judged, settings.abstain_below)}
