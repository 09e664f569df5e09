"""One fault from its injection to its end, followed over the REST API as an operator would."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from evals.sandbox import telling
from evals.sandbox.client import Client
from evals.sandbox.config import ENVIRONMENT, SCRAPED
from evals.sandbox.endings import Ended, check
from evals.sandbox.episode import Attempt, Episode, EpisodeFailed, Event, Stage
from evals.sandbox.fault import Fault, HeldRule
from evals.sandbox.scenarios import HandOver
from evals.sandbox.telling import Said
from models.domain.base import utc_now
from models.domain.execution import FINAL_STATES, Execution, ExecutionState, Verdict
from models.domain.incident import ACTIVE_STATUSES, Incident, IncidentStatus

Found = TypeVar("Found")
Ask = Callable[[Execution], bool | None]
"""A person's yes or no to an execution; None: it is given elsewhere, or never."""
END_SECONDS = 300.0
"""For all of the rest. With a person in the loop, the time that the person takes is added."""
TICKET_SECONDS = 60.0
"""The outbox delivers on its own, one update after the other: the ticket is told some time after the incident."""
LASTING_SECONDS = 4.0
"""What is still handed over after this is a person's: a later signal may let Suture look again."""
_POLL = 0.25


class Follower:
    """Injects one fault and follows what the service does about it."""

    def __init__(
        self,
        client: Client,
        scenario: str,
        fault: Fault,
        hand_over: HandOver | None,
        show: Callable[[Event], None],
        ask: Ask,
        detect_within: float,
    ) -> None:
        """`show` receives each event once. Without an incident after `detect_within` seconds, it was not detected."""
        self._client = client
        self._fault = fault
        self._hand_over = hand_over
        self._show = show
        self._ask = ask
        self._detect_within = detect_within
        self._start = utc_now()
        self._shown: set[tuple[str, str]] = set()
        self._answered: set[str] = set()
        self._waited = 0.0
        expected = "handed_over" if hand_over else "resolved"
        self.episode = Episode(scenario, fault.title, expected)

    def run(self) -> Episode:
        """From the injection to the end that it is to have, or to the reason why it does not come to that."""
        self._start = utc_now()
        self._fault.inject()
        self._reach("injected", self._start, Said(self._fault.how))
        try:
            self._await_alert()
            incident = self._await_incident()
            incident = self._await_end(incident.id)
            self._await_ticket(incident)
        except EpisodeFailed as error:
            self.episode.failure = str(error)
        return self.episode

    def _await_alert(self) -> None:
        """Where no detector should find it: what the monitoring's rule sends, once it holds."""
        name = self._fault.alert
        if name is None:
            return
        rule = HeldRule(self._fault)
        if self._poll(lambda: rule.fires() or None, self._detect_within) is None:
            raise EpisodeFailed(f"the rule of the alert {name} did not hold within {self._detect_within:.0f} s")
        self._client.alert(name, SCRAPED[self._told_by] | {"environment": ENVIRONMENT})
        self._reach("alerted", utc_now(), Said(f"{name} is sent by the monitoring"))

    @property
    def _told_by(self) -> str:
        """The program whose series the alert is about."""
        return self._fault.alert_from or self._fault.process

    def _await_incident(self) -> Incident:
        affected = SCRAPED[self._told_by]["service"] if self._fault.alert else self._fault.service
        incident = self._poll(lambda: self._client.incident_of(affected, self._start), self._detect_within)
        if incident is None:
            raise EpisodeFailed(f"nothing was detected within {self._detect_within:.0f} s")
        self.episode.incident = incident.id
        entries = [entry.at for entry in incident.timeline if entry.at >= self._start]
        seen_at = min([*entries, *(at for at in (incident.detected_at,) if at >= self._start)], default=utc_now())
        self._reach("seen", seen_at, telling.seen(incident, self._start))
        return incident

    def _await_end(self, identifier: str) -> Incident:
        ended = self._poll(lambda: self._progress(identifier), END_SECONDS)
        if ended is None:
            status = self._client.incident(identifier).status
            raise EpisodeFailed(f"{identifier} is still {status} after {END_SECONDS:.0f} s")
        return ended

    def _progress(self, identifier: str) -> Incident | None:
        """Show what is new; the incident once its work has ended."""
        # The incident first: what the others say is then at least as new as its status.
        incident = self._client.incident(identifier)
        self._show_recommendation(identifier)
        for execution in self._client.executions(identifier, self._start):
            self._show_execution(execution)
        if incident.updated_at < self._start:
            return None
        if incident.status is IncidentStatus.ESCALATED:
            since = next((entry.at for entry in reversed(incident.timeline) if entry.kind == "escalated"), utc_now())
            return incident if (utc_now() - since).total_seconds() >= LASTING_SECONDS else None
        return incident if incident.status not in ACTIVE_STATUSES else None

    def _show_recommendation(self, identifier: str) -> None:
        made = self._client.recommendation(identifier, self._start)
        if made is None:
            return
        self.episode.similar = list(dict.fromkeys(citation.document for citation in made.similar))
        if made.candidates and not made.abstained:
            best = made.candidates[0]
            self.episode.citations = [f"{one.document}:{one.start}-{one.end}" for one in best.citations]
        self._reach("found", made.created_at, telling.found(made), made.id)

    def _show_execution(self, execution: Execution) -> None:
        decision, of = execution.decision, execution.id
        first = not self.episode.attempts or self.episode.attempts[0].execution == of
        self._note(execution)
        self._reach("decided", decision.decided_at, telling.decided(execution, first=first), of)
        if decision.verdict is Verdict.NEEDS_APPROVAL and execution.state == "pending":
            self._approve(execution)
        acted = next((s for s in execution.steps if s.name == "act" and s.state == "done"), None)
        if acted is not None:
            self._reach("done", acted.at, telling.done(execution, acted), of)
        if execution.state in FINAL_STATES:
            good = execution.state is ExecutionState.SUCCEEDED
            said = telling.verified(execution) if good else telling.failed(execution)
            self._reach("verified" if good else "failed", execution.ended_at or utc_now(), said, of)

    def _note(self, execution: Execution) -> None:
        candidate = execution.candidate
        action = f"{candidate.uses} {candidate.target}"
        attempt = Attempt(execution.id, action, candidate.title, str(execution.state))
        others = [one for one in self.episode.attempts if one.execution != execution.id]
        self.episode.attempts = sorted([*others, attempt], key=lambda one: one.execution)

    def _approve(self, execution: Execution) -> None:
        if execution.id in self._answered:
            return
        self._answered.add(execution.id)
        began = time.monotonic()
        word = self._ask(execution)
        self._waited += time.monotonic() - began
        if word is not None:
            self._client.approve(execution.id, word)

    def _await_ticket(self, incident: Incident) -> None:
        """Check that it ended as it was to, with a ticket that says so."""
        resolved = incident.status is IncidentStatus.RESOLVED
        told = self._poll(lambda: self._told(incident.id, resolved), TICKET_SECONDS)
        if told is None:
            word = "closed" if resolved else "told that a person must act"
            raise EpisodeFailed(f"the ticket of {incident.id} was not {word} within {TICKET_SECONDS:.0f} s")
        now = self._client.incident(incident.id)
        executions = tuple(self._client.executions(incident.id, self._start))
        ended = Ended(now, executions, told, self._fault, self._start)
        failure = check(ended, self._hand_over)
        if resolved:
            document = self._poll(lambda: self._postmortem(incident.id), TICKET_SECONDS)
            failure = failure or (None if document else f"no postmortem of {incident.id} was written")
            if failure is None:
                self._reach("closed", datetime.fromisoformat(told["closed_at"]), telling.closed(told, str(document)))
        else:
            self._reach("handed", ended.at, telling.handed(now, told))
        if failure:
            raise EpisodeFailed(failure)

    def _told(self, identifier: str, closed: bool) -> dict[str, Any] | None:
        """The ticket once it says how the incident ended."""
        ticket = self._client.ticket(identifier)
        if ticket is None:
            return None
        if closed:
            done = ticket["status"] == "closed" and datetime.fromisoformat(ticket["closed_at"]) >= self._start
            return ticket if done else None
        since = [one for one in ticket["comments"] if datetime.fromisoformat(one["at"]) >= self._start]
        return ticket if any("A person must act" in one["text"] for one in since) else None

    def _postmortem(self, identifier: str) -> str | None:
        """The id of the draft that was written since the injection."""
        timeline = self._client.incident(identifier).timeline
        return next(
            (str(one.data["document"]) for one in timeline if one.kind == "learned" and one.at >= self._start), None
        )

    def _poll(self, look: Callable[[], Found | None], seconds: float) -> Found | None:
        """The first answer that is not None, or None after `seconds`; a person's time to think does not count."""
        end = time.monotonic() + seconds - self._waited
        while time.monotonic() < end + self._waited:
            found = look()
            if found is not None:
                return found
            time.sleep(_POLL)
        return None

    def _reach(self, stage: Stage, at: datetime, said: Said, of: str = "") -> None:
        """Record and show a stage, the first time that it is reached, of each execution or recommendation."""
        if (stage, of) in self._shown:
            return
        self._shown.add((stage, of))
        seconds = max(0.0, (at - self._start).total_seconds())
        if stage != "found" or stage not in self.episode.seconds:
            self.episode.seconds[stage] = seconds
        self._show(Event(stage, seconds, said.text, said.details))
