"""Whether a scenario ended as it was to: asked of the service's record, of the ticket, and of the target itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from evals.sandbox.fault import Fault
from evals.sandbox.layout import POOL_HEADER
from evals.sandbox.sandbox import Sandbox
from evals.sandbox.scenarios import HandOver
from models.domain.errors import Unavailable
from models.domain.execution import Execution, ExecutionState, StepRecord
from models.domain.incident import Incident, IncidentStatus


@dataclass(frozen=True)
class Ended:
    """One incident at its end, with what was done since the fault."""

    incident: Incident
    executions: tuple[Execution, ...]
    ticket: dict[str, Any]
    fault: Fault
    since: datetime

    @property
    def reason(self) -> str:
        """The last words of its timeline on its status."""
        return next((one.text for one in reversed(self.incident.timeline) if one.kind == self.incident.status), "")

    @property
    def at(self) -> datetime:
        """When it came to its status."""
        times = [one.at for one in self.incident.timeline if one.kind == self.incident.status]
        return times[-1] if times else self.incident.updated_at


def check(ended: Ended, hand_over: HandOver | None) -> str | None:
    """Why it did not end as it was to; None where it did."""
    found = _not_handed_over(ended, hand_over) if hand_over else _not_resolved(ended)
    return next((f"{ended.incident.id} {words}" for words in (*found, *_repeated(ended))), None)


def _not_resolved(ended: Ended) -> Iterator[str]:
    if ended.incident.status is not IncidentStatus.RESOLVED:
        yield f"is {ended.incident.status}: {ended.reason or 'no reason was recorded'}"
    elif not any(_is_healthy(execution) for execution in ended.executions):
        yield "was resolved without a verification that measured health"
    elif not ended.fault.repaired():
        yield f"was resolved, but {ended.fault.process} does not serve its clients"


def _not_handed_over(ended: Ended, wanted: HandOver) -> Iterator[str]:
    if ended.incident.status is not IncidentStatus.ESCALATED:
        yield f"is {ended.incident.status}, and was to be handed to a person: {ended.reason}"
        return
    if not wanted.reason.search(ended.reason):
        yield f"was handed over for another reason: {ended.reason}"
    if not any(ended.reason in one["text"] for one in ended.ticket["comments"]):
        yield f"has a ticket that does not give the reason: {ended.reason}"
    states = {execution.state for execution in ended.executions}
    if not states <= wanted.states:
        yield f"has an execution that is {', '.join(states - wanted.states)}"
    if not wanted.acts and any(_steps(execution, "act") for execution in ended.executions):
        yield "was handed over after something was done"
    if wanted.acts:
        yield from _not_undone(ended)


def _not_undone(ended: Ended) -> Iterator[str]:
    acted = [execution for execution in ended.executions if _steps(execution, "act")]
    undone = [execution for execution in acted if execution.state is ExecutionState.ROLLED_BACK]
    if len(acted) < 2:
        yield f"was handed over after {len(acted)} attempts, without a next candidate"
    if not undone:
        yield "was handed over, and nothing was rolled back"
    for execution in acted:
        if execution.candidate.rollback and execution not in undone:
            yield f"has {execution.id}, which has a rollback and is {execution.state}"
    for execution in undone:
        if not _is_as_before(ended.fault.sandbox, execution):
            yield f"has {execution.id}, which is rolled back, and {execution.candidate.target} is not as before"


def _repeated(ended: Ended) -> Iterator[str]:
    """Nothing was done twice: by the record of the service, and by supervisor's."""
    for execution in ended.executions:
        for name in ("act", "rollback"):
            if len(_steps(execution, name)) > 1:
                yield f"has {execution.id}, whose {name} was done {len(_steps(execution, name))} times"
    restarts = [each for each in ended.executions if each.candidate.uses == "process/restart"]
    for name in {str(each.candidate.arguments["name"]) for each in restarts}:
        asked = sum(each.candidate.arguments["name"] == name and _has_begun(each) for each in restarts)
        done = ended.fault.sandbox.starts(name, ended.since)
        if done > asked and not _has_other_acts(ended):
            yield f"had {name} started {done} times, and asked for {asked}"


def _has_other_acts(ended: Ended) -> bool:
    """Whether something else may have started a process: a program, such as one that deploys."""
    return any(each.candidate.uses.startswith("script/") and _has_begun(each) for each in ended.executions)


def _is_as_before(sandbox: Sandbox, execution: Execution) -> bool:
    """Whether the target says itself that it is as the rollback leaves it. True where it cannot be asked."""
    rollback = execution.candidate.rollback
    assert rollback is not None
    try:
        if rollback.uses == "traffic/switch":
            return bool(sandbox.visit("/healthz").headers[POOL_HEADER] == rollback.arguments["to"])
        if rollback.uses == "process/stop":
            return sandbox.supervisor.process(str(rollback.arguments["name"])).pid == 0
    except (Unavailable, OSError, httpx.HTTPError):
        return False
    return True


def _is_healthy(execution: Execution) -> bool:
    verification = execution.verification
    return execution.state is ExecutionState.SUCCEEDED and verification is not None and verification.health == "healthy"


def _steps(execution: Execution, name: str) -> list[StepRecord]:
    """The ends of an act; `verify` notes one more for the ticket."""
    return [
        step for step in execution.steps if step.name == name and step.state == "done" and step.detail != "now measured"
    ]


def _has_begun(execution: Execution) -> bool:
    return any(step.name == "act" and step.state == "started" for step in execution.steps)
