"""The instants at which a worker can be killed, found from outside: nothing in the product knows of them.

In the worker's process the places where it touches the world are wrapped: each durable step, each transaction, each
call of an executor, each ticket update, each document. Before and after each is a boundary, named by the step that it
is in and by the code that makes it; so a new step of the workflow has boundaries by itself.
"""

from __future__ import annotations

import inspect
import os
import re
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_IDENTIFIER = re.compile(r"^(?:remediate-)?(?:INC|EXE|REC)-(\d+)")
_EXECUTOR = ("dry_run", "snapshot", "act", "observe")
_TICKETING = ("open", "comment", "close")
_FRAMES = 12
"""How far up the stack the incident of a transaction is looked for."""


class Arm:
    """When to kill. `at` maps a case to the boundary at which it dies; `beyond` to those at which it does not any more.

    Empty: never.
    """

    def __init__(self, at: dict[str, str] | None = None, beyond: dict[str, list[str]] | None = None) -> None:
        self._at = at or {}
        self._beyond = {case: set(known) for case, known in (beyond or {}).items()}

    def kills(self, case: str, boundary: str) -> bool:
        """Whether the process ends here."""
        return self._at.get(case) == boundary or (case in self._beyond and boundary not in self._beyond[case])


class Boundaries:
    """Tells of each boundary as it is reached, and kills at the one that is armed."""

    def __init__(
        self,
        arm: Arm,
        tell: Callable[[dict[str, Any]], None],
        case_of: Callable[[int], str | None],
        holds: str | None = None,
    ) -> None:
        """`tell` sends a message to who watches; `case_of`: the case that an incident, by its number, is of.

        `holds`: the boundary at which whoever reaches it waits for `released`.
        """
        self.released = threading.Event()
        self._holds = holds
        self._arm = arm
        self._tell = tell
        self._case_of = case_of
        self._now = threading.local()

    def reached(self, what: str, case: str | None = None) -> None:
        """A boundary of this thread's case, or of the given one."""
        case = case or getattr(self._now, "case", None) or self._found(sys._getframe(1))
        if case is None or getattr(self._now, "looking", False):
            return
        boundary = f"{self._step}/{what}"
        if self._arm.kills(case, boundary):
            self._tell({"killed": boundary, "case": case})
            os.kill(os.getpid(), signal.SIGKILL)
        self._tell({"boundary": boundary, "case": case})
        if boundary == self._holds:
            self.released.wait()

    @contextmanager
    def within(self, step: str, case: str | None) -> Iterator[None]:
        """What this thread reaches meanwhile is of this step and this case."""
        before = getattr(self._now, "step", None), getattr(self._now, "case", None)
        self._now.step, self._now.case, self._now.counted = step, case, Counter()
        try:
            yield
        finally:
            self._now.step, self._now.case = before

    def around(self, owner: Any, name: str, label: str) -> None:
        """Wrap a method: a boundary before it and one after it."""
        function = getattr(owner, name)

        def wrapped(*arguments: Any, **options: Any) -> Any:
            case = self.named_in(arguments)
            numbered = self._numbered(label)
            self.reached(f"{numbered} before", case)
            answer = function(*arguments, **options)
            self.reached(f"{numbered} after", case)
            return answer

        setattr(owner, name, wrapped)

    def named_in(self, arguments: tuple[Any, ...]) -> str | None:
        """The case whose incident or execution is among the arguments."""
        for argument in arguments:
            name = getattr(argument, "key", argument)  # of an executor's call
            found = _IDENTIFIER.match(name) if isinstance(name, str) else None
            if found:
                return self._case(int(found[1]))
        return None

    def commits(self, database: Any) -> None:
        """A boundary before each commit of the store and one after it, named by the repository's method."""
        write = database.write

        @contextmanager
        def watched() -> Iterator[Any]:
            label = self._numbered(f"commit {_writer(sys._getframe(2))}")
            case = getattr(self._now, "case", None) or self._found(sys._getframe(2))
            with write() as connection:
                yield connection
                self.reached(f"{label} before", case)
            self.reached(f"{label} after", case)

        database.write = watched

    def steps(self, dbos: Any) -> None:
        """Before a durable step, when it is done, and when DBOS has recorded it. A step that is replayed has none."""
        run_step, start_workflow = dbos.run_step, dbos.start_workflow

        def watched(options: Any, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
            case = self.named_in(arguments) or getattr(self._now, "case", None)
            ran = False

            def step(*arguments: Any, **named: Any) -> Any:
                nonlocal ran
                ran = True
                self.reached("step before")
                answer = function(*arguments, **named)
                self.reached("step done")
                return answer

            with self.within(options["name"], case):
                answer = run_step(options, step, *arguments, **named)
                if ran:
                    self.reached("step recorded")
            return answer

        def started(workflow: Any, *arguments: Any, **named: Any) -> Any:
            case = self.named_in(arguments)
            self.reached("workflow before", case)
            answer = start_workflow(workflow, *arguments, **named)
            self.reached("workflow started", case)
            return answer

        dbos.run_step, dbos.start_workflow = watched, started

    @property
    def _step(self) -> str:
        return getattr(self._now, "step", None) or threading.current_thread().name

    def _numbered(self, label: str) -> str:
        # The second one of its kind within a step is another boundary.
        counted: Counter[str] = getattr(self._now, "counted", Counter())
        counted[label] += 1
        return label if counted[label] == 1 else f"{label} {counted[label]}"

    def _found(self, frame: FrameType | None) -> str | None:
        for _ in range(_FRAMES):
            if frame is None:
                return None
            for value in list(frame.f_locals.values()):
                found = _IDENTIFIER.match(value) if isinstance(value, str) else None
                if found:
                    return self._case(int(found[1]))
            frame = frame.f_back
        return None

    def _case(self, number: int) -> str | None:
        # Asking reads the database: that is no boundary.
        self._now.looking = True
        try:
            return self._case_of(number)
        finally:
            self._now.looking = False


def watch(parts: Any, boundaries: Boundaries) -> None:
    """Wrap everything of an installation that touches the world."""
    from dbos import DBOS
    from suture_crash_plugin import TargetExecutor

    boundaries.steps(DBOS)
    boundaries.commits(parts.database)
    for executor in parts.executors.values():
        for name in _EXECUTOR:
            boundaries.around(executor, name, f"executor {name}")
    for name in _TICKETING:
        boundaries.around(parts.ticketing, name, f"ticketing {name}")
    boundaries.around(parts.corpus, "add_postmortem", "document")
    boundaries.around(parts.remediation._client, "enqueue", "outbox")
    TargetExecutor.sent = staticmethod(lambda call: boundaries.reached("executor sent", boundaries.named_in((call,))))


def _writer(frame: FrameType | None) -> str:
    """The method that asked for the transaction, past the machinery of context managers."""
    while frame is not None and frame.f_code.co_filename == _CONTEXTLIB:
        frame = frame.f_back
    return frame.f_code.co_qualname if frame is not None else "unknown"


_CONTEXTLIB = inspect.getsourcefile(contextmanager)
