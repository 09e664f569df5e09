"""One act, exactly once as far as the target can tell: marked before, recorded after, asked about in between."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field
from pydantic_core import PydanticSerializationError
from sqlalchemy.exc import OperationalError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from models.domain.base import Clock, Frozen
from models.domain.errors import SutureError
from models.domain.execution import Execution, StepRecord
from models.domain.runbook import Step
from service.ports import Call, Effect, Executor, ExecutorError
from service.store.executions import Executions

_log = logging.getLogger(__name__)

_ATTEMPTS = 3


class ActResult(Frozen):
    """How an act ended. `uncertain`: it may have taken effect and nothing can tell."""

    result: Literal["done", "failed", "uncertain"]
    detail: str
    outputs: dict[str, Any] = Field(default_factory=dict)


class Actor:
    """Calls executors on behalf of executions."""

    def __init__(
        self,
        executors: Mapping[str, Executor],
        executions: Executions,
        clock: Clock,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """`pause` waits for so many seconds."""
        self._executors = executors
        self._executions = executions
        self._clock = clock
        self._pause = pause

    def act(self, execution: Execution, name: str, step: Step) -> ActResult:
        """Perform `step` of the execution under the name `name` (`act`, `rollback`).

        A marker with the target's state is stored before the first attempt. Where the marker is there already, an
        attempt was cut off: its recorded result answers, else the target is asked whether it happened, and only an act
        that did not happen, or whose verb is idempotent, is performed. Whatever an executor raises is judged.
        """
        kind, verb_name = step.uses.split("/", 1)
        executor = self._executors.get(kind)
        if executor is None or verb_name not in executor.verbs:
            return ActResult(result="failed", detail=f"there is no executor for {step.uses}")
        marker = next((s for s in execution.steps if s.name == name and s.state == "started"), None)
        call = Call(
            key=f"{execution.id}:{name}",
            verb=verb_name,
            arguments=step.arguments,
            timeout=execution.candidate.timeout,
            before=marker.data if marker else {},
        )
        if marker is None:
            return self._first_attempt(execution, name, executor, call)
        return self._after_a_crash(execution, marker, executor, call)

    def _first_attempt(self, execution: Execution, name: str, executor: Executor, call: Call) -> ActResult:
        try:
            before = executor.snapshot(call)
            marker = StepRecord(name=name, state="started", at=self._clock(), detail=call.verb, data=before)
            self._executions.record(execution.id, marker)
        except OperationalError:
            raise
        except Exception as error:  # noqa: BLE001  (of a third party's code; nothing was begun)
            return self._record(
                execution, name, ActResult(result="failed", detail=f"nothing was done: {_words(error)}")
            )
        return self._perform(execution, name, executor, replace(call, before=before))

    def _after_a_crash(self, execution: Execution, marker: StepRecord, executor: Executor, call: Call) -> ActResult:
        name = marker.name
        for known in execution.steps:
            if known.name == name and known.state != "started":
                return ActResult(result=known.state, detail=known.detail, outputs=known.data)
        verb = executor.verbs[call.verb]
        effect = self._observe(executor, call)
        if effect is Effect.ABSENT and not verb.idempotent:
            # What was cut off here may still be on its way to the target, or be running there.
            self._pause((marker.at + call.timeout - self._clock()).total_seconds())
            effect = self._observe(executor, call)
        if effect is Effect.HAPPENED:
            detail = "Suture was interrupted while it acted; the target says that the act happened"
            return self._record(execution, name, ActResult(result="done", detail=detail))
        if effect is Effect.ABSENT or verb.idempotent:
            return self._perform(execution, name, executor, call)
        detail = "Suture was interrupted while it acted, and the target cannot tell whether the act happened"
        return self._record(execution, name, ActResult(result="uncertain", detail=detail))

    def _perform(self, execution: Execution, name: str, executor: Executor, call: Call) -> ActResult:
        try:
            outputs = self._with_retries(executor, call)
        except Exception as error:  # noqa: BLE001  (of a third party's code, in mid-act: the target is asked)
            return self._record(execution, name, self._judge(executor, call, error))
        return self._record(execution, name, ActResult(result="done", detail="done", outputs=outputs))

    def _judge(self, executor: Executor, call: Call, error: Exception) -> ActResult:
        told = error.effect if isinstance(error, ExecutorError) else Effect.UNKNOWN
        effect = told if told is not Effect.UNKNOWN else self._observe(executor, call)
        if effect is Effect.HAPPENED:
            return ActResult(result="done", detail=f"the target says that the act happened, after: {_words(error)}")
        if effect is Effect.ABSENT:
            return ActResult(result="failed", detail=_words(error))
        detail = f"it may have taken effect, and the target cannot tell: {_words(error)}"
        return ActResult(result="uncertain", detail=detail)

    def _observe(self, executor: Executor, call: Call) -> Effect:
        if not executor.verbs[call.verb].observable:
            return Effect.UNKNOWN
        try:
            return executor.observe(call)
        except Exception:  # noqa: BLE001  (a target that cannot be asked has not told)
            _log.exception("%s cannot say whether %s happened", executor.name, call.verb)
            return Effect.UNKNOWN

    def _record(self, execution: Execution, name: str, result: ActResult) -> ActResult:
        record = StepRecord(name=name, state=result.result, at=self._clock(), detail=result.detail, data=result.outputs)
        try:
            record.model_dump_json()
        except PydanticSerializationError:
            # The act is done whatever its outputs are.
            return self._record(execution, name, result.model_copy(update={"outputs": {}}))
        self._executions.record(execution.id, record)
        return result

    def _with_retries(self, executor: Executor, call: Call) -> dict[str, Any]:
        # Only where the target was not touched: everything else is for `observe` and people.
        attempts = Retrying(
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_exponential(multiplier=0.5, max=5),
            retry=retry_if_exception(_untouched),
            sleep=self._pause,
            reraise=True,
        )
        return attempts(executor.act, call)


def _untouched(error: BaseException) -> bool:
    return isinstance(error, ExecutorError) and error.retriable and error.effect is Effect.ABSENT


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, SutureError) else f"{type(error).__name__}: {error}"
