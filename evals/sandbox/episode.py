"""One fault from its injection to a closed ticket, followed over the REST API as an operator would."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeVar

from evals.sandbox import telling
from evals.sandbox.faults import Fault
from evals.sandbox.service import RunningService
from evals.sandbox.telling import Said
from models.domain.base import utc_now
from models.domain.errors import NotFound
from models.domain.execution import Execution, Verdict
from models.domain.incident import ACTIVE_STATUSES, Incident, IncidentStatus
from models.domain.recommendation import Recommendation

Found = TypeVar("Found")
Stage = Literal["injected", "seen", "found", "decided", "done", "verified", "closed"]
STAGES: tuple[Stage, ...] = ("injected", "seen", "found", "decided", "done", "verified", "closed")
RESOLVE_SECONDS = 240.0
"""For all of the rest. With a person in the loop, add the time that the person takes."""
TICKET_SECONDS = 60.0
"""The outbox delivers on its own, one update after the other: the ticket closes some time after the incident."""
_POLL = 0.25


@dataclass(frozen=True)
class Event:
    """Something that became visible: at which stage, how many seconds after the injection, in words."""

    stage: Stage
    seconds: float
    text: str
    details: tuple[str, ...] = ()


@dataclass
class Episode:
    """What became of one fault. `seconds` counts from the injection; a stage that was not reached is missing."""

    fault: str
    title: str
    incident: str | None = None
    action: str | None = None
    citations: list[str] = field(default_factory=list)
    similar: list[str] = field(default_factory=list)
    """Past postmortems that the recommendation found."""
    seconds: dict[Stage, float] = field(default_factory=dict)
    failure: str | None = None
    """Why it counts as not resolved; None where it is."""


class EpisodeFailed(Exception):
    """The fault was not resolved; the words say why."""


class Follower:
    """Injects one fault and follows what the service does about it. Nothing is told to the service but approvals."""

    def __init__(
        self,
        service: RunningService,
        fault: Fault,
        show: Callable[[Event], None],
        ask: Callable[[Execution], bool | None],
        detect_within: float,
    ) -> None:
        """`show` receives each event once. `ask` is a person's yes or no to an execution, None: given elsewhere.

        Without an incident after `detect_within` seconds, the fault counts as not detected.
        """
        self._service = service
        self._fault = fault
        self._show = show
        self._ask = ask
        self._detect_within = detect_within
        self._start = utc_now()
        self._answered: set[str] = set()
        self._waited = 0.0
        self.episode = Episode(fault.name, fault.title)

    def run(self) -> Episode:
        """From the injection to the closed ticket, or to the reason why it does not come to that."""
        self._fault.inject()
        self._start = utc_now()
        self._reach("injected", self._start, Said(self._fault.how))
        try:
            incident = self._await_incident()
            incident = self._await_end(incident.id)
            self._await_ticket(incident)
        except EpisodeFailed as error:
            self.episode.failure = str(error)
        return self.episode

    def _await_incident(self) -> Incident:
        incident = self._poll(self._find_incident, self._detect_within)
        if incident is None:
            raise EpisodeFailed(f"nothing was detected within {self._detect_within:.0f} s")
        self.episode.incident = incident.id
        entries = [entry.at for entry in incident.timeline if entry.at >= self._start]
        seen_at = min([*entries, *(at for at in (incident.detected_at,) if at >= self._start)], default=utc_now())
        self._reach("seen", seen_at, telling.seen(incident, self._start))
        return incident

    def _find_incident(self) -> Incident | None:
        """The incident of this fault: it names the broken service, and something happened to it since."""
        for item in self._service.get("/v1/incidents", environment="sandbox")["items"]:
            listed = Incident.model_validate(item)
            if self._fault.service in listed.services and listed.updated_at >= self._start:
                incident = self._incident(listed.id)
                if incident.status in ACTIVE_STATUSES or (incident.ended_at or self._start) > self._start:
                    return incident
        return None

    def _await_end(self, identifier: str) -> Incident:
        ended = self._poll(lambda: self._progress(identifier), RESOLVE_SECONDS)
        if ended is None:
            status = self._incident(identifier).status
            raise EpisodeFailed(f"{identifier} is still {status} after {RESOLVE_SECONDS:.0f} s")
        if ended.status is not IncidentStatus.RESOLVED:
            why = next((entry.text for entry in reversed(ended.timeline)), "no reason was recorded")
            raise EpisodeFailed(f"{identifier} is {ended.status}: {why}")
        if "verified" not in self.episode.seconds:
            raise EpisodeFailed(f"{identifier} was resolved without a verification that measured health")
        if not self._fault.repaired():
            raise EpisodeFailed(f"{identifier} was resolved, but {self._fault.process} does not serve its clients")
        return ended

    def _progress(self, identifier: str) -> Incident | None:
        """Show what is new; the incident once its work has ended."""
        # The incident first: what the others say is then at least as new as its status.
        incident = self._incident(identifier)
        self._show_recommendation(identifier)
        for execution in self._executions(identifier):
            self._show_execution(execution)
        ended = incident.status not in ACTIVE_STATUSES or incident.status is IncidentStatus.ESCALATED
        return incident if ended and incident.updated_at >= self._start else None

    def _show_recommendation(self, identifier: str) -> None:
        if "found" in self.episode.seconds:
            return
        try:
            made = Recommendation.model_validate(self._service.get(f"/v1/incidents/{identifier}/recommendation"))
        except NotFound:
            return
        if made.created_at < self._start:
            return
        self.episode.similar = list(dict.fromkeys(citation.document for citation in made.similar))
        if made.candidates and not made.abstained:
            best = made.candidates[0]
            self.episode.citations = [f"{one.document}:{one.start}-{one.end}" for one in best.citations]
        self._reach("found", made.created_at, telling.found(made))

    def _show_execution(self, execution: Execution) -> None:
        decision = execution.decision
        self._reach("decided", decision.decided_at, telling.decided(execution))
        if decision.verdict is Verdict.NEEDS_APPROVAL and execution.state == "pending":
            self._approve(execution)
        acted = next((s for s in execution.steps if s.name == "act" and s.state == "done"), None)
        if acted is not None:
            self.episode.action = f"{execution.candidate.uses} {execution.candidate.target}"
            self._reach("done", acted.at, telling.done(execution, acted))
        verification = execution.verification
        if verification is not None and verification.health == "healthy" and execution.state == "succeeded":
            self._reach("verified", execution.ended_at or utc_now(), telling.verified(execution))

    def _approve(self, execution: Execution) -> None:
        if execution.id in self._answered:
            return
        self._answered.add(execution.id)
        began = time.monotonic()
        word = self._ask(execution)
        self._waited += time.monotonic() - began
        if word is not None:
            self._service.post(f"/v1/executions/{execution.id}/approval", {"approved": word, "comment": "suture demo"})

    def _await_ticket(self, incident: Incident) -> None:
        ticket = self._poll(lambda: self._closed_ticket(incident.id), TICKET_SECONDS)
        if ticket is None:
            raise EpisodeFailed(f"the ticket of {incident.id} was not closed within {TICKET_SECONDS:.0f} s")
        document = self._poll(lambda: self._postmortem(incident.id), TICKET_SECONDS)
        if document is None:
            raise EpisodeFailed(f"no postmortem of {incident.id} was written within {TICKET_SECONDS:.0f} s")
        self._reach("closed", datetime.fromisoformat(ticket["closed_at"]), telling.closed(ticket, document))

    def _postmortem(self, identifier: str) -> str | None:
        """The id of the draft that was written since the injection."""
        timeline = self._incident(identifier).timeline
        return next(
            (str(one.data["document"]) for one in timeline if one.kind == "learned" and one.at >= self._start), None
        )

    def _closed_ticket(self, identifier: str) -> dict[str, Any] | None:
        """The incident's ticket once it was closed since the injection: a reopened incident keeps its ticket."""
        for listed in self._service.get("/v1/tickets", incident=identifier)["items"]:
            ticket: dict[str, Any] = self._service.get(f"/v1/tickets/{listed['reference']}")
            if ticket["status"] == "closed" and datetime.fromisoformat(ticket["closed_at"]) >= self._start:
                return ticket
        return None

    def _incident(self, identifier: str) -> Incident:
        return Incident.model_validate(self._service.get(f"/v1/incidents/{identifier}"))

    def _executions(self, identifier: str) -> list[Execution]:
        """Those of this fault, oldest first."""
        items = self._service.get("/v1/executions", incident=identifier)["items"]
        known = [Execution.model_validate(item) for item in items]
        return sorted((one for one in known if one.created_at >= self._start), key=lambda one: one.created_at)

    def _poll(self, look: Callable[[], Found | None], seconds: float) -> Found | None:
        """The first answer that is not None, or None after `seconds`; a person's time to think does not count."""
        end = time.monotonic() + seconds - self._waited
        while time.monotonic() < end + self._waited:
            found = look()
            if found is not None:
                return found
            time.sleep(_POLL)
        return None

    def _reach(self, stage: Stage, at: datetime, said: Said) -> None:
        """Record and show a stage, the first time that it is reached."""
        if stage in self.episode.seconds:
            return
        seconds = max(0.0, (at - self._start).total_seconds())
        self.episode.seconds[stage] = seconds
        self._show(Event(stage, seconds, said.text, said.details))
