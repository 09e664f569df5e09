"""A person says which signals belong together: incidents are merged, or one is split. Later signals follow."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Connection

from models.correlation.companions import PERSON, across
from models.correlation.regroup import merge, split
from models.domain.base import Clock
from models.domain.errors import BadInput, Conflict
from models.domain.execution import FINAL_STATES, CancelRequest, Execution, ExecutionState
from models.domain.incident import ACTIVE_STATUSES, Incident, IncidentStatus
from models.domain.topology import Topology
from service.store.companions import learn
from service.store.database import CORRELATE, Database
from service.store.executions import Executions
from service.store.incidents import Incidents, incident_number


@dataclass(frozen=True)
class Regrouping:
    """Merges and splits incidents; each is one transaction, in which no signal comes in."""

    database: Database
    incidents: Incidents
    executions: Executions
    topology: Topology
    clock: Clock

    def merge(
        self, identifier: str, others: Sequence[str], reason: str, actor: str, version: int | None = None
    ) -> Incident:
        """Put the signals of `others` into the incident and close those; returns it.

        What waits for a word on them is cancelled. Raises NotFound; BadInput; Conflict where one of them ended, the
        environments differ, something acts for one of `others`, or the incident is not of that `version` any more.
        """
        gone = list(dict.fromkeys(others))
        if not gone or identifier in gone:
            raise BadInput("name other incidents to merge into this one")
        with self.database.write() as connection:
            self.database.lock(connection, CORRELATE)
            found = self._held(connection, [identifier, *gone])
            home, merged = found[identifier], [found[other] for other in gone]
            _require_version(home, version)
            for other in merged:
                if other.environment != home.environment:
                    raise Conflict(f"{other.id} is of {other.environment}, {home.id} of {home.environment}")
                self._require_nothing_acts(other.id)
            self.incidents.save(connection, merge(home, merged, self.topology, self.clock()))
            for other in merged:
                learn(connection, across(home.signals, other.signals), self.clock(), together=PERSON)
                self._close(connection, other, home.id, reason, actor)
            told = ", ".join(gone)
            data = {"from": gone, "by": actor, "reason": reason}
            self.incidents.regrouped(connection, home.id, "merged", f"{told} merged into this: {reason}", data, actor)
        for closed in gone:
            self._cancel_waiting(closed, f"{closed} was merged into {identifier}", actor)
        return self.incidents.get(identifier)

    def split(
        self,
        identifier: str,
        reason: str,
        actor: str,
        *,
        signals: Collection[str] = (),
        services: Collection[str] = (),
        of: str | None = None,
        version: int | None = None,
    ) -> tuple[Incident, Incident]:
        """Move signals into a new incident; returns what is left, and the new one.

        Which: by fingerprint, by service, or all that the incident `of`, which was merged into this one, has. Raises
        NotFound; BadInput where one of the two would have no signals; Conflict as `merge`.
        """
        with self.database.write() as connection:
            self.database.lock(connection, CORRELATE)
            incident = self._held(connection, [identifier])[identifier]
            _require_version(incident, version)
            self._require_nothing_acts(identifier)
            chosen = self._chosen(incident, signals, services, of)
            try:
                left, fresh = split(incident, chosen, self.topology, self.clock())
            except ValueError as error:
                raise BadInput(f"nothing to split off {identifier}: {error}") from error
            learn(connection, across(left.signals, fresh.signals), self.clock(), apart=PERSON)
            added = self.incidents.add(connection, fresh)
            apart = (*incident.apart_from, added.id)
            self.incidents.save(connection, left.model_copy(update={"apart_from": apart}))
            data = {"into": added.id, "signals": sorted(chosen), "by": actor, "reason": reason}
            words = f"split: {', '.join(added.services) or 'some signals'} went to {added.id}: {reason}"
            self.incidents.regrouped(connection, identifier, "split", words, data, actor)
            born = {"from": identifier, "by": actor, "reason": reason}
            self.incidents.note(connection, added.id, "split", f"split off {identifier}: {reason}", born)
        self._cancel_waiting(identifier, f"its service was split off into {added.id}", actor, keep=left.services)
        return self.incidents.get(identifier), self.incidents.get(added.id)

    def _chosen(
        self, incident: Incident, signals: Collection[str], services: Collection[str], of: str | None
    ) -> set[str]:
        own = {signal.fingerprint for signal in incident.signals}
        if unknown := set(signals) - own:
            raise BadInput(f"{incident.id} has no signal {min(unknown)}; `suture incident show --json` lists them")
        if unknown := set(services) - set(incident.services):
            raise BadInput(f"{incident.id} has no service {min(unknown)!r}; it has {', '.join(incident.services)}")
        chosen = set(signals) | {s.fingerprint for s in incident.signals if s.service in services}
        if of is not None:
            merged = self.incidents.get(of)
            if merged.merged_into != incident.id:
                raise BadInput(f"{of} was not merged into {incident.id}")
            chosen |= {signal.fingerprint for signal in merged.signals} & own
        return chosen

    def _held(self, connection: Connection, identifiers: Sequence[str]) -> dict[str, Incident]:
        """The incidents, none of which anybody else changes meanwhile; always locked in the same order."""
        found: dict[str, Incident] = {}
        for identifier in sorted(identifiers, key=incident_number):
            found[identifier] = self.incidents.held(connection, identifier)
            if found[identifier].status not in ACTIVE_STATUSES:
                raise Conflict(f"{identifier} is {found[identifier].status}: only incidents that go on are regrouped")
        return found

    def _close(self, connection: Connection, other: Incident, into: str, reason: str, actor: str) -> None:
        self.incidents.save(connection, other.model_copy(update={"merged_into": into}))
        words, data = f"merged into {into}: {reason}", {"into": into}
        self.incidents.transition_in(connection, other.id, IncidentStatus.CLOSED, words, actor=actor, data=data)

    def _require_nothing_acts(self, identifier: str) -> None:
        for execution in self._unended(identifier):
            if execution.state is not ExecutionState.PENDING:
                words = f"{execution.id} ({execution.candidate.title}) acts for {identifier} now"
                raise Conflict(f"{words}: wait for its end, or `suture execution cancel {execution.id}`")

    def _cancel_waiting(self, identifier: str, reason: str, actor: str, keep: Collection[str] | None = None) -> None:
        for waiting in self._unended(identifier):
            if keep is None or waiting.candidate.service not in keep:
                with suppress(Conflict):  # it began meanwhile: it is finished, verified and recorded
                    request = CancelRequest(by=actor, at=self.clock(), reason=reason)
                    self.executions.request_cancel(waiting.id, request)

    def _unended(self, identifier: str) -> list[Execution]:
        found = [execution for _, execution in self.executions.page(incident=identifier, limit=100)]
        return [execution for execution in found if execution.state not in FINAL_STATES]


def _require_version(incident: Incident, version: int | None) -> None:
    if version is not None and incident.version != version:
        words = f"{incident.id} changed meanwhile (version {incident.version}, not {version})"
        raise Conflict(f"{words}: look at it again")
