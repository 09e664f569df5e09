"""Switches a router's traffic from one pool of servers to another."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

from models.domain.base import Frozen
from service.executors.arguments import read_arguments, refused
from service.executors.reloading import perform, require_running
from service.executors.replacing import put_in_place, remove, write_beside
from service.executors.traffic_file import Generated, read, rendered, text_of
from service.executors.traffic_settings import Name, Router, TrafficConfig
from service.executors.traffic_status import answering, words
from service.executors.traffic_trial import try_out
from service.ports import Call, Context, Effect, ExecutorError, Verb
from service.validation import read_config

_PUT_BACK_SECONDS = 15.0
"""Time for putting the old file back, over and above the call's: leaving it half done would be worse than late."""
_POLL = 0.1
_MODE = 0o644


class SwitchInputs(Frozen):
    """Which router, and the pool that is to answer."""

    router: Name
    to: Name


class SwitchOutputs(Frozen):
    """The pool before and after the act. `before` is None where there was no file."""

    router: str
    before: str | None
    after: str


VERBS = {"switch": Verb("switch", "Send a router's traffic to another pool", SwitchInputs, SwitchOutputs, True, True)}


@dataclass(frozen=True)
class _Attempt:
    """One switch of one router within one time limit, in seconds of the monotonic clock."""

    name: str
    router: Router
    to: str
    key: str
    deadline: float

    def left(self) -> float:
        return self.deadline - time.monotonic()

    def current(self) -> Generated | None:
        return read(self.name, self.router)

    def wanted(self) -> Generated:
        return rendered(self.name, self.router, self.to, self.key)

    def try_out(self) -> None:
        """Write the new file beside the old one, let the router's check read it, and remove it."""
        with self._candidate(self.wanted()) as candidate:
            try_out(self.router, candidate, key=self.key, seconds=self.left)

    def install(self, generated: Generated, *, check: bool) -> None:
        """The same, but for its place: that of the old file."""
        with self._candidate(generated) as candidate:
            if check:
                try_out(self.router, candidate, key=self.key, seconds=self.left)
            put_in_place(candidate, self.router.file)

    def tell(self, pool: str) -> None:
        """Reload, and see that the pool answers. Raises ExecutorError."""
        perform(self.router.reload, key=self.key, seconds=self.left())
        status = self.router.status
        if status is None:
            return
        until = min(self.deadline, time.monotonic() + status.within.total_seconds())
        while not self.answers(pool):
            if time.monotonic() + _POLL > until:
                raise ExecutorError(f"{self.name} does not send to {pool}: {words(status, 1.0)}")
            time.sleep(_POLL)

    def answers(self, pool: str) -> bool:
        try:
            return self.router.status is None or answering(self.router, self.router.status, self.left()) == pool
        except ExecutorError:
            return False  # asked again until the time is over; then its words are told

    @contextmanager
    def _candidate(self, generated: Generated) -> Iterator[Path]:
        path = self.router.file
        candidate: Path | None = None
        try:
            candidate = write_beside(path, text_of(self.name, self.router, generated).encode(), mode=_MODE)
            yield candidate
        except OSError as error:
            in_place = candidate is not None and not candidate.exists()
            effect = Effect.UNKNOWN if in_place else Effect.ABSENT
            raise ExecutorError(f"{path} cannot be replaced: {error.strerror}", effect=effect) from error
        finally:
            if candidate is not None:
                candidate.unlink(missing_ok=True)


class TrafficExecutor:
    """Writes the file that tells a router its servers, and lets the router read it. Safe to use from several threads.

    Least privilege: write access to the folder of each generated file, and with nginx to that of `config`, where a
    copy is tried for a moment; leave to run the check and the reload, or to signal the router (the same user, or a
    sudo rule for exactly that argument list). No right over the router's other files is needed, and no secret.
    """

    name = "traffic"
    verbs = VERBS

    def __init__(self, config: TrafficConfig) -> None:
        self._routers = config.routers
        self._locks = {name: Lock() for name in config.routers}

    @classmethod
    def build(cls, config: Mapping[str, Any], context: Context) -> TrafficExecutor:  # noqa: ARG003  (needs no secret, no store)
        """The executor of a settings section. Raises BadInput on a wrong one."""
        return cls(read_config(TrafficConfig, config, where="executors.traffic"))

    @staticmethod
    def target(verb: str, arguments: Mapping[str, Any]) -> str:  # noqa: ARG004  (one verb)
        """`traffic:ROUTER`."""
        return f"traffic:{read_arguments(SwitchInputs, arguments).router}"

    def dry_run(self, call: Call) -> str:
        """From which pool to which it would switch, once the router's own check has taken the new file."""
        attempt = self._attempt(call)
        current = attempt.current()
        require_running(attempt.router.reload)
        attempt.try_out()
        before = current.pool if current else "no pool"
        servers = ", ".join(attempt.router.pools[attempt.to])
        return f"would switch {attempt.name} from {before} to {attempt.to} ({servers}) in {attempt.router.file}"

    def snapshot(self, call: Call) -> dict[str, Any]:
        """`pool`: the one that the file names now; None where there is no file."""
        current = self._attempt(call).current()
        return {"pool": current.pool if current else None}

    def act(self, call: Call) -> dict[str, Any]:
        """Check the new file, put it in place, reload, and see that the new pool answers; else the old file returns.

        A file that names the pool already is written and read anew all the same: an attempt that was cut off may not
        have come to its reload.
        """
        attempt = self._attempt(call)
        lock = self._locks[attempt.name]
        if not lock.acquire(timeout=max(0.0, attempt.left())):
            raise ExecutorError(f"{attempt.name} is being switched by another", retriable=True, effect=Effect.ABSENT)
        try:
            current = attempt.current()
            require_running(attempt.router.reload)
            if call.cancelled():
                raise refused("it was asked to stop")
            call.confirm()
            attempt.install(attempt.wanted(), check=True)
            try:
                attempt.tell(attempt.to)
            except ExecutorError as error:
                raise _put_back(attempt, _old(attempt, current, call.before), error) from error
        finally:
            lock.release()
        before = call.before.get("pool") or (current.pool if current else None)
        return SwitchOutputs(router=attempt.name, before=before, after=attempt.to).model_dump()

    def observe(self, call: Call) -> Effect:
        """By the file, and by the `status` page where there is one.

        HAPPENED where the file names the pool and it answers, or where there is nothing to reload. ABSENT where the
        file names another pool. UNKNOWN where nobody can tell whether the reload came about, where the file cannot be
        understood, and where it was put back by this call and the router did not take that: another switch to the same
        pool does it again, without harm.
        """
        try:
            attempt = self._attempt(call)
            current = attempt.current()
        except ExecutorError:
            return Effect.UNKNOWN
        told = attempt.router.status is not None or attempt.router.reload is None
        if current is not None and current.pool == attempt.to:
            return Effect.HAPPENED if told and attempt.answers(attempt.to) else Effect.UNKNOWN
        if current is not None and current.key == call.key:
            return Effect.ABSENT if told and attempt.answers(current.pool) else Effect.UNKNOWN
        return Effect.ABSENT

    def _attempt(self, call: Call) -> _Attempt:
        if call.verb not in VERBS:
            raise refused(f"there is no traffic/{call.verb}")
        inputs = read_arguments(SwitchInputs, call.arguments)
        router = self._routers.get(inputs.router)
        if router is None:
            raise refused(f"no router {inputs.router} is configured; add it to executors.traffic.routers")
        if inputs.to not in router.pools:
            raise refused(f"{inputs.router} has no pool {inputs.to}; there is {', '.join(sorted(router.pools))}")
        deadline = time.monotonic() + call.timeout.total_seconds()
        return _Attempt(inputs.router, router, inputs.to, call.key, deadline)


def _old(attempt: _Attempt, current: Generated | None, before: Mapping[str, Any]) -> Generated | None:
    """What to put back: the file as it was before the first attempt of this call, which may have been cut off."""
    if current is None or (current.key, current.pool) != (attempt.key, attempt.to) or "pool" not in before:
        return current
    pool = before["pool"]
    if pool is None:  # there was no file
        return None
    # A pool that the settings have no more cannot be written any more.
    return rendered(attempt.name, attempt.router, pool, attempt.key) if pool in attempt.router.pools else current


def _put_back(attempt: _Attempt, old: Generated | None, error: ExecutorError) -> ExecutorError:
    """Restore what the file said, and tell the router; the error to raise, with what is known of the effect."""
    late = replace(attempt, deadline=time.monotonic() + _PUT_BACK_SECONDS)
    try:
        if old is None:
            remove(attempt.router.file)
            perform(attempt.router.reload, key=attempt.key, seconds=late.left())
            return ExecutorError(f"{error}; the new file was removed again")
        # With the key of this call: so that `observe` knows, should the router not take it.
        late.install(replace(old, key=attempt.key), check=False)
        late.tell(old.pool)
    except (ExecutorError, OSError) as second:
        return ExecutorError(f"{error}; the old configuration could not be brought back: {second}")
    return ExecutorError(f"{error}; {old.pool} is in place again", effect=Effect.ABSENT)
