"""Who asks, and whether they may: API keys as bearer tokens, checked before a request's body is read."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from models.domain.errors import NotAllowed, Unauthenticated
from service.store.keys import Key, Keys, Role

ADMIN_KEY_FILE = "admin.key"

_scheme = HTTPBearer(
    scheme_name="api-key", bearerFormat="sut_…", auto_error=False, description="`Authorization: Bearer sut_…`"
)


class Requires:
    """A FastAPI dependency: the caller's key, which has at least `role`. Raises Unauthenticated or NotAllowed."""

    def __init__(self, role: Role) -> None:
        self.role = role

    def __call__(
        self,
        request: Request,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_scheme)],  # noqa: ARG002  (for OpenAPI)
    ) -> Key:
        """The caller's key."""
        known = getattr(request.state, "key", None)
        key = known if isinstance(known, Key) else _authenticate(request)
        demand(key, self.role)
        return key


def requires(role: Role) -> Requires:
    """The dependency for routes that need `role`."""
    return Requires(role)


# For routes that ask only for a role, in `dependencies`; the types below are for those that also use the key.
VIEWER = Depends(requires(Role.VIEWER))
SENDER = Depends(requires(Role.SENDER))
ADMIN = Depends(requires(Role.ADMIN))
Sender = Annotated[Key, Depends(requires(Role.SENDER))]
Approver = Annotated[Key, Depends(requires(Role.APPROVER))]
Admin = Annotated[Key, Depends(requires(Role.ADMIN))]


def demand(key: Key, role: Role) -> None:
    """Raises NotAllowed where the key's role does not cover `role`."""
    if not key.role.covers(role):
        raise NotAllowed(f"this needs a key with the role {role}; the key {key.name!r} is a {key.role}")


def actor_of(key: Key) -> str:
    """How approvals and the audit log name the holder of a key."""
    return f"key:{key.name}"


def role_needed(route: APIRoute) -> Role | None:
    """The role that a route asks for; None where it is open to all."""
    calls = (dependency.call for dependency in route.dependant.dependencies)
    return next((call.role for call in calls if isinstance(call, Requires)), None)


class AuthenticatedRoute(APIRoute):
    """Checks the key before FastAPI reads and parses the body: a stranger's bytes reach no parser."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler with the check in front."""
        handler, role = super().get_route_handler(), role_needed(self)
        if role is None:
            return handler
        needed = role

        async def checked(request: Request) -> Response:
            key = await run_in_threadpool(_authenticate, request)
            demand(key, needed)
            request.state.key = key
            return await handler(request)

        return checked


def _authenticate(request: Request) -> Key:
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if not scheme:
        raise Unauthenticated("send an API key: `Authorization: Bearer sut_…`; `suture key create` makes one")
    if scheme.lower() != "bearer" or not text.strip():
        raise Unauthenticated("the Authorization header is not of the form `Bearer sut_…`")
    keys: Keys = request.app.state.parts.keys
    return keys.authenticate(text.strip())


def bootstrap(keys: Keys, state_dir: Path) -> Path | None:
    """Make the first admin key where there is none, in a file that only its owner reads; returns that file.

    None where a key exists, or another replica makes one at this moment. An empty file is left by a crash between its
    making and the key's: it is filled then.
    """
    file = state_dir / ADMIN_KEY_FILE
    unfinished = file.is_file() and file.stat().st_size == 0
    if keys.all() and not unfinished:
        return None
    state_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        os.fchmod(descriptor, 0o600)  # a file that was there already keeps its own mode otherwise
        made = (keys.create if unfinished else keys.create_first)("admin", Role.ADMIN, "suture")
        if made is None:
            file.unlink()
            return None
        stream.write(made[1] + "\n")
        stream.flush()
        os.fsync(descriptor)
    return file
