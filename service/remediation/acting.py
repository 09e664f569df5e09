"""One act, exactly once as far as the target can tell: marked before, recorded after, asked about in between."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from pydantic import Field
from pydantic_core import PydanticSerializationError
from sqlalchemy.exc import SQLAlchemyError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from models.domain.base import Clock, Frozen
from models.domain.errors import SutureError
from models.domain.execution import GAVE_UP, Execution, StepRecord
from models.domain.runbook import Step
from service.ports import Call, Effect, Executor, ExecutorError
from service.remediation.deadline import Overdue, call_within
from service.store.executions import Executions, MayNotAct

_log = logging.getLogger(__name__)

_ATTEMPTS = 3
_GRACE_SECONDS = 15.0
"""Executors end an act within its timeout; one that does not is left to itself after this much more."""
_REPEAT_SECONDS = 1.0
_LOOK_SECONDS = 0.5
"""Between two looks whether a person asked to stop."""


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
        ready: Callable[[], None] = lambda: None,
        still: Callable[[], None] = lambda: None,
    ) -> None:
        """`pause` waits for so many seconds, or ends the step where the worker stops. `ready` is asked before each
        attempt at an act: it returns where this worker may act, and ends the step where another has taken over.
        `still` is the same question asked again, at next to no cost, when the attempt is about to take effect: a worker
        may be paused for long between the two. It raises SQLAlchemy's errors where that is not known.
        """
        self._executors = executors
        self._executions = executions
        self._clock = clock
        self._pause = pause
        self._ready = ready
        self._still = still
        self._unrecorded: dict[str, ActResult] = {}

    def rehearse(self, execution: Execution, step: Step) -> ActResult:
        """What `step` would do, in words, having changed nothing; `failed` where it could not be done."""
        executor = self._executor(step)
        if executor is None:
            return _no_executor(step)
        call = self._call(execution, "dry-run", step)
        try:
            said = self._with_retries(executor.name, executor.dry_run, call)
        except Exception as error:  # noqa: BLE001  (of a third party's code; nothing was begun)
            return ActResult(result="failed", detail=f"nothing was done: the dry run failed: {_words(error)}")
        return ActResult(result="done", detail=said)

    def act(self, execution: Execution, name: str, step: Step) -> ActResult:
        """Perform `step` of the execution under the name `name` (`act`, `rollback`).

        A marker with the target's state is stored before the first attempt. Where the marker is there already, an
        attempt was cut off: its recorded result answers, else the target is asked whether it happened, and only an act
        that did not happen, or that may be repeated, is performed. Whatever an executor raises is judged.
        """
        executor = self._executor(step)
        if executor is None:
            return _no_executor(step)
        call = self._call(execution, name, step)
        if (known := _known(execution, name)) is not None:
            return known
        marker = next((s for s in execution.steps if s.name == name and s.state == "started"), None)
        if marker is None:
            return self._first_attempt(execution, name, step, executor, call)
        return self._after_a_crash(execution, marker, executor, replace(call, before=marker.data))

    def _executor(self, step: Step) -> Executor | None:
        kind, verb = step.uses.split("/", 1)
        executor = self._executors.get(kind)
        return executor if executor is not None and verb in executor.verbs else None

    def _call(self, execution: Execution, name: str, step: Step) -> Call:
        return Call(
            key=f"{execution.id}:{name}",
            verb=step.uses.split("/", 1)[1],
            arguments=step.arguments,
            timeout=execution.candidate.timeout,
            # What undoes an act is not stopped: it is what a person who cancels wants.
            cancelled=_Watch(self._executions, execution.id) if name == "act" else _never,
        )

    def _first_attempt(self, execution: Execution, name: str, step: Step, executor: Executor, call: Call) -> ActResult:
        try:
            before = self._within(executor, executor.snapshot, call)
            marker = StepRecord(name=name, state="started", at=self._clock(), detail=call.verb, data=before)
            marker.model_dump_json()
        except Exception as error:  # noqa: BLE001  (of a third party's code; nothing was begun)
            return self._record(execution, name, _nothing_done(error))
        try:
            begun = self._executions.begin(execution.id, marker)
        except MayNotAct as obstacle:
            return self._record(execution, name, _nothing_done(obstacle))
        if not begun:
            # By a replica that was taken over while it looked at the target: it may have acted.
            return self.act(self._executions.get(execution.id), name, step)
        return self._perform(execution, name, executor, replace(call, before=before))

    def _after_a_crash(self, execution: Execution, marker: StepRecord, executor: Executor, call: Call) -> ActResult:
        name = marker.name
        if (ended := self._unrecorded.get(call.key)) is not None:
            # No crash: it ended in this process, and the database was away when that was to be recorded.
            return self._record(execution, name, ended)
        # From now on: clocks may have been set since, and an attempt that was retried began later than its marker.
        repeatable = executor.verbs[call.verb].idempotent
        effect = self._observe(executor, call) if repeatable else self._settled(executor, call, 0.0)
        # A replica that was taken over in mid-act may have ended it meanwhile, and said how.
        if (known := _known(self._executions.get(execution.id), name)) is not None:
            return known
        if effect is Effect.HAPPENED:
            detail = "Suture was interrupted while it acted; the target says that the act happened"
            return self._record(execution, name, ActResult(result="done", detail=detail))
        if effect is not Effect.UNKNOWN:
            return self._perform(execution, name, executor, call, effect)
        detail = "Suture was interrupted while it acted, and the target cannot tell whether the act happened"
        return self._record(execution, name, ActResult(result="uncertain", detail=detail))

    def _perform(
        self, execution: Execution, name: str, executor: Executor, call: Call, known: Effect = Effect.UNKNOWN
    ) -> ActResult:
        """Attempt it until it is known how it ended. `known`: what the attempts before did, where there were any."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                if known is Effect.ABSENT:  # nothing was done yet, and what stops a first attempt stops this one
                    self._executions.require_may_act(execution.id, name)
            except MayNotAct as obstacle:
                return self._record(execution, name, _nothing_done(obstacle))
            self._ready()
            began = time.monotonic()
            try:
                outputs = self._within(executor, partial(_confirmed, executor), replace(call, confirm=self._confirm))
            except Exception as error:  # noqa: BLE001  (of a third party's code, in mid-act: the target is asked)
                known = self._effect(executor, call, error, time.monotonic() - began)
                if attempt == _ATTEMPTS or not _worth_another(known, error) or call.cancelled():
                    return self._record(execution, name, _judged(known, error))
                self._pause(_REPEAT_SECONDS * attempt)
            else:
                return self._record(execution, name, ActResult(result="done", detail="done", outputs=outputs))
        raise AssertionError("the last attempt returns")

    def _confirm(self) -> None:
        try:
            self._still()
        except SQLAlchemyError as error:
            words = f"the database does not confirm the lease: {error}"
            raise ExecutorError(words, retriable=True, effect=Effect.ABSENT) from error

    def _effect(self, executor: Executor, call: Call, error: Exception, elapsed: float) -> Effect:
        """Whether an act took effect that raised so many seconds after it began."""
        effect = error.effect if isinstance(error, ExecutorError) else Effect.UNKNOWN
        if effect is Effect.UNKNOWN:
            lingers = executor.verbs[call.verb].lingers
            effect = self._settled(executor, call, elapsed) if lingers else self._observe(executor, call)
        return effect

    def _settled(self, executor: Executor, call: Call, elapsed: float) -> Effect:
        """What the target says of an act that was cut off so many seconds after it began.

        What was cut off here may still be on its way to the target, or be running there: an absent effect is believed
        once the act's time is over.
        """
        effect = self._observe(executor, call)
        if effect is not Effect.ABSENT:
            return effect
        self._pause(max(0.0, call.timeout.total_seconds() - elapsed))
        return self._observe(executor, call)

    def _observe(self, executor: Executor, call: Call) -> Effect:
        verb = executor.verbs[call.verb]
        effect = Effect.UNKNOWN
        if verb.observable:
            try:
                effect = self._within(executor, executor.observe, call)
            except Exception:  # noqa: BLE001  (a target that cannot be asked has not told)
                _log.exception("%s cannot say whether %s happened", executor.name, call.verb)
        return Effect.REPEATABLE if effect is Effect.UNKNOWN and verb.idempotent else effect

    def _record(self, execution: Execution, name: str, result: ActResult) -> ActResult:
        record = StepRecord(name=name, state=result.result, at=self._clock(), detail=result.detail, data=result.outputs)
        try:
            record.model_dump_json()
        except PydanticSerializationError:
            # The act is done whatever its outputs are.
            return self._record(execution, name, result.model_copy(update={"outputs": {}}))
        key = f"{execution.id}:{name}"
        self._unrecorded[key] = result
        self._executions.record(execution.id, record)
        del self._unrecorded[key]
        return result

    def _with_retries(self, name: str, function: Callable[[Call], Any], call: Call) -> Any:
        # Only where the target was not touched.
        attempts = Retrying(
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_exponential(multiplier=0.5, max=5),
            retry=retry_if_exception(_untouched),
            sleep=self._pause,
            reraise=True,
        )
        return attempts(call_within, _limit(call), f"{name}/{call.verb}", function, call)

    def _within(self, executor: Executor, function: Callable[[Call], Any], call: Call) -> Any:
        return call_within(_limit(call), f"{executor.name}/{call.verb}", function, call)


class _Watch:
    """Whether a person asked to stop an execution. Called as often as one likes, it asks the database now and then."""

    def __init__(self, executions: Executions, execution: str) -> None:
        self._executions = executions
        self._execution = execution
        self._looked = float("-inf")
        self._cancelled = False

    def __call__(self) -> bool:
        now = time.monotonic()
        if not self._cancelled and now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            try:
                self._cancelled = self._executions.get(self._execution).cancel is not None
            except SQLAlchemyError as error:  # an act does not fail since the database is away
                _log.warning("%s: cannot be asked whether it was cancelled: %s", self._execution, error)
        return self._cancelled


def _known(execution: Execution, name: str) -> ActResult | None:
    """How the act of that name ended, where that is recorded."""
    ended = next((step for step in execution.steps if step.name == name and step.state != "started"), None)
    return None if ended is None else ActResult(result=ended.state, detail=ended.detail, outputs=ended.data)


def _worth_another(effect: Effect, error: Exception) -> bool:
    """Whether an act that raised may be attempted again: it did nothing, or doing it twice is as doing it once."""
    return _untouched(error) or (effect is Effect.REPEATABLE and not isinstance(error, Overdue))


def _judged(effect: Effect, error: Exception) -> ActResult:
    """How an act ended that raised."""
    if effect is Effect.HAPPENED:
        detail = f"the target says that the act happened, after: {_words(error)}"
        final = isinstance(error, ExecutorError) and error.final
        return ActResult(result="done", detail=detail, outputs={GAVE_UP: True} if final else {})
    # One that is overdue is still at work: it may yet happen, whatever the target says now.
    if effect is Effect.ABSENT and not isinstance(error, Overdue):
        return ActResult(result="failed", detail=_words(error))
    return _uncertain(error)


def _nothing_done(error: Exception) -> ActResult:
    return ActResult(result="failed", detail=f"nothing was done: {_words(error)}")


def _confirmed(executor: Executor, call: Call) -> dict[str, Any]:
    call.confirm()
    return executor.act(call)


def _never() -> bool:
    return False


def _limit(call: Call) -> float:
    return call.timeout.total_seconds() + _GRACE_SECONDS


def _no_executor(step: Step) -> ActResult:
    return ActResult(result="failed", detail=f"there is no executor for {step.uses}")


def _uncertain(error: Exception) -> ActResult:
    detail = f"it may have taken effect, and the target cannot tell: {_words(error)}"
    return ActResult(result="uncertain", detail=detail)


def _untouched(error: BaseException) -> bool:
    return isinstance(error, ExecutorError) and error.retriable and error.effect is Effect.ABSENT


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, SutureError) else f"{type(error).__name__}: {error}"
