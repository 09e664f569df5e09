"""A service whose REST API answers what a test wrote down, and a fault that breaks nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from evals.sandbox.fault import Fault
from evals.sandbox.layout import POOL_HEADER
from models.domain.base import utc_now
from models.domain.errors import NotFound
from models.domain.execution import Decision, Execution, Mode, StepRecord, Verdict, Verification
from models.domain.incident import Incident, TimelineEntry
from models.domain.recommendation import Candidate, Citation, RankedCandidate, Recommendation
from models.domain.runbook import Step
from models.domain.signal import Signal

BACK = Step(uses="traffic/switch", **{"with": {"router": "shop", "to": "primary"}})


class Target:
    """The sandbox, as far as an ending asks it."""

    def __init__(self) -> None:
        self.pool = "primary"
        self.started: dict[str, int] = {}

    def visit(self, _path: str) -> Any:
        return type("Answer", (), {"headers": {POOL_HEADER: self.pool}})

    def starts(self, program: str, _since: object) -> int:
        return self.started.get(program, 0)


class Broken(Fault):
    """The shop, which stays as it is."""

    name = "kill_service"
    title = "The shop's processes are killed"
    how = "SIGKILL"
    service = "shop"
    process = "shop"
    cures = ("process/restart",)

    def __init__(self, target: Any = None) -> None:
        super().__init__(target or Target())
        self.serves = True

    def inject(self) -> None:
        """Nothing to break."""

    def repaired(self) -> bool:
        return self.serves

    def heal(self) -> None:
        """Nothing to mend."""

    def _break(self, pid: int) -> None:
        raise NotImplementedError


class RecordedService:
    """Answers each GET with what is in `answers` now; keeps what was posted."""

    def __init__(self) -> None:
        self.incident: Incident | None = None
        self.recommendation: Recommendation | None = None
        self.executions: list[Execution] = []
        self.ticket: dict[str, Any] | None = None
        self.posted: list[tuple[str, Any]] = []
        self.before_incident: list[Any] = []
        """Called one after the other, one each time that the incidents are listed."""
        self.on_post: Any = None
        self.scrapes = 0

    def get(self, path: str, **_parameters: Any) -> Any:
        if path == "/v1/incidents":
            if self.before_incident:
                self.before_incident.pop(0)()
            return {"items": [dump(self.incident)] if self.incident else []}
        if path.endswith("/recommendation"):
            if self.recommendation is None:
                raise NotFound(path)
            return dump(self.recommendation)
        if path.startswith("/v1/incidents/"):
            return dump(self.incident)
        if path == "/v1/executions":
            return {"items": [dump(one) for one in reversed(self.executions)]}
        if path == "/v1/tickets":
            return {"items": [self.ticket] if self.ticket else []}
        return self.ticket

    def post(self, path: str, body: Any) -> Any:
        self.posted.append((path, body))
        if self.on_post:
            self.on_post(path)

    def metrics(self) -> dict[str, float]:
        """One more scrape each time that they are read."""
        self.scrapes += 1
        return {"suture_samples_total": float(self.scrapes), "suture_series": 1.0}

    def opens(self, status: str, reason: str, *, postmortem: bool = False) -> None:
        """The incident, at its end."""
        now = utc_now()
        timeline = [TimelineEntry(at=now, kind=status, text=reason)]
        if postmortem:
            timeline.append(TimelineEntry(at=now, kind="learned", text="", data={"document": "inc-1"}))
        self.incident = Incident(
            id="INC-1", title="shop is down", status=status, environment="sandbox", services=("shop",),
            signals=(Signal(kind="anomaly", name="up down", at=now, labels={"service": "shop"}),),
            started_at=now, detected_at=now, updated_at=now, ended_at=now if status == "resolved" else None,
            timeline=tuple(timeline),
        )  # fmt: skip

    def recommends(self, *candidates: Candidate) -> None:
        ranked = tuple(
            RankedCandidate(
                candidate=one, probability=0.9, justification="its trigger matched",
                citations=(Citation(document="service-down", start=1, end=9, quote="Restart it."),),
            )
            for one in candidates
        )  # fmt: skip
        self.recommendation = Recommendation(id="REC-1-1", incident="INC-1", created_at=utc_now(), candidates=ranked)

    def writes_ticket(self, text: str, *, closed: bool) -> None:
        now = utc_now().isoformat()
        self.ticket = {
            "reference": "TCK-1", "status": "closed" if closed else "open", "closed_at": now if closed else None,
            "comments": [{"kind": "comment", "text": text, "at": now}],
        }  # fmt: skip


def dump(model: Any) -> Any:
    return model.model_dump(mode="json", by_alias=True)


def candidate(title: str = "Restart it", uses: str = "process/restart", rollback: Step | None = None) -> Candidate:
    return Candidate(
        incident="INC-1", environment="sandbox", service="shop", runbook="service-down", action="restart", title=title,
        uses=uses, arguments={"name": "shop"}, target="process:shop", parameters={}, risk="low",
        reversible=rollback is not None, approval="policy", timeout=timedelta(seconds=60), preconditions=(), verify=(),
        rollback=rollback,
    )  # fmt: skip


def execution(
    number: int, state: str, *, acts: int = 1, verdict: Verdict = Verdict.PERMIT, **changes: Any
) -> Execution:
    """One that ended in a state, after so many acts were done."""
    now = utc_now() + timedelta(milliseconds=number)
    one = candidate(**changes)
    decision = Decision(
        candidate_hash=one.hash, verdict=verdict, mode=Mode.AUTO, reason="the policy's word", decided_at=now
    )  # fmt: skip
    steps = [StepRecord(name="act", state=word, at=now) for _ in range(acts) for word in ("started", "done")]
    steps.append(StepRecord(name="act", state="done", at=now, detail="now measured"))
    steps.append(
        StepRecord(name="verify", state="done" if state == "succeeded" else "failed", at=now, detail="measured")
    )
    health = "healthy" if state == "succeeded" else "not_healthy"
    return Execution(
        id=f"EXE-1-1-{number}", incident="INC-1", candidate=one, probability=0.9, decision=decision, state=state,
        steps=tuple(steps if acts else steps[-1:]), created_at=now, ended_at=None if state == "pending" else now,
        verification=Verification(health=health, took=timedelta(seconds=3)) if acts else None,
    )  # fmt: skip
