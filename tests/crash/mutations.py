"""Faults of the product that the suite must find: each breaks one promise in a worker's process, and nothing else.

`python -m tests.crash --break NAME` runs the kills over a product that is broken so; it must fail.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def act_before_the_marker() -> None:
    """The marker is stored after the act instead of before it."""
    from dataclasses import replace

    from models.domain.execution import StepRecord
    from service.remediation.acting import Actor

    def first(self: Any, execution: Any, name: str, step: Any, executor: Any, call: Any) -> Any:
        before = executor.snapshot(call)
        answer = self._perform(execution, name, executor, replace(call, before=before))
        marker = StepRecord(name=name, state="started", at=self._clock(), detail=call.verb, data=before)
        self._executions.begin(execution.id, marker)
        return answer

    Actor._first_attempt = first  # type: ignore[method-assign]


def never_asks() -> None:
    """The target is not asked whether the act happened: it is taken for absent."""
    from service.ports import Effect
    from service.remediation.acting import Actor

    Actor._observe = lambda self, executor, call: Effect.ABSENT  # type: ignore[method-assign]


def forgets_steps() -> None:
    """A step's result is not recorded in the execution: after a crash it is as if it had not been done."""
    from service.store.executions import Executions

    Executions.record = lambda self, identifier, step: None  # type: ignore[method-assign]
    Executions.begin = lambda self, identifier, marker: True  # type: ignore[method-assign]


def acknowledges_too_soon() -> None:
    """A signal is acknowledged before it is stored."""
    import threading

    from service.intake import Intake, SignalReceipt

    signals = Intake.signals

    def soon(self: Any, given: Any) -> Any:
        threading.Timer(0.3, signals, (self, given)).start()
        return [SignalReceipt(fingerprint=one.fingerprint, incident=None, note="") for one in given]

    Intake.signals = soon  # type: ignore[method-assign]


MUTATIONS: dict[str, Callable[[], None]] = {
    "act-before-the-marker": act_before_the_marker,
    "never-asks": never_asks,
    "forgets-steps": forgets_steps,
    "acknowledges-too-soon": acknowledges_too_soon,
}
