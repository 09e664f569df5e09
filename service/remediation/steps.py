"""The steps of the remediation workflow. Each may run again after a crash, so each is idempotent; each returns JSON."""

from __future__ import annotations

import time
from typing import Any

from models.domain.base import Clock
from models.domain.errors import Conflict
from models.domain.execution import Execution, ExecutionState, Outcome, StepRecord, Verdict, Verification
from models.domain.incident import Incident, IncidentStatus
from models.domain.runbook import Step
from service.guard.approvals import Approvals
from service.pipeline import Pipeline
from service.remediation import words
from service.remediation.tickets import TicketOutbox
from service.store.executions import Executions, TargetBusy
from service.store.incidents import Incidents
from service.store.recommendations import Recommendations

_S = IncidentStatus
_E = ExecutionState


class Steps:
    """What the workflow does, step by step, with its words in the timeline and the ticket."""

    def __init__(
        self,
        pipeline: Pipeline,
        approvals: Approvals,
        outbox: TicketOutbox,
        incidents: Incidents,
        executions: Executions,
        recommendations: Recommendations,
        clock: Clock,
    ) -> None:
        self._pipeline = pipeline
        self._approvals = approvals
        self._outbox = outbox
        self._incidents = incidents
        self._executions = executions
        self._recommendations = recommendations
        self._clock = clock

    def investigate(self, incident_id: str, episode: int) -> dict[str, Any]:
        """Open the ticket, look into the incident, recommend. Returns what to try, in order, or why nothing."""
        incident = self._incidents.get(incident_id)
        self._outbox.open(incident, words.opening(incident))
        self._incidents.transition(incident_id, _S.INVESTIGATING, "looking for the cause and for what helps")
        incident = self._locate(incident_id)
        identifier = f"REC-{incident_id.removeprefix('INC-')}-{episode}"
        recommendation = self._pipeline.recommend(incident, identifier)
        self._recommendations.add(recommendation)
        text = words.recommendation(recommendation)
        self._incidents.record(
            incident_id, "recommended", text.splitlines()[0], {"recommendation": identifier}, key=identifier
        )
        self._outbox.comment(incident_id, f"recommended-{episode}", text)
        order = [] if recommendation.abstained else self._pipeline.worth_trying(recommendation)
        reason = recommendation.abstained.reason if recommendation.abstained else "no candidate was left to try"
        return {"recommendation": identifier, "order": order, "reason": reason}

    def decide(self, incident_id: str, recommendation: str, index: int, attempt: int, workflow: str) -> dict[str, Any]:
        """Ask the guard about one candidate; where it may go on, store its execution."""
        ranked = self._recommendations.get(recommendation).candidates[index]
        decision = self._pipeline.decide(ranked)
        identifier = f"EXE-{recommendation.removeprefix('REC-')}-{attempt}"
        text = words.decision(ranked, decision)
        data = {"execution": identifier, "verdict": decision.verdict, "policies": list(decision.policies)}
        self._incidents.record(incident_id, "decided", text, data, key=f"decided-{identifier}")
        self._outbox.comment(incident_id, f"decided-{identifier}", text)
        if decision.verdict is Verdict.FORBID:
            return {"verdict": "forbid", "reason": text, "execution": None}
        execution = Execution(
            id=identifier,
            incident=incident_id,
            candidate=ranked.candidate,
            probability=ranked.probability,
            decision=decision,
            created_at=self._clock(),
        )
        self._executions.add(execution, workflow)
        if decision.verdict is Verdict.NEEDS_APPROVAL:
            self._incidents.transition(incident_id, _S.AWAITING_APPROVAL, text, data=data)
        return {"verdict": str(decision.verdict), "reason": text, "execution": identifier}

    def approval(self, execution_id: str) -> dict[str, Any]:
        """The word: `approved`, `rejected`, `expired`, `cancelled` or `waiting`; and the seconds that are left."""
        execution = self._executions.get(execution_id)
        standing = self._approvals.standing(execution)
        left = max(0.0, standing.expires_in.total_seconds())
        if execution.state is _E.CANCELLED:
            word = "cancelled"
        elif standing.rejected_by:
            word = "rejected"
        elif standing.enough(execution.decision.approvals_needed):
            word = "approved"
        else:
            word = "waiting" if left > 0 else "expired"
        return {"word": word, "seconds_left": left}

    def decline(self, execution_id: str, word: str) -> str:
        """End an execution that people did not let run."""
        execution = self._executions.get(execution_id)
        people = ", ".join(self._approvals.standing(execution).rejected_by)
        reason = {
            "rejected": f"{people} rejected {execution.candidate.title!r}",
            "expired": f"nobody decided on {execution.candidate.title!r} in time",
            "cancelled": f"{execution.candidate.title!r} was cancelled",
        }[word]
        if execution.state is not _E.CANCELLED:
            self._executions.transition(execution_id, _E.CANCELLED, self._record("approval", "failed", reason))
        self._tell(execution, "declined", reason)
        return reason

    def cancel(self, execution_id: str, by: str) -> str:
        """Cancel what waits; returns the workflow to wake. Raises Conflict where it acts already."""
        execution = self._executions.get(execution_id)
        if execution.state is not _E.PENDING:
            raise Conflict(f"{execution_id} is {execution.state}; only a pending execution can be cancelled")
        self._executions.transition(execution_id, _E.CANCELLED, self._record("cancel", "done", f"cancelled by {by}"))
        return self._executions.workflow_of(execution_id)

    def start(self, execution_id: str) -> dict[str, Any]:
        """Check the preconditions and the guard's standing orders, then claim the target."""
        execution = self._executions.get(execution_id)
        if execution.state is not _E.PENDING:
            # A crash came after the claim: go on. (A cancelled one stays cancelled.)
            refused = "it was cancelled" if execution.state is _E.CANCELLED else None
            return {"busy": False, "refused": refused}
        refusal = self._pipeline.refusal(execution) or self._unmet(execution)
        if refusal is not None:
            return {"busy": False, "refused": self._fail(execution, "preconditions", refusal)}
        try:
            record = self._record("preconditions", "done", words.checks(execution.candidate.preconditions))
            self._executions.transition(execution_id, _E.RUNNING, record)
        except TargetBusy:
            return {"busy": True, "refused": None}
        self._incidents.transition(
            execution.incident,
            _S.MITIGATING,
            f"running {execution.candidate.title!r}",
            data={"execution": execution_id},
        )
        return {"busy": False, "refused": None}

    def give_up_waiting(self, execution_id: str) -> str:
        """End an execution whose target stayed busy."""
        execution = self._executions.get(execution_id)
        return self._fail(execution, "start", f"{execution.candidate.target} stayed busy with another execution")

    def act(self, execution_id: str) -> dict[str, Any]:
        """Perform the action."""
        execution = self._executions.get(execution_id)
        self._incidents.transition(execution.incident, _S.MITIGATING, f"running {execution.candidate.title!r}")
        step = Step(uses=execution.candidate.uses, arguments=execution.candidate.arguments)
        return self._pipeline.execute(execution, "act", step).model_dump(mode="json")

    def verify(self, execution_id: str) -> dict[str, Any]:
        """Measure whether it helped."""
        execution = self._executions.get(execution_id)
        self._executions.transition(execution_id, _E.VERIFYING, self._record("act", "done", "now measured"))
        self._incidents.transition(execution.incident, _S.VERIFYING, words.checks(execution.candidate.verify))
        return self._pipeline.verify(execution, time.sleep).model_dump(mode="json")

    def succeeded(self, execution_id: str, verified: dict[str, Any]) -> str:
        """Verified health: the incident is resolved."""
        verification = Verification.model_validate(verified)
        text = words.verification(verification)
        execution = self._executions.transition(
            execution_id, _E.SUCCEEDED, self._record("verify", "done", text), verification=verification
        )
        self._learn_outcome(execution, verified=True)
        self._tell(execution, "verified", text)
        return text

    def roll_back(self, execution_id: str, verified: dict[str, Any]) -> dict[str, Any]:
        """Not verified healthy: undo it where the runbook says how."""
        verification = Verification.model_validate(verified)
        text = words.verification(verification)
        execution = self._executions.get(execution_id)
        rollback = execution.candidate.rollback
        if rollback is None:
            detail = f"{text}; the runbook has no rollback for it"
            self._executions.transition(
                execution_id, _E.FAILED, self._record("verify", "failed", detail), verification=verification
            )
            return self._end(execution, detail, uncertain=False)
        execution = self._executions.transition(
            execution_id, _E.ROLLING_BACK, self._record("verify", "failed", text), verification=verification
        )
        result = self._pipeline.execute(execution, "rollback", rollback)
        to = {"done": _E.ROLLED_BACK, "failed": _E.FAILED, "uncertain": _E.UNCERTAIN}[result.result]
        detail = (
            f"{text}; rolled back" if result.result == "done" else f"{text}; rollback {result.result}: {result.detail}"
        )
        self._executions.transition(execution_id, to, self._record("rolled-back", result.result, detail))
        return self._end(execution, detail, uncertain=result.result != "done")

    def failed(self, execution_id: str, detail: str) -> str:
        """The act failed without effect."""
        return self._fail(self._executions.get(execution_id), "act", detail)

    def uncertain(self, execution_id: str, detail: str) -> str:
        """The act may have taken effect: a person must look."""
        record = self._record("act", "uncertain", detail)
        execution = self._executions.transition(execution_id, _E.UNCERTAIN, record)
        self._learn_outcome(execution, verified=False)
        self._tell(execution, "uncertain", detail)
        return detail

    def learn(self, incident_id: str, episode: int) -> None:
        """Resolve the incident, close the ticket, write the postmortem draft into the corpus."""
        self._incidents.transition(incident_id, _S.RESOLVED, "verified healthy after the remediation")
        incident = self._incidents.get(incident_id)
        executions = [execution for _, execution in self._executions.page(incident=incident_id, limit=100)]
        document = self._pipeline.learn(incident, self._recommendations.latest(incident_id), executions[::-1])
        self._incidents.record(
            incident_id,
            "learned",
            f"postmortem draft {document} written",
            {"document": document},
            key=f"learned-{episode}",
        )
        self._outbox.close(incident_id, f"closed-{episode}", words.resolution(incident, executions))

    def hand_over(self, incident_id: str, episode: int, reason: str) -> None:
        """Give the incident to a person, with all that is known."""
        if self._incidents.get(incident_id).status not in (_S.RESOLVED, _S.CLOSED):
            self._incidents.transition(incident_id, _S.ESCALATED, reason)
        self._outbox.comment(incident_id, f"escalated-{episode}", f"**A person must act.** {reason}")

    def _locate(self, incident_id: str) -> Incident:
        while True:
            located = self._pipeline.localise(self._incidents.get(incident_id))
            try:
                return self._incidents.update(located)
            except Conflict:
                # A signal came in between; look again with it.
                continue

    def _unmet(self, execution: Execution) -> str | None:
        for result in self._pipeline.preconditions(execution):
            if result.passed is not True:
                how = "does not hold" if result.passed is False else "could not be measured"
                return f"precondition `{result.subject} {result.condition}` {how}: {result.detail}"
        return None

    def _fail(self, execution: Execution, step: str, detail: str) -> str:
        failed = self._executions.transition(execution.id, _E.FAILED, self._record(step, "failed", detail))
        self._end(failed, detail, uncertain=False)
        return f"{execution.candidate.title!r} failed: {detail}"

    def _end(self, execution: Execution, detail: str, *, uncertain: bool) -> dict[str, Any]:
        execution = self._executions.get(execution.id)
        if execution.started_at is not None:
            self._learn_outcome(execution, verified=False)
        self._tell(execution, "failed", detail)
        return {"uncertain": uncertain, "detail": detail}

    def _learn_outcome(self, execution: Execution, *, verified: bool) -> None:
        candidate = execution.candidate
        self._executions.add_outcome(
            Outcome(
                execution=execution.id,
                incident=execution.incident,
                runbook=candidate.runbook,
                action=candidate.action,
                uses=candidate.uses,
                environment=candidate.environment,
                state=execution.state,
                verified=verified,
                at=self._clock(),
            )
        )

    def _tell(self, execution: Execution, kind: str, text: str) -> None:
        self._incidents.record(
            execution.incident, kind, text, {"execution": execution.id}, key=f"{kind}-{execution.id}"
        )
        self._outbox.comment(
            execution.incident, f"{kind}-{execution.id}", words.log(self._executions.get(execution.id))
        )

    def _record(self, name: str, state: Any, detail: str) -> StepRecord:
        return StepRecord(name=name, state=state, at=self._clock(), detail=detail)
