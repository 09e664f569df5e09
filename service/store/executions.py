"""Executions and their approvals: states by compare-and-set, one active a target, one word a person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from models.domain.base import Clock
from models.domain.errors import Conflict, NotFound
from models.domain.execution import (
    EXECUTION_TRANSITIONS,
    FINAL_STATES,
    Approval,
    CancelRequest,
    Execution,
    ExecutionState,
    Outcome,
    StepRecord,
)
from service.store.audit import AuditLog
from service.store.database import ADMISSION, Database
from service.store.incidents import incident_number
from service.store.state import kill_switch_is_on
from service.store.tables import approvals, executions, outcomes

Admit = Callable[[Connection, Execution], None]
"""Asked whether an execution may start; raises where it may not."""
Then = Callable[[Connection, Execution], None]
"""What follows from a change of an execution, in the transaction of the change."""


class TargetBusy(Conflict):
    """Another execution is active on the same target."""

    title = "target busy"


class MayNotAct(Conflict):
    """An act may not begin any more."""

    title = "may not act"


class Executions:
    """The repository of executions, approvals and outcomes."""

    def __init__(self, database: Database, audit: AuditLog, clock: Clock) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock

    def add(self, execution: Execution, workflow: str) -> None:
        """Store a new execution; one of the same id is left as it is, so that a repeated step does no harm."""
        with self._database.write() as connection:
            if connection.execute(select(executions.c.number).where(executions.c.id == execution.id)).first():
                return
            connection.execute(
                insert(executions).values(
                    id=execution.id, incident=incident_number(execution.incident), workflow=workflow,
                    candidate_hash=execution.candidate.hash, target=execution.candidate.target, state=execution.state,
                    service=execution.candidate.service or "", environment=execution.candidate.environment,
                    action=f"{execution.candidate.runbook}/{execution.candidate.action}",
                    document=execution.model_dump(mode="json", by_alias=True),
                )
            )  # fmt: skip
            self._audit.append(connection, "execution.decided", execution.id, _decided(execution))

    def get(self, identifier: str) -> Execution:
        """One execution. Raises NotFound."""
        with self._database.read() as connection:
            return self._load(connection, identifier)

    def page(
        self,
        *,
        after: int | None = None,
        limit: int = 50,
        incident: str | None = None,
        state: ExecutionState | None = None,
    ) -> list[tuple[int, Execution]]:
        """Executions with their row numbers, newest first, older than row `after`."""
        query = select(executions.c.number, executions.c.document).order_by(executions.c.number.desc()).limit(limit)
        if after is not None:
            query = query.where(executions.c.number < after)
        if incident is not None:
            query = query.where(executions.c.incident == incident_number(incident))
        if state is not None:
            query = query.where(executions.c.state == state)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [(number, Execution.model_validate(document)) for number, document in rows]

    def unended(self, workflow: str | None = None) -> list[tuple[str, str]]:
        """Identifier and workflow of each execution that has not ended, of one workflow or of all."""
        query = select(executions.c.id, executions.c.workflow).where(executions.c.state.not_in(list(FINAL_STATES)))
        if workflow is not None:
            query = query.where(executions.c.workflow == workflow)
        with self._database.read() as connection:
            return [(row.id, row.workflow) for row in connection.execute(query.order_by(executions.c.number))]

    def counts(self) -> dict[str, int]:
        """How many executions are in each state."""
        query = select(executions.c.state, func.count()).group_by(executions.c.state)
        with self._database.read() as connection:
            return dict(connection.execute(query).all())

    def transition(
        self,
        identifier: str,
        to: ExecutionState,
        step: StepRecord,
        *,
        actor: str = "suture",
        admit: Admit | None = None,
        then: Then | None = None,
        **changes: Any,
    ) -> Execution:
        """Move to a state and record the step that did it, with changed fields. The state it is in already: no change.

        `admit` is asked in the same transaction, one at a time over all replicas, and raises where it does not agree.
        `then` is called in the same transaction after the change: what follows from it is lost by no crash.
        Raises Conflict where the state may not follow, TargetBusy where another execution is active on the target.
        """
        try:
            with self._database.write() as connection:
                if admit is not None:
                    self._database.lock(connection, ADMISSION)
                return self._move(connection, identifier, to, step, actor, changes, admit, then)
        except IntegrityError as error:
            raise TargetBusy(f"another execution is active on the target of {identifier}") from error

    def _move(
        self,
        connection: Connection,
        identifier: str,
        to: ExecutionState,
        step: StepRecord,
        actor: str,
        changes: dict[str, Any],
        admit: Admit | None = None,
        then: Then | None = None,
    ) -> Execution:
        execution = self._load(connection, identifier, lock=True)
        if execution.state is to:
            return execution
        if to not in EXECUTION_TRANSITIONS[execution.state]:
            raise Conflict(f"{identifier} is {execution.state}; it cannot become {to}")
        if admit is not None:
            admit(connection, execution)
        now = self._clock()
        if to is ExecutionState.RUNNING:
            changes = {"started_at": now, **changes}
        if to in FINAL_STATES:
            changes = {"ended_at": now, **changes}
        moved = execution.model_copy(update={**changes, "state": to, "steps": (*execution.steps, step)})
        columns: dict[str, Any] = {"state": to, "document": moved.model_dump(mode="json", by_alias=True)}
        if to is ExecutionState.RUNNING:
            # The document has this replica's time, as all that people read; limits count by the time of all replicas.
            counted_from = self._database.now(connection, self._clock)
            columns["started_at"] = counted_from.isoformat(timespec="microseconds")
        elif to in FINAL_STATES and not moved.begun:
            # Nothing was done: limits do not count it any more. Its document still says when it was let start.
            columns["started_at"] = None
        connection.execute(update(executions).where(executions.c.id == identifier).values(**columns))
        details = {"from": execution.state, "to": to, "step": step.name, "detail": step.detail}
        self._audit.append(connection, f"execution.{to}", identifier, details, actor)
        if then is not None:
            then(connection, moved)
        return moved

    def record(self, identifier: str, step: StepRecord) -> None:
        """Add a step's record without a change of state. A step that says the same as before is left out."""
        with self._database.write() as connection:
            execution = self._load(connection, identifier, lock=True)
            if any((known.name, known.state) == (step.name, step.state) for known in execution.steps):
                return
            self._append(connection, execution, step)

    def _append(self, connection: Connection, execution: Execution, step: StepRecord) -> None:
        changed = execution.model_copy(update={"steps": (*execution.steps, step)})
        connection.execute(
            update(executions)
            .where(executions.c.id == execution.id)
            .values(document=changed.model_dump(mode="json", by_alias=True))
        )
        details = {"step": step.name, "state": step.state, "detail": step.detail}
        self._audit.append(connection, "execution.step", execution.id, details)

    def begin(self, identifier: str, marker: StepRecord) -> bool:
        """Record that an act or a rollback begins, right before it does: the last moment at which it can be stopped.

        False where that is recorded already: somebody else began it. Raises MayNotAct where it may not begin any more:
        an act not while the kill switch is on, nor where a person asked to stop, nor where the execution does not
        run; a rollback may until the execution has ended.
        """
        with self._database.write() as connection:
            # Once the kill switch is turned on, no act begins that had not: they take turns.
            self._database.lock(connection, ADMISSION)
            execution = self._load(connection, identifier, lock=True)
            if any((known.name, known.state) == (marker.name, marker.state) for known in execution.steps):
                return False
            _require_may_act(connection, execution, marker.name)
            self._append(connection, execution, marker)
            return True

    def require_may_act(self, identifier: str, name: str) -> None:
        """For one more attempt at what did nothing so far: raises MayNotAct where `begin` would."""
        with self._database.read() as connection:
            _require_may_act(connection, self._load(connection, identifier), name)

    def request_cancel(self, identifier: str, request: CancelRequest) -> Execution:
        """Store a person's wish that an execution ends; one that only waits is cancelled at once.

        Raises NotFound, or Conflict where it ended, or is being rolled back, which is let end. A second wish changes
        nothing.
        """
        with self._database.write() as connection:
            execution = self._load(connection, identifier, lock=True)
            if execution.state in FINAL_STATES or execution.state is ExecutionState.ROLLING_BACK:
                raise Conflict(f"{identifier} is {execution.state}; it cannot be cancelled any more")
            if execution.cancel is not None:
                return execution
            if execution.state is ExecutionState.PENDING:
                step = StepRecord(name="cancel", state="done", at=request.at, detail=_cancelled(request))
                changes = {"cancel": request}
                return self._move(connection, identifier, ExecutionState.CANCELLED, step, request.by, changes)
            changed = execution.model_copy(update={"cancel": request})
            connection.execute(
                update(executions)
                .where(executions.c.id == identifier)
                .values(document=changed.model_dump(mode="json", by_alias=True))
            )
            details = {"state": execution.state, "reason": request.reason}
            self._audit.append(connection, "execution.cancel-requested", identifier, details, request.by)
            return changed

    def add_approval(self, approval: Approval) -> None:
        """Store a person's word. Raises Conflict where the person spoke already or the execution does not wait."""
        with self._database.write() as connection:
            execution = self._load(connection, approval.execution, lock=True)
            if execution.state is not ExecutionState.PENDING:
                raise Conflict(f"{approval.execution} is {execution.state}; it does not wait for an approval")
            spoken = select(approvals.c.number).where(
                approvals.c.execution == approval.execution, approvals.c.by == approval.by
            )
            if connection.execute(spoken).first():
                raise Conflict(f"{approval.by} has already decided on {approval.execution}")
            connection.execute(
                insert(approvals).values(
                    id=approval.id,
                    execution=approval.execution,
                    by=approval.by,
                    document=approval.model_dump(mode="json"),
                )
            )
            verdict = "approval.given" if approval.approved else "approval.refused"
            details = {"candidate": approval.candidate_hash, "comment": approval.comment, "role": approval.role}
            self._audit.append(connection, verdict, approval.execution, details, approval.by)

    def approvals(self, execution: str) -> list[Approval]:
        """The words of people on an execution, in order."""
        query = select(approvals.c.document).where(approvals.c.execution == execution).order_by(approvals.c.number)
        with self._database.read() as connection:
            return [Approval.model_validate(document) for document in connection.execute(query).scalars()]

    def add_outcome(self, outcome: Outcome) -> None:
        """Store what an execution taught, once."""
        with self._database.write() as connection:
            self.add_outcome_in(connection, outcome)

    def add_outcome_in(self, connection: Connection, outcome: Outcome) -> bool:
        """As `add_outcome`, in the caller's transaction; False, and no change, where it is stored already."""
        if connection.execute(select(outcomes.c.at).where(outcomes.c.execution == outcome.execution)).first():
            return False
        connection.execute(
            insert(outcomes).values(
                execution=outcome.execution, uses=outcome.uses, runbook=outcome.runbook, action=outcome.action,
                environment=outcome.environment, verified=outcome.verified, at=outcome.at.isoformat(),
                document=outcome.model_dump(mode="json"),
            )
        )  # fmt: skip
        self._audit.append(connection, "outcome.recorded", outcome.execution, outcome.model_dump(mode="json"))
        return True

    def outcomes(self, runbook: str, action: str, environment: str | None) -> list[Outcome]:
        """All outcomes of an action in an environment, oldest first; in every environment where that is None."""
        query = select(outcomes.c.document).where(outcomes.c.runbook == runbook, outcomes.c.action == action)
        if environment is not None:
            query = query.where(outcomes.c.environment == environment)
        query = query.order_by(outcomes.c.at)
        with self._database.read() as connection:
            return [Outcome.model_validate(document) for document in connection.execute(query).scalars()]

    def _load(self, connection: Connection, identifier: str, *, lock: bool = False) -> Execution:
        query = select(executions.c.document).where(executions.c.id == identifier)
        # Locked: the document is read, changed and written back. (SQLite's writers are alone anyway.)
        document = connection.execute(query.with_for_update() if lock else query).scalar()
        if document is None:
            raise NotFound(f"there is no execution {identifier}")
        return Execution.model_validate(document)


def _require_may_act(connection: Connection, execution: Execution, name: str) -> None:
    if execution.state in FINAL_STATES:
        raise MayNotAct(f"{execution.id} is {execution.state} already")
    if name != "act":  # what undoes an act is wanted, whoever stops it
        return
    if execution.state is not ExecutionState.RUNNING:
        raise MayNotAct(f"{execution.id} is {execution.state}, not running")
    if execution.cancel is not None:
        raise MayNotAct(_cancelled(execution.cancel))
    if kill_switch_is_on(connection):
        raise MayNotAct("the kill switch is on")


def _cancelled(request: CancelRequest) -> str:
    return f"cancelled by {request.by}" + (f": {request.reason}" if request.reason else "")


def _decided(execution: Execution) -> dict[str, Any]:
    candidate, decision = execution.candidate, execution.decision
    return {
        "incident": execution.incident,
        "candidate": candidate.hash,
        "uses": candidate.uses,
        "target": candidate.target,
        "verdict": decision.verdict,
        "policies": list(decision.policies),
        "reason": decision.reason,
    }
