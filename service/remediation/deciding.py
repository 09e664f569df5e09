"""The steps before an act: look into the incident, recommend, ask the guard.

Each may run again after a crash, so each is idempotent; each returns JSON. A person may end or take over the incident
at any time: a step that would begin something makes sure first that the incident is still Suture's.
"""

from __future__ import annotations

from typing import Any

from models.domain.base import Clock
from models.domain.errors import NotFound
from models.domain.execution import Decision, Execution, Mode, Verdict
from models.domain.incident import Incident, IncidentStatus, Request
from models.domain.recommendation import Candidate, Recommendation
from service.guard.context import REFUSED_FOR
from service.pipeline import Pipeline
from service.remediation import words
from service.remediation.closing import TAKEN
from service.remediation.tickets import TicketOutbox
from service.store.executions import Executions
from service.store.incidents import Incidents
from service.store.recommendations import Recommendations

_S = IncidentStatus


class Deciding:
    """What is done until a candidate may run, with its words in the timeline and the ticket."""

    def __init__(
        self,
        pipeline: Pipeline,
        outbox: TicketOutbox,
        incidents: Incidents,
        executions: Executions,
        recommendations: Recommendations,
        clock: Clock,
    ) -> None:
        self._pipeline = pipeline
        self._outbox = outbox
        self._incidents = incidents
        self._executions = executions
        self._recommendations = recommendations
        self._clock = clock

    def investigate(self, incident_id: str, episode: int) -> dict[str, Any]:
        """Open the ticket, look into the incident, recommend. Returns what to try, in order, or why nothing."""
        reason = "looking for the cause and for what helps"
        if not self._incidents.advance(incident_id, episode, _S.INVESTIGATING, reason):
            return {"recommendation": None, "order": [], "candidates": [], "reason": TAKEN}
        self._localise(incident_id)
        incident = self._incidents.get(incident_id)
        self._outbox.open(incident, words.opening(incident))
        mode = self._pipeline.settings.mode_of(incident.environment)
        # In mode observe too, untold: what people do is compared with it.
        made = self._recommend(incident, f"REC-{incident_id.removeprefix('INC-')}-{episode}")
        if mode is not Mode.OBSERVE:
            self._tell(made)
        order, reason = self._to_try(incident, made, mode)
        return _plan(made, order, reason)

    def look_further(self, incident_id: str, episode: int, look: int, known: list[list[str]]) -> dict[str, Any]:
        """Recommend anew once nothing is left to try: what came to light meanwhile may speak for something else.

        `look` counts from 2; `known` names the candidates that were looked at already, as in a plan. Returns a plan of
        the others.
        """
        self._localise(incident_id)
        incident = self._incidents.get(incident_id)
        if incident.requested is not None or not self._incidents.is_worked_on(incident_id, episode):
            return {"recommendation": None, "order": [], "candidates": [], "reason": ""}
        made = self._recommend(incident, f"REC-{incident_id.removeprefix('INC-')}-{episode}-{look}")
        places = self._pipeline.worth_trying(made)
        order = [place for place in places if _name(made.candidates[place].candidate) not in known]
        if order:
            self._tell(made)
        return _plan(made, order, "")

    def _localise(self, incident_id: str) -> None:
        measured = self._pipeline.silent_causes(self._incidents.get(incident_id))
        self._incidents.change(incident_id, lambda incident: self._pipeline.localise(incident, measured))

    def _tell(self, made: Recommendation) -> None:
        self._incidents.record(
            made.incident, "recommended", words.headline(made), {"recommendation": made.id}, key=made.id
        )
        self._outbox.comment(made.incident, f"recommended-{made.id}", words.recommendation(made))

    def _to_try(self, incident: Incident, made: Recommendation, mode: Mode) -> tuple[list[int], str]:
        """Places of the candidates to try, in order, and why nothing is left after them."""
        people_act = f"the environment {incident.environment!r} is in mode {mode}: people act, Suture does not"
        if mode is Mode.OBSERVE:
            return [], people_act
        if made.abstained and incident.requested is None:
            known = self._pipeline.triggered(incident)
            self._incidents.change(incident.id, lambda now: now.model_copy(update={"abstained_with": known}))
            return [], made.abstained.reason
        if mode is Mode.SUGGEST:
            return [], people_act
        if incident.requested is not None:
            return _as_requested(incident.requested, made)
        return self._pipeline.worth_trying(made), "no candidate was left to try"

    def decide(
        self, incident_id: str, episode: int, recommendation: str, index: int, attempt: int, workflow: str
    ) -> dict[str, Any]:
        """Ask the guard about one candidate; where it may go on, store its execution. A decision is made once.

        What forbids the whole service, such as the kill switch, would forbid every other candidate too: a person has
        the incident then, at once and with that reason.
        """
        identifier = f"EXE-{incident_id.removeprefix('INC-')}-{episode}-{attempt}"
        try:
            execution = self._executions.get(identifier)
        except NotFound:
            if not self._incidents.advance(incident_id, episode, _S.INVESTIGATING, "the next candidate is looked at"):
                return {"execution": None, "ending": "person", "reason": TAKEN}
            ranked = self._recommendations.get(recommendation).candidates[index]
            incident = self._incidents.get(incident_id)
            decision = _decided(incident, identifier) or self._pipeline.decide(ranked, incident)
            text = words.decision(ranked, decision)
            # In full: what is forbidden has no execution that would keep it.
            data = {
                "execution": identifier,
                "verdict": decision.verdict,
                "policies": list(decision.policies),
                "decision": decision.model_dump(mode="json"),
            }
            self._incidents.record(incident_id, "decided", text, data, key=f"decided-{identifier}")
            if decision.verdict is Verdict.FORBID:
                self._outbox.comment(incident_id, f"decided-{identifier}", text)
                ending = "person" if decision.context.get(REFUSED_FOR) == "service" else "forbidden"
                return {"execution": None, "ending": ending, "reason": text}
            execution = Execution(
                id=identifier,
                incident=incident_id,
                candidate=ranked.candidate,
                probability=ranked.probability,
                decision=decision,
                requested_by=incident.requested.by if incident.requested else None,
                created_at=self._clock(),
            )
            asked = decision.verdict is Verdict.NEEDS_APPROVAL
            question = words.question(execution, self._pipeline.settings.approval_expires) if asked else ""
            self._outbox.comment(incident_id, f"decided-{identifier}", text + question)
            self._executions.add(execution, workflow)
        if execution.decision.verdict is Verdict.NEEDS_APPROVAL:
            reason, waits = execution.decision.reason, {"execution": identifier}
            self._incidents.advance(incident_id, episode, _S.AWAITING_APPROVAL, reason, waits)
        return {"execution": identifier, "verdict": str(execution.decision.verdict)}

    def _recommend(self, incident: Incident, identifier: str) -> Recommendation:
        # Made once: after a crash the same one is shown and followed, in the same order.
        try:
            return self._recommendations.get(identifier)
        except NotFound:
            made = self._pipeline.recommend(incident, identifier)
            self._recommendations.add(made)
            return made


def _plan(made: Recommendation, order: list[int], reason: str) -> dict[str, Any]:
    """What to try: places in the recommendation, and the names of the candidates there."""
    candidates = [_name(made.candidates[place].candidate) for place in order]
    return {"recommendation": made.id, "order": order, "candidates": candidates, "reason": reason}


def _name(candidate: Candidate) -> list[str]:
    return [candidate.runbook, candidate.action, candidate.target]


def _decided(incident: Incident, execution: str) -> Decision | None:
    """What was told of that execution before a crash: another decision would contradict timeline and ticket."""
    told = (entry.data for entry in incident.timeline if entry.kind == "decided")
    known = next((data["decision"] for data in told if data.get("execution") == execution and "decision" in data), None)
    return Decision.model_validate(known) if known is not None else None


def _as_requested(request: Request, made: Recommendation) -> tuple[list[int], str]:
    """A person's word weighs more than a probability; what cannot be bound to the incident cannot be run."""
    wanted = (request.runbook, request.action)
    order = [n for n, one in enumerate(made.candidates) if (one.candidate.runbook, one.candidate.action) == wanted]
    name = f"{request.runbook}/{request.action}, which {request.by} asked for,"
    if order:
        return order, f"{name} did not help"
    why = next((f": {one.reason}" for one in made.dropped if (one.runbook, one.action) == wanted), "")
    return [], f"{name} cannot be run on this incident{why}"
