"""What the language model was asked and took, by day, for whoever may look."""

import pytest

from models.domain.errors import Unavailable
from service.language.ledger import Ledger
from service.language.spending import Spent
from service.language_settings import ModelBudget, ModelCache


def test_use_is_added_up_by_day_and_model(api, with_parts):
    ledger = Ledger(api.parts.database, api.parts.clock, ModelBudget(tokens_per_day=1_000), ModelCache())
    api = with_parts(ledger=ledger)
    ledger.settle(ledger.reserve("openai/x", "INC-1", Spent(300, 100, 0.5)), Spent(120, 30, 0.25))
    ledger.settle(ledger.reserve("openai/x", "INC-2", Spent(300, 100, 0.5)), Spent(), failed=True)
    with pytest.raises(Unavailable):
        ledger.reserve("openai/x", "INC-3", Spent(900, 100, 0.5))
    ledger.keep("k", "{}")
    assert ledger.kept("k", "openai/x", "INC-1") == "{}"
    [day] = api("GET", "/v1/model/usage").json()["days"]
    assert day == {
        "day": "2026-01-31", "model": "openai/x", "calls": 2, "failed": 1, "cached": 1,
        "prompt_tokens": 120, "completion_tokens": 30, "cost": 0.25,
    }  # fmt: skip


def test_without_a_model_nothing_was_used(api):
    told = api("GET", "/v1/model/usage").json()
    assert (told["model"], told["days"]) == (None, [])
    assert told["budget"]["tokens_per_day"] > 0
    assert api("GET", "/v1/model/usage?days=0").status_code == 422


def test_it_takes_a_key(api):
    assert api.client.get("/v1/model/usage").status_code == 401
