"""Standing checks."""

from __future__ import annotations

from models.domain.base import Frozen
from service.api import examples
from service.api.dependencies import PartsOf, answers, resource
from service.security.auth import VIEWER
from service.standing_checks.book import CheckStatus

router = resource("objectives")


class CheckList(Frozen):
    """The standing checks, in the order of their file."""

    items: tuple[CheckStatus, ...]
    problem: str | None
    """What is wrong with the file as it is now; the checks are then those of before."""


@router.get(
    "/v1/checks",
    summary="What violates a standing check?",
    responses=answers({"items": [examples.CHECK], "problem": None}),
    dependencies=[VIEWER],
)
def list_checks(parts: PartsOf) -> CheckList:
    """Each check with what it found when it was measured last; `unknown` where it could not be measured."""
    return CheckList(items=tuple(parts.standing.status()), problem=parts.standing.problem)
