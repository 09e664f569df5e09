"""`suture model usage` and its route: what the language model took."""

import json

from service.language.ledger import Ledger
from service.language.spending import Spent
from service.language_settings import ModelBudget, ModelCache
from service.store.database import open_database


def test_usage_by_day(suture, tmp_path):
    from models.domain.base import utc_now

    database = open_database(f"sqlite:///{tmp_path / 'state' / 'suture.db'}")
    ledger = Ledger(database, utc_now, ModelBudget(), ModelCache())
    ledger.settle(ledger.reserve("openai/x", "INC-1", Spent(100, 50, 0.5)), Spent(80, 20, 0.25))
    database.close()
    done = suture("model", "usage", "--json", "--data", str(tmp_path / "state"))
    assert done.exit_code == 0, done.stderr
    (day,) = json.loads(done.stdout)["days"]
    assert (day["model"], day["calls"], day["prompt_tokens"], day["completion_tokens"]) == ("openai/x", 1, 80, 20)
    assert day["cost"] == 0.25
    shown = suture("model", "usage", "--data", str(tmp_path / "state"))
    assert "$0.2500" in shown.stdout
    assert "2000000 tokens" in shown.stderr


def test_without_a_state_it_says_where_to_look(suture, tmp_path):
    done = suture("model", "usage", "--data", str(tmp_path / "none"))
    assert done.exit_code == 2
    assert "--data" in done.stderr
