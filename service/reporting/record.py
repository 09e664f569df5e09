"""Everything that was stored about one incident: what reports are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from models.domain.execution import Approval, Execution
from models.domain.incident import Incident
from models.domain.recommendation import Recommendation

if TYPE_CHECKING:
    from service.store.audit import AuditEntry, AuditLog
    from service.store.executions import Executions
    from service.store.incidents import Incidents
    from service.store.recommendations import Recommendations

_EXECUTIONS = 100
_PAGE = 200
_ENTRIES = 1000
"""Audit entries a subject: an execution has a dozen."""


@dataclass(frozen=True)
class Record:
    """What was stored. Sequences are oldest first; approvals by the id of their execution."""

    incident: Incident
    recommendations: Sequence[Recommendation] = ()
    executions: Sequence[Execution] = ()
    approvals: Mapping[str, Sequence[Approval]] = field(default_factory=dict)
    audit: Sequence[AuditEntry] = ()


class Repositories(Protocol):
    """Where the record lies; an installation's parts and the command line's state are such."""

    @property
    def incidents(self) -> Incidents:
        """Incidents with their timelines."""

    @property
    def executions(self) -> Executions:
        """Executions with people's words."""

    @property
    def recommendations(self) -> Recommendations:
        """Recommendations as they were given."""

    @property
    def audit(self) -> AuditLog:
        """Who did what."""


def record_of(stores: Repositories, identifier: str) -> Record:
    """The whole record of an incident, with the audit. Raises NotFound."""
    plain = collect(identifier, stores.incidents, stores.executions, stores.recommendations)
    subjects = [identifier, *(execution.id for execution in plain.executions)]
    entries = [entry for subject in subjects for entry in stores.audit.entries(limit=_ENTRIES, subject=subject)]
    return Record(
        plain.incident,
        plain.recommendations,
        plain.executions,
        plain.approvals,
        sorted(entries, key=lambda entry: entry.number),
    )


def records_since(stores: Repositories, since: datetime) -> Iterator[Record]:
    """The records of all incidents that were opened at `since` or later, newest first, with the audit."""
    after: int | None = None
    while page := stores.incidents.page(after=after, limit=_PAGE):
        for incident in page:
            if incident.detected_at < since:
                return
            yield record_of(stores, incident.id)
        after = int(page[-1].id.removeprefix("INC-"))


def collect(identifier: str, incidents: Incidents, executions: Executions, recommendations: Recommendations) -> Record:
    """The record without the audit: who did something is then known as far as incident and executions tell."""
    incident = incidents.get(identifier)
    found = [execution for _, execution in executions.page(incident=identifier, limit=_EXECUTIONS)][::-1]
    asked = {execution.id: executions.approvals(execution.id) for execution in found}
    return Record(incident, recommendations.of(identifier), found, asked)
