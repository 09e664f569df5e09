"""An answer that is heard while it is written: through LiteLLM from a server on loopback that streams."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest

from models.domain.errors import Unavailable
from models.language.assist import assist
from models.language.streaming import Told
from models.language.transport import Question
from service.language import LiteLLMModel
from tests.service.test_language import GOOD, INCIDENT, INVENTED, PASSAGES, answer_of, chat


def streamed(text: str, size: int = 9) -> dict:
    """The same answer as server-sent events of the OpenAI protocol."""

    def event(delta: dict, **more) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": None}
        body = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "scripted", "choices": [choice]}
        return f"data: {json.dumps(body | more)}\n\n"

    pieces = [event({"role": "assistant", "content": text[at : at + size]}) for at in range(0, len(text), size)]
    usage = {"prompt_tokens": 77, "completion_tokens": 11, "total_tokens": 88}
    last = event({}, choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]) + event({}, choices=[], usage=usage)
    body = "".join([*pieces, last, "data: [DONE]\n\n"]).encode()
    return {"status": 200, "body": body, "headers": {"Content-Type": "text/event-stream"}}


@pytest.fixture
def model(loopback):
    def build(told, **options) -> LiteLLMModel:
        loopback.answer = told if callable(told) else lambda _: loopback.Answer(**told)
        return LiteLLMModel("openai/scripted", base_url=f"{loopback.url}/v1", timeout=timedelta(seconds=60), **options)

    return build


def test_what_is_heard_is_the_answer_and_what_it_took_is_known(model, loopback):
    heard: list[str] = []
    reply = model(streamed('{"order": ["c1"]}')).ask(Question("s", "u"), heard.append)
    assert "".join(heard) == reply.text == '{"order": ["c1"]}'
    assert len([piece for piece in heard if piece]) > 1
    assert (reply.prompt_tokens, reply.completion_tokens) == (77, 11)
    assert json.loads(loopback.received[0].body)["stream"] is True


def test_statements_are_told_one_by_one_and_only_checked_ones(model):
    told: list[Told | None] = []
    text = f"Sure:\n{answer_of(advice=[INVENTED, GOOD])}"
    assisted = assist(INCIDENT, (), PASSAGES, model=model(streamed(text)), weight=0.0, tell=told.append)
    assert [one.statement.text for one in told if one] == [GOOD["text"]]
    assert [one.text for one in assisted.advice] == [GOOD["text"]]
    assert (assisted.use.sentences, assisted.use.shown) == (2, 1)
    assert assisted.use.dropped_for == {"quote not in its passage": 1}


def test_who_stops_listening_ends_the_call(model, loopback):
    class Left(Exception):
        pass

    def leave(piece: str) -> None:
        if piece:
            raise Left

    slow = streamed('{"order": ["c1"], "advice": []}') | {"pause": 0.01}
    others = set(threading.enumerate())
    with pytest.raises(Left):
        model(slow).ask(Question("s", "u"), leave)
    ended = [thread for thread in threading.enumerate() if thread.name == "language-model" and thread not in others]
    for thread in ended:
        thread.join(30)
        assert not thread.is_alive(), "the call goes on though nobody listens"


def test_a_listener_is_asked_while_nothing_comes(model):
    class Left(Exception):
        pass

    def leave(piece: str) -> None:
        if not piece:
            raise Left

    hanging = threading.Event()
    with pytest.raises(Left):
        model(lambda _: hanging.wait(30) and None).ask(Question("s", "u"), leave)
    hanging.set()


def test_an_answer_without_end_is_given_up(model):
    endless = streamed("x" * 150_000, size=10_000)
    with pytest.raises(Unavailable, match="more than 100000 characters"):
        model(endless).ask(Question("s", "u"), lambda _: None)


def test_what_was_heard_is_not_asked_for_again(model, loopback):
    cut = streamed('{"order": ["c1"]}')
    cut["body"] = cut["body"][:400]
    cut["headers"] |= {"Content-Length": "100000"}
    with pytest.raises(Unavailable):
        model(cut, retries=3).ask(Question("s", "u"), lambda _: None)
    assert len(loopback.received) == 1


def test_a_provider_that_asks_to_come_back_is_asked_again(model, loopback):
    busy = {"status": 429, "body": b'{"error": {"message": "slow down", "code": "rate_limit_exceeded"}}'}

    def third_time(_):
        return loopback.Answer(**(busy if len(loopback.received) < 3 else chat("hello")))

    assert model(third_time, retries=2).ask(Question("s", "u")).text == "hello"
    assert len(loopback.received) == 3
    loopback.received.clear()
    with pytest.raises(Unavailable, match="slow down"):
        model(busy, retries=0).ask(Question("s", "u"))
    assert len(loopback.received) == 1


def test_no_secret_leaves_and_quotes_are_checked_against_what_stands_there(model, loopback):
    """The model sees a placeholder and quotes it; shown is the document's own text."""
    from models.domain.runbook import Passage, ScoredPassage

    text = "Write to the owner ada.l@example.com before the database is restarted."
    passage = Passage(document="d", kind="runbook", title="T", start=0, end=len(text), text=text)
    found = (ScoredPassage(passage=passage, score=1.0, dense=0.5, lexical=5.0),)
    leaky = INCIDENT.model_copy(update={"description": "the log says password=Zebra77stripes; token Zebra77stripes"})
    said = "Write to the owner [EMAIL-1] before the database is restarted."
    told = chat(answer_of(advice=[{"text": said, "quote": said, "passage": "p1"}]))
    assisted = assist(leaky, (), found, model=model(told), weight=0.0)
    sent = loopback.received[0].body.decode()
    assert "ada.l@example.com" not in sent
    assert "Zebra77stripes" not in sent
    assert sent.count("[SECRET-1]") == 2
    (advice,) = assisted.advice
    assert advice.text == text
    assert advice.citations[0].quote == text
    assert assisted.use.redacted == 2
