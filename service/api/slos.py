"""Service level objectives."""

from __future__ import annotations

from models.domain.base import Frozen
from service.api import examples
from service.api.dependencies import PartsOf, answers, resource
from service.security.auth import VIEWER
from service.slo.book import SloStatus

router = resource("objectives")


class SloList(Frozen):
    """The objectives, in the order of their file."""

    items: tuple[SloStatus, ...]
    problem: str | None
    """What is wrong with the file as it is now; the objectives are then those of before."""


@router.get(
    "/v1/slos",
    summary="How much of each error budget is left?",
    responses=answers({"items": [examples.SLO], "problem": None}),
    dependencies=[VIEWER],
)
def list_slos(parts: PartsOf) -> SloList:
    """Each objective with its budget, the burn rates of its alerts, and since when it was last measured."""
    return SloList(items=tuple(parts.slos.status()), problem=parts.slos.problem)
