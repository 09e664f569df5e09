"""One act's conversation with one cluster: its own short-lived token, one time limit, errors that tell their effect."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from service.executors.arguments import refused
from service.executors.kubernetes_kinds import Object
from service.executors.kubernetes_settings import Cluster
from service.executors.kubernetes_transport import ApiRefusal, Request, account_client, base_client, send
from service.ports import Call, Effect, ExecutorError

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 65.0
"""Longest wait for one answer: the API server itself ends a request after 60 s (its flag `--request-timeout`)."""
_TOKEN_SECONDS = 600
"""The shortest life of a token that the TokenRequest API grants."""
_SLICE = 0.2
"""Seconds between two looks at whether a person asked to stop."""
_AGAIN = 0.2
"""Seconds before a write that met a newer version is made again."""
_POLL = 0.5
"""Seconds between two looks at something that is waited for."""

Found = TypeVar("Found")


class Session:
    """Requests of one act. Not shared between threads; each act has its own, with a connection and a token of its own.

    `touched`: a write was accepted. `unsure`: one may have been. `applied`: what was asked for is in the cluster, by
    this attempt or an earlier one.
    """

    def __init__(
        self,
        cluster: Cluster,
        call: Call,
        *,
        field_manager: str,
        dry: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`dry`: every write is the API server's own dry run."""
        self._cluster = cluster
        self._account = cluster.accounts.get(call.verb)  # type: ignore[call-overload]  # any word may be looked up
        self._call = call
        self._field_manager = field_manager
        self._dry = dry
        self._monotonic = monotonic
        self._sleep = sleep
        self._deadline = monotonic() + call.timeout.total_seconds()
        self.touched = False
        self.unsure = False
        self.applied = False

    def __enter__(self) -> Self:
        self._client = self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    @property
    def actor(self) -> str:
        """Who acts, in words."""
        if self._account:
            return f"as service account {self._account}"
        return f"as Suture's own identity there: no service account is configured for {self._call.verb}"

    def get(self, path: str, **query: str) -> Object:
        """Read an object or a list. Raises ExecutorError."""
        return self._authorised(Request("GET", path, writes=False, query=query))

    def write(
        self, method: str, path: str, body: Object, *, content_type: str = "application/json", **query: str
    ) -> Object:
        """Send one change, or its dry run. Raises ExecutorError, ApiRefusal where the API server answered so."""
        named = {"fieldManager": self._field_manager} if method != "DELETE" else {}
        query = {**named, **query, **self.dry_query}
        if not self._dry:
            self._call.confirm()
        try:
            answer = self._authorised(Request(method, path, not self._dry, query, body, content_type))
        except ExecutorError as error:
            self.unsure = self.unsure or error.effect is Effect.UNKNOWN
            raise
        self.touched = self.touched or not self._dry
        return answer

    @property
    def dry_query(self) -> dict[str, str]:
        """What makes a write a dry run."""
        return {"dryRun": "All"} if self._dry else {}

    def change(self, path: str, edit: Callable[[Object], bool]) -> Object:
        """Read, edit, write with the version that was read; where somebody else wrote meanwhile, again.

        `edit` changes the object in place, and says whether there is something to write. Returns the object as it is.
        """
        while True:
            thing = self.get(path)
            if not edit(thing):
                return thing
            try:
                return self.write("PUT", path, thing)
            except ApiRefusal as error:
                if error.status_code != 409:
                    raise
                self.again(error)

    def again(self, conflict: ApiRefusal) -> None:
        """Wait a little after a conflict; raises it where no time is left."""
        if self._deadline - self._monotonic() <= _AGAIN:
            raise conflict
        self.pause(_AGAIN)

    def wait(self, look: Callable[[], Found | None], describe: Callable[[], str], every: float = _POLL) -> Found:
        """What `look` gives, asked until it gives something; an API server that is away for a while is outlasted.

        Raises ExecutorError with the words of `describe` when the time is over.
        """
        while True:
            try:
                found = look()
            except ExecutorError as error:
                if not error.retriable or self._deadline - self._monotonic() <= every:
                    raise
                found = None
            if found is not None:
                return found
            if self._deadline - self._monotonic() <= every:
                raise ExecutorError(f"{describe()} when the time was over")
            self.pause(every)

    def pause(self, seconds: float) -> None:
        """Sleep. Raises ExecutorError soon after a person asked to stop."""
        ends = self._monotonic() + seconds
        while True:
            if self._call.cancelled():
                raise ExecutorError("a person asked to stop", effect=Effect.ABSENT)
            left = ends - self._monotonic()
            if left <= 0:
                return
            self._sleep(min(left, _SLICE))

    def _authorised(self, request: Request) -> Object:
        try:
            return send(self._client, request, self._times())
        except ApiRefusal as error:
            if error.status_code != 401 or not self._account:
                raise
        # The token was revoked, or the cluster caps its life below the act's: nothing was done with it.
        self._client.close()
        self._client = self._open()
        return send(self._client, request, self._times())

    def _open(self) -> Any:
        base = base_client(self._cluster)
        if not self._account:
            return base
        life = max(_TOKEN_SECONDS, math.ceil(self._call.timeout.total_seconds()) + 60)
        try:
            return account_client(base, self._account, life, self._times())
        finally:
            base.close()

    def _times(self) -> tuple[float, float]:
        left = self._deadline - self._monotonic()
        if left <= 0:
            raise refused("no time left")
        return min(left, _CONNECT_SECONDS), min(left, _ANSWER_SECONDS)
