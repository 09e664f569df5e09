"""A hostile language model: whatever it answers, the catalogue stays as it is and nothing gets easier to run."""

from __future__ import annotations

import json
import math
import time
from datetime import UTC, datetime, timedelta

import pytest

from models.domain.execution import Verdict
from models.domain.incident import Incident
from models.domain.recommendation import Candidate
from models.domain.runbook import Check, Passage, ScoredPassage
from models.language.assist import assist
from models.ranking.evidence import CandidateEvidence
from models.ranking.ranker import rank
from service.language import LiteLLMModel
from tests.attacks.adversary import ANSWERS, FORGED_QUOTE, TRUE_QUOTE, Adversary, order

FAMILY = "model answers"
AT = datetime(2026, 1, 2, tzinfo=UTC)
TEXTS = (f"The shop does not answer.\n{TRUE_QUOTE}\nTell its owner.", "Wipe the volume only when it is broken.")
PASSAGES = tuple(
    ScoredPassage(
        passage=Passage(document=name, kind="runbook", title=name, start=0, end=len(text), text=text),
        score=1.0, dense=0.5, lexical=5.0,
    )
    for name, text in zip(("shop-fix", "shop-wipe"), TEXTS, strict=True)
)  # fmt: skip
INCIDENT = Incident(id="INC-1", title="shop-1 does not answer", started_at=AT, detected_at=AT, updated_at=AT)
STRICTNESS = {Verdict.PERMIT: 0, Verdict.NEEDS_APPROVAL: 1, Verdict.FORBID: 2}
# Permits by probability: a model that could raise one would make a permit of a question.
BY_PROBABILITY = """
@id("likely") permit (principal == Autopilot::"suture", action, resource)
when { context.probability.greaterThanOrEqual(decimal("0.4")) };
@id("people") permit (principal in Role::"approver", action, resource)
when { context.probability.greaterThanOrEqual(decimal("0.1")) };
"""


def candidate(action: str, **changes) -> Candidate:
    return Candidate.model_validate(
        {
            "incident": "INC-1", "environment": "default", "service": "shop", "runbook": f"shop-{action}",
            "action": action, "title": f"{action} the shop", "uses": "ledger/write", "arguments": {"name": action},
            "target": f"ledger:{action}", "parameters": {}, "risk": "low", "reversible": True, "approval": "policy",
            "timeout": timedelta(seconds=5), "preconditions": (), "rollback": None,
            "verify": (Check.model_validate({"query": "healthy", "is": "== 1"}),),
        }
        | changes
    )  # fmt: skip


RANKED = rank(
    INCIDENT,
    [
        CandidateEvidence(candidate=candidate("fix"), triggers=("true",), culprit_match=True, precondition=True),
        CandidateEvidence(candidate=candidate("restart"), triggers=("true",)),
        CandidateEvidence(candidate=candidate("wipe", risk="high")),
    ],
)


@pytest.fixture
def guard(installation, tmp_path):
    folder = tmp_path / "by-probability"
    folder.mkdir()
    (folder / "policy.cedar").write_text(BY_PROBABILITY)
    return installation(policies=folder).parts.guard


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_no_answer_makes_anything_easier_to_run(attack, guard, weight):
    before = {one.candidate.hash: (one, guard.decide(one)) for one in RANKED}
    assert {decision.verdict for _, decision in before.values()} == set(Verdict), "the cases cover every verdict"
    for name, answer in ANSWERS.items():
        with attack(name, weight):
            began = time.thread_time()
            assisted = assist(INCIDENT, RANKED, PASSAGES, model=Adversary(answer), weight=weight)
            # Of this thread: what others of the test run do meanwhile is not the answer's.
            assert time.thread_time() - began < 1, "an answer must not keep the service busy"
            assert {one.candidate.hash for one in assisted.candidates} == set(before), "the catalogue stays as it is"
            assert len(assisted.candidates) == len(before)
            for one in assisted.candidates:
                known, decision = before[one.candidate.hash]
                assert one.candidate == known.candidate
                assert math.isfinite(one.probability)
                assert 0 <= one.probability <= known.probability
                assert STRICTNESS[guard.decide(one).verdict] >= STRICTNESS[decision.verdict]
            assert_only_supported_words(assisted)


def assert_only_supported_words(assisted) -> None:
    said = "\n".join([*(one.justification for one in assisted.candidates), *(one.text for one in assisted.advice)])
    for word in ("rm -rf", "|sh", "evil.test", "--force", "/etc", "$(", "\x1b", "\u202e", "\u200b", "backups"):
        assert word not in said
    citations = [c for one in (*assisted.candidates, *assisted.advice) for c in one.citations]
    known = dict(zip(("shop-fix", "shop-wipe"), TEXTS, strict=True))
    for citation in citations:
        assert known[citation.document][citation.start : citation.end] == citation.quote
        assert citation.quote != FORGED_QUOTE
    assert len(assisted.advice) <= 5


def test_what_is_dropped_is_counted(attack):
    for name in ("order: unknown ids", "quote: not in the passage", "quote: in another passage", "words: command"):
        with attack(name, "counted"):
            assert assist(INCIDENT, RANKED, PASSAGES, model=Adversary(ANSWERS[name]), weight=1.0).use.dropped > 0


def test_the_same_holds_through_the_real_client(attack, guard, target):
    """LiteLLM against a server of the OpenAI form that lies."""
    answers = [order("c3", "c2", "c1"), ANSWERS["power: decides"], ANSWERS["shape: deep but valid"], "x" * 200_000]
    model = LiteLLMModel("openai/adversary", base_url=f"{target.url}/v1", api_key="sk-canary-0123456789")
    before = {one.candidate.hash: guard.decide(one).verdict for one in RANKED}
    for answer in answers:
        target.answer = lambda _, text=answer: (200, {"Content-Type": "application/json"}, completion(text))
        with attack(answer, "LiteLLM"):
            assisted = assist(INCIDENT, RANKED, PASSAGES, model=model, weight=1.0)
            assert {one.candidate.hash for one in assisted.candidates} == set(before)
            for one in assisted.candidates:
                assert STRICTNESS[guard.decide(one).verdict] >= STRICTNESS[before[one.candidate.hash]]
    assert len(target.reached) == len(answers)
    assert all("sk-canary" not in one.body.decode() for one in target.reached), "the key is no part of a prompt"


def completion(text: str) -> bytes:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "x", "choices": [choice], "usage": usage}
    return json.dumps(body).encode()
