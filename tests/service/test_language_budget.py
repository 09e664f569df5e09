"""What a language model may use: budgets over replicas, answers that are kept, and what is added up."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.exc import OperationalError

from models.domain.errors import Unavailable
from models.language.transport import Question
from service.language import LiteLLMModel
from service.language.ledger import Ledger
from service.language.spending import Spent
from service.language_settings import ModelBudget, ModelCache
from service.settings import load_settings
from service.store.database import Database
from tests.service.test_language import chat

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ledger_of(tmp_path, clock):
    """Ledgers over one SQLite file, whose clock the test turns."""
    made = []

    def build(budget=None, cache=None) -> Ledger:
        database = Database(f"sqlite:///{tmp_path / 'suture.db'}")
        made.append(database)
        return Ledger(database, clock, budget or ModelBudget(), cache or ModelCache())

    yield build
    for database in made:
        database.close()


def answer(text: str = '{"order": []}', prompt: int = 100, completion: int = 10) -> dict:
    told = chat(text)
    body = json.loads(told["body"])
    body["usage"] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    return told | {"body": json.dumps(body).encode()}


@pytest.fixture
def model(loopback):
    def build(ledger: Ledger, told: dict | None = None, **options) -> LiteLLMModel:
        loopback.answer = lambda _: loopback.Answer(**(told or answer()))
        return LiteLLMModel(
            "openai/scripted", base_url=f"{loopback.url}/v1", timeout=timedelta(seconds=60), ledger=ledger, **options
        )

    return build


def test_the_ledger_makes_its_tables_on_both_databases_and_adds_up(database_url):
    database = Database(database_url)
    try:
        for _ in range(2):  # a second replica finds them
            ledger = Ledger(
                database, lambda: datetime.now(UTC), ModelBudget(tokens_per_day=1_000), ModelCache(entries=2)
            )
        number = ledger.reserve("m", "INC-1", Spent(300, 100, None))
        with pytest.raises(Unavailable, match="SUTURE_MODEL_BUDGET__TOKENS_PER_DAY"):
            ledger.reserve("m", "INC-2", Spent(500, 200, None))
        ledger.settle(number, Spent(120, 30, 0.5))
        ledger.settle(ledger.reserve("m", "INC-2", Spent(500, 200, None)), Spent(0, 0, None), failed=True)
        for key in ("a", "b", "c"):
            ledger.keep(key, f"answer {key}\x00")
        kept = [key for key in "abc" if ledger.kept(key, "m", "INC-1")]
        assert len(kept) == 2
        assert "c" in kept
        (use,) = ledger.usage()
        assert (use.calls, use.failed, use.cached) == (2, 1, 2)
        assert (use.prompt_tokens, use.completion_tokens, use.cost) == (120, 30, 0.5)
    finally:
        database.close()


def test_the_same_question_is_asked_once(model, ledger_of, loopback, clock):
    ledger = ledger_of(cache=ModelCache(expires=timedelta(hours=1)))
    asked = model(ledger)
    first = asked.ask(Question("s", "u"))
    again = asked.ask(Question("s", "u"))
    assert (first.text, first.cached, first.prompt_tokens) == (again.text, False, 100)
    assert (again.cached, again.prompt_tokens, again.cost) == (True, 0, None)
    assert len(loopback.received) == 1
    asked.ask(Question("s", "other"))
    model(ledger, max_tokens=7).ask(Question("s", "u"))
    assert len(loopback.received) == 3, "another prompt or setting is another question"
    clock.now += timedelta(hours=2)
    asked.ask(Question("s", "u"))
    assert len(loopback.received) == 4, "kept answers expire"


def test_what_cannot_be_read_is_not_kept(model, ledger_of, loopback):
    asked = model(ledger_of(), answer("I cannot help."))
    for _ in range(2):
        asked.ask(Question("s", "u"))
    assert len(loopback.received) == 2


def test_a_kept_answer_gets_the_values_of_its_own_prompt_and_holds_none(model, ledger_of, loopback, tmp_path):
    asked = model(ledger_of(), answer('{"order": ["[EMAIL-1]"]}'))
    assert "ada@example.com" in asked.ask(Question("s", "from ada@example.com")).text
    assert "bob@example.org" in asked.ask(Question("s", "from bob@example.org")).text
    assert len(loopback.received) == 1
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"[EMAIL-1]" in stored
    assert b"ada@example" not in stored


def test_an_incident_and_a_day_have_budgets(model, ledger_of, loopback, clock):
    budget = ModelBudget(tokens_per_incident=1_500, tokens_per_day=2_500)
    asked = model(ledger_of(budget, ModelCache(entries=0)), answer(prompt=600, completion=200))
    asked.ask(Question("s", "u", about="INC-1"))
    with pytest.raises(Unavailable, match=r"not asked: 1\d\d\d tokens more than the 800 used .* 1500 of this incident"):
        asked.ask(Question("s", "u", about="INC-1"))
    asked.ask(Question("s", "u", about="INC-2"))
    with pytest.raises(Unavailable, match="2500 of this day"):
        asked.ask(Question("s", "u", about="INC-3"))
    assert len(loopback.received) == 2
    clock.now += timedelta(days=1)
    asked.ask(Question("s", "u", about="INC-3"))


def test_two_replicas_cannot_spend_the_same_tokens(ledger_of):
    budget = ModelBudget(tokens_per_day=1_000)
    first, second = ledger_of(budget), ledger_of(budget)
    first.reserve("m", "INC-1", Spent(400, 200, None))
    with pytest.raises(Unavailable):
        second.reserve("m", "INC-2", Spent(400, 200, None))


def test_money_is_limited_where_the_price_is_known_and_refused_where_not(model, ledger_of, loopback):
    unknown = model(ledger_of(ModelBudget(cost_per_day=1.0)))
    with pytest.raises(Unavailable, match="SUTURE_MODEL_BUDGET__PROMPT_PRICE"):
        unknown.ask(Question("s", "u"))
    assert loopback.received == []
    priced = ModelBudget(cost_per_day=0.03, prompt_price=10.0, answer_price=20.0)
    asked = model(ledger_of(priced), answer(prompt=1_000, completion=100), budget=priced, max_tokens=1_000)
    reply = asked.ask(Question("s", "u"))
    assert reply.cost == pytest.approx(0.012)
    with pytest.raises(Unavailable, match=r"up to \$0.02.* \$0.0120 spent .* \$0.03 of this day"):
        asked.ask(Question("s", "v"))


def test_what_was_given_up_counts_in_full_and_what_was_refused_not_at_all(model, ledger_of, loopback):
    import time

    ledger = ledger_of()
    refused = model(ledger, {"status": 401, "body": b'{"error": {"message": "no"}}'})
    with pytest.raises(Unavailable):
        refused.ask(Question("s", "u"))
    (use,) = ledger.usage()
    assert (use.failed, use.prompt_tokens, use.completion_tokens) == (1, 0, 0)
    slow = LiteLLMModel("openai/scripted", base_url=f"{loopback.url}/v1", timeout=timedelta(seconds=0.3), ledger=ledger)
    loopback.answer = lambda _: time.sleep(1)
    with pytest.raises(Unavailable, match="no answer within"):
        slow.ask(Question("s", "u"))
    (use,) = ledger.usage()
    assert use.failed == 2
    assert use.completion_tokens == 1_200


def test_prices_are_set_together():
    from models.domain.errors import BadInput

    with pytest.raises(BadInput, match="prompt_price and answer_price"):
        load_settings(model_budget={"prompt_price": 1.0})


def test_litellm_knows_the_prices_of_known_models():
    from service.language.spending import price

    assert (price("openai/gpt-4o-mini", 1_000_000, 0, ModelBudget()) or 0) > 0
    assert price("openai/scripted", 1_000_000, 0, ModelBudget()) is None


class Away:
    """A ledger whose database stops answering at the operation `at`."""

    def __init__(self, ledger, at):
        self._ledger, self._at = ledger, at

    def __getattr__(self, name):
        if name == self._at:
            raise OperationalError("SELECT 1", {}, Exception("connection refused"))
        return getattr(self._ledger, name)


@pytest.mark.parametrize("at", ["kept", "reserve"])
def test_what_cannot_be_noted_is_not_asked(model, ledger_of, loopback, at):
    with pytest.raises(Unavailable, match="was not asked: the database that its budget is kept in does not answer"):
        model(Away(ledger_of(), at)).ask(Question("s", "u"))
    assert loopback.received == []


@pytest.mark.parametrize("at", ["settle", "keep"])
def test_an_answer_that_is_there_is_not_lost_with_the_database(model, ledger_of, caplog, at):
    assert model(Away(ledger_of(), at)).ask(Question("s", "u")).text == '{"order": []}'
    assert "ledger does not answer" in caplog.text
