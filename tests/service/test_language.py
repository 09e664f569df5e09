"""The path to a language model through LiteLLM: a scripted server on loopback, and a real small model."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from evals.local_model import MODEL, NotInstalled, serve_local_model, weights
from models.domain.errors import Unavailable
from models.domain.incident import Incident
from models.domain.recommendation import Recommendation
from models.domain.runbook import Passage, ScoredPassage
from models.language.answer import answer_schema
from models.language.assist import assist
from models.language.transport import Question
from service.chains import Ranked, assistance_chain, recommendation_chain
from service.language import LiteLLMModel, language_model, load_litellm
from service.settings import load_settings

AT = datetime(2026, 1, 2, tzinfo=UTC)
TEXT = "Restart the database process and wait until it accepts connections. Tell the owner of the service."
INCIDENT = Incident(id="INC-1", title="database refuses connections", started_at=AT, detected_at=AT, updated_at=AT)
PASSAGE = Passage(document="postgres-down", kind="runbook", title="PostgreSQL", start=0, end=len(TEXT), text=TEXT)
PASSAGES = (ScoredPassage(passage=PASSAGE, score=1.0, dense=0.5, lexical=5.0),)
SECRET = "sk-test-0123456789abcdef"


def chat(content: str, status: int = 200, **options) -> dict:
    message = {"role": "assistant", "content": content}
    body = {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "scripted",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
    return {
        "status": status,
        "body": json.dumps(body).encode(),
        "headers": {"Content-Type": "application/json"},
        **options,
    }


@pytest.fixture
def model(loopback):
    """Builds a model whose server answers as told."""

    def build(answer, seconds: float = 10.0, **options) -> LiteLLMModel:
        reply = answer if callable(answer) else lambda _: loopback.Answer(**answer)
        loopback.answer = reply
        return LiteLLMModel(
            "openai/scripted", base_url=f"{loopback.url}/v1", timeout=timedelta(seconds=seconds), **options
        )

    return build


def test_what_is_sent(model, loopback):
    assert model(chat("hello"), api_key=SECRET).ask(Question("be brief", "data", answer_schema())).text == "hello"
    (request,) = loopback.received
    sent = json.loads(request.body)
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == f"Bearer {SECRET}"
    assert sent["messages"] == [{"role": "system", "content": "be brief"}, {"role": "user", "content": "data"}]
    assert sent["temperature"] == 0
    assert sent["max_tokens"] > 0
    assert sent["response_format"]["type"] == "json_object"


def test_a_server_of_ones_own_never_gets_the_key_of_the_environment(model, loopback, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    model(chat("hello")).ask(Question("a", "b"))
    assert SECRET not in loopback.received[0].headers["authorization"]


def test_an_error_of_the_provider_is_one_line_without_the_key(model, loopback):
    refused = {
        "error": {"message": f"Incorrect API key provided: {SECRET}.\nSee sk-abcdefgh12.", "code": "invalid_api_key"}
    }
    told = {"status": 401, "body": json.dumps(refused).encode(), "headers": {"Content-Type": "application/json"}}
    with pytest.raises(Unavailable) as caught:
        model(told, api_key=SECRET).ask(Question("a", "b"))
    words = str(caught.value)
    assert "Incorrect API key" in words
    assert "\n" not in words
    assert "sk-" not in words
    assert caught.value.__cause__ is None
    assert len(loopback.received) == 1


def test_a_dropped_connection_is_tried_once_more(model, loopback):
    def second_time(_):
        return None if len(loopback.received) == 1 else loopback.Answer(**chat("hello"))

    assert model(second_time).ask(Question("a", "b")).text == "hello"
    assert len(loopback.received) == 2


def test_a_server_that_stays_away_is_given_up_after_the_retry(model, loopback):
    with pytest.raises(Unavailable, match=r"openai/scripted: .*[Cc]onnection"):
        model(lambda _: None).ask(Question("a", "b"))
    assert len(loopback.received) == 2


def test_a_server_that_drips_is_given_up_at_the_timeout(model):
    load_litellm()
    slow = model(chat("hello " * 50, pause=0.1), seconds=1.0)
    started = time.monotonic()
    with pytest.raises(Unavailable, match="no answer within 1s"):
        slow.ask(Question("a", "b"))
    assert time.monotonic() - started < 15, "it waited for the whole answer, which takes longer"


def answer_of(**fields) -> str:
    return json.dumps({"order": [], "candidates": [], "advice": [], "lower_trust": False} | fields)


INVENTED = {"text": "Drop the database.", "quote": "Drop the database and start again", "passage": "p1"}
GOOD = {"text": "Tell the owner of the service.", "quote": "Tell the owner of the service.", "passage": "p1"}

BAD_MODELS = {
    "garbage": (chat("]}{ 42 zzz"), "no complete JSON object"),
    "refusal": (chat("I cannot help with that request."), "no complete JSON object"),
    "empty": (chat(""), "empty"),
    "not the protocol": ({"status": 200, "body": b"<html>hello</html>"}, "openai/scripted"),
    "error": ({"status": 500, "body": b"{}"}, "openai/scripted"),
}


@pytest.mark.parametrize(("answer", "reason"), BAD_MODELS.values(), ids=BAD_MODELS.keys())
def test_a_bad_model_is_left_out_with_the_reason(model, answer, reason):
    assisted = assist(INCIDENT, (), PASSAGES, model=model(answer), weight=1.0)
    assert assisted.advice == ()
    assert reason in assisted.use.failure


def test_of_a_lying_model_only_what_can_be_checked_is_shown(model):
    lies = answer_of(
        order=["wipe-disk"], candidates=[{"id": "wipe-disk", "justification": [GOOD]}], advice=[INVENTED, GOOD]
    )
    assisted = assist(INCIDENT, (), PASSAGES, model=model(chat(f"Sure:\n```json\n{lies}\n```")), weight=1.0)
    assert assisted.candidates == ()
    assert [one.text for one in assisted.advice] == [GOOD["text"]]
    assert assisted.use.dropped == 3


def test_the_settings_name_the_model():
    assert language_model(load_settings()) is None
    named = language_model(load_settings(model="ollama/llama3"))
    assert named is not None
    assert named.name == "ollama/llama3"


def test_litellm_is_not_loaded_before_it_is_asked():
    code = (
        "import sys, service.language, service.chains; sys.exit(bool({'litellm', 'langchain_core'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture(scope="module")
def local_model() -> Iterator[LiteLLMModel]:
    try:
        weights()
    except NotInstalled as error:
        pytest.skip(str(error))
    with serve_local_model() as base_url:
        yield LiteLLMModel(MODEL, base_url=base_url, timeout=timedelta(seconds=200), max_tokens=48)


@pytest.mark.needs_model
def test_a_real_model_behind_the_real_path_shows_nothing_unchecked(local_model):
    assisted = assist(INCIDENT, (), PASSAGES, model=local_model, weight=0.0)
    assert assisted.candidates == ()
    assert assisted.use.name == MODEL
    for advice in assisted.advice:
        for citation in advice.citations:
            assert TEXT[citation.start : citation.end] == citation.quote
    # Whether a model of this size answers well is chance; that it was reached is not: what fails is then the parsing.
    assert assisted.use.failure is None or "no complete JSON object" in assisted.use.failure


def test_a_call_that_was_given_up_is_not_asked_again(model, loopback):
    def hang(_):
        time.sleep(0.8)
        return loopback.Answer(**chat("late"))

    with pytest.raises(Unavailable, match="no answer within 300ms"):
        model(hang, seconds=0.3).ask(Question("a", "b"))
    time.sleep(1.2)
    assert len(loopback.received) == 1


@pytest.mark.needs_model
def test_the_local_server_ends_with_its_block(local_model):  # the fixture skips where the extra is absent
    with serve_local_model() as base_url:
        assert httpx.get(f"{base_url}/models", timeout=30).status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{base_url}/models", timeout=30)


def test_the_recommendation_is_a_runnable_of_langchain():
    empty = Recommendation(id="REC-1", incident=INCIDENT.id, created_at=AT)

    class Pipeline:
        def recommend(self, incident: Incident) -> Recommendation:
            return empty.model_copy(update={"incident": incident.id})

    chain = recommendation_chain(Pipeline()) | (lambda found: found.incident)
    assert chain.invoke(INCIDENT) == "INC-1"
    assert chain.batch([INCIDENT, INCIDENT]) == ["INC-1", "INC-1"]


def test_the_models_part_alone_is_a_runnable_too(model):
    asked = Ranked(INCIDENT, (), PASSAGES)
    assisted = assistance_chain(model(chat(answer_of(advice=[GOOD])))).invoke(asked)
    assert [one.text for one in assisted.advice] == [GOOD["text"]]
    assert assisted.advice[0].source == "openai/scripted"


def test_a_server_that_holds_a_model_to_a_schema_gets_the_ids_of_the_prompt(model, loopback):
    assist(INCIDENT, (), PASSAGES, model=model(chat(answer_of()), answer_format="schema"), weight=0.0)
    asked = json.loads(loopback.received[0].body)["response_format"]
    assert asked["type"] == "json_schema"
    schema = asked["json_schema"]["schema"]
    assert schema["$defs"]["Sentence"]["properties"]["passage"]["enum"] == ["p1"]
