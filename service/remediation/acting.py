"""One act, exactly once as far as the target can tell: marked before, recorded after, asked about in between."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from models.domain.base import Clock, Frozen
from models.domain.execution import Execution, StepRecord
from models.domain.runbook import Step
from service.ports import Call, Effect, Executor, ExecutorError
from service.store.executions import Executions

_ATTEMPTS = 3


class ActResult(Frozen):
    """How an act ended. `uncertain`: it may have taken effect and nothing can tell."""

    result: Literal["done", "failed", "uncertain"]
    detail: str
    outputs: dict[str, Any] = Field(default_factory=dict)


class Actor:
    """Calls executors on behalf of executions."""

    def __init__(self, executors: Mapping[str, Executor], executions: Executions, clock: Clock) -> None:
        self._executors = executors
        self._executions = executions
        self._clock = clock

    def act(self, execution: Execution, name: str, step: Step) -> ActResult:
        """Perform `step` of the execution under the name `name` (`act`, `rollback`).

        A marker with the target's state is stored before the first attempt. Where the marker is there already, an
        attempt was cut off: its recorded result answers, else the target is asked whether it happened, and only an act
        that did not happen, or whose verb is idempotent, is performed.
        """
        kind, verb_name = step.uses.split("/", 1)
        executor = self._executors.get(kind)
        if executor is None or verb_name not in executor.verbs:
            return ActResult(result="failed", detail=f"there is no executor for {step.uses}")
        call = Call(
            key=f"{execution.id}:{name}",
            verb=verb_name,
            arguments=step.arguments,
            timeout=execution.candidate.timeout,
            before=self._marker(execution, name) or {},
        )
        if self._marker(execution, name) is None:
            return self._first_attempt(execution, name, executor, call)
        return self._after_a_crash(execution, name, executor, call)

    def _first_attempt(self, execution: Execution, name: str, executor: Executor, call: Call) -> ActResult:
        try:
            before = executor.snapshot(call)
        except ExecutorError as error:
            return self._record(execution, name, ActResult(result="failed", detail=f"nothing was done: {error}"))
        marker = StepRecord(name=name, state="started", at=self._clock(), detail=execution.candidate.uses, data=before)
        self._executions.record(execution.id, marker)
        call = Call(key=call.key, verb=call.verb, arguments=call.arguments, timeout=call.timeout, before=before)
        return self._perform(execution, name, executor, call)

    def _after_a_crash(self, execution: Execution, name: str, executor: Executor, call: Call) -> ActResult:
        for known in execution.steps:
            if known.name == name and known.state != "started":
                return ActResult(result=known.state, detail=known.detail, outputs=known.data)
        effect = self._observe(executor, call)
        if effect is Effect.HAPPENED:
            detail = "Suture was interrupted while it acted; the target says that the act happened"
            return self._record(execution, name, ActResult(result="done", detail=detail))
        if effect is Effect.ABSENT or executor.verbs[call.verb].idempotent:
            return self._perform(execution, name, executor, call)
        detail = "Suture was interrupted while it acted, and the target cannot tell whether the act happened"
        return self._record(execution, name, ActResult(result="uncertain", detail=detail))

    def _perform(self, execution: Execution, name: str, executor: Executor, call: Call) -> ActResult:
        try:
            outputs = _with_retries(executor, call)
        except ExecutorError as error:
            return self._record(execution, name, self._judge(executor, call, error))
        return self._record(execution, name, ActResult(result="done", detail="done", outputs=outputs))

    def _judge(self, executor: Executor, call: Call, error: ExecutorError) -> ActResult:
        effect = error.effect if error.effect is not Effect.UNKNOWN else self._observe(executor, call)
        if effect is Effect.HAPPENED:
            return ActResult(result="done", detail=f"the target says that the act happened, after: {error}")
        if effect is Effect.ABSENT:
            return ActResult(result="failed", detail=str(error))
        return ActResult(result="uncertain", detail=f"it may have taken effect, and the target cannot tell: {error}")

    def _observe(self, executor: Executor, call: Call) -> Effect:
        return executor.observe(call) if executor.verbs[call.verb].observable else Effect.UNKNOWN

    def _marker(self, execution: Execution, name: str) -> dict[str, Any] | None:
        return next((s.data for s in execution.steps if s.name == name and s.state == "started"), None)

    def _record(self, execution: Execution, name: str, result: ActResult) -> ActResult:
        record = StepRecord(name=name, state=result.result, at=self._clock(), detail=result.detail, data=result.outputs)
        self._executions.record(execution.id, record)
        return result


def _with_retries(executor: Executor, call: Call) -> dict[str, Any]:
    # Only where the target was not touched: everything else is for `observe` and people.
    attempts = Retrying(
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_exponential(multiplier=0.5, max=5),
        retry=retry_if_exception(_untouched),
        reraise=True,
    )
    return attempts(executor.act, call)


def _untouched(error: BaseException) -> bool:
    return isinstance(error, ExecutorError) and error.retriable and error.effect is Effect.ABSENT
