"""Errors that a user may see: each carries its HTTP status and its words."""

from __future__ import annotations


class SutureError(Exception):
    """Base of every error with words for a user.

    `status` is the HTTP status of the answer, `title` a short name of the kind of error; the message
    says what is wrong and what would mend it.
    """

    status = 500
    title = "internal error"


class BadInput(SutureError):
    """Something that the user wrote cannot be used. The command line exits with 2 on it."""

    status = 422
    title = "bad input"

    def __init__(self, message: str, *, where: str | None = None) -> None:
        """`where` is a file and line (`a.md:3`) or a JSON path (`$.signals[0].name`)."""
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where
        self.problem = message


class NotFound(SutureError):
    """Nothing has that identifier."""

    status = 404
    title = "not found"


class Conflict(SutureError):
    """The thing is not in a state in which that can be done; nothing was changed."""

    status = 409
    title = "conflict"


class Unauthenticated(SutureError):
    """No key, or one that is not known."""

    status = 401
    title = "not authenticated"


class NotAllowed(SutureError):
    """The caller is known and may not do that."""

    status = 403
    title = "not allowed"


class Unavailable(SutureError):
    """A part that this needs does not answer now; the same call may work later."""

    status = 503
    title = "unavailable"
