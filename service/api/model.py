"""What the language model was used for, and what that took."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from models.domain.base import Frozen
from service.api import examples
from service.api.dependencies import PartsOf, answers, resource
from service.language.ledger import Use
from service.language_settings import ModelBudget
from service.security.auth import VIEWER

router = resource("operations")


class Usage(Frozen):
    """Use by UTC day, newest first, over all replicas, and the budget that bounds it."""

    model: str | None
    """The configured one; null where none is."""
    budget: ModelBudget
    days: tuple[Use, ...]


@router.get(
    "/v1/model/usage",
    summary="Questions, tokens and cost of the language model by day",
    responses=answers(examples.MODEL_USAGE),
    dependencies=[VIEWER],
)
def usage(parts: PartsOf, days: Annotated[int, Query(ge=1, le=90)] = 30) -> Usage:
    """Calls that were made, and answers that were kept from earlier ones. What a crash left counts in full."""
    found = parts.ledger.usage(days) if parts.ledger else []
    return Usage(model=parts.settings.model, budget=parts.settings.model_budget, days=tuple(found))
