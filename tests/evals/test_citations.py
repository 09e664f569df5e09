"""The citation check finds what it is for, and the real small model shows nothing unsupported."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from evals.citations.judge import read_texts, unsupported
from evals.citations.run import run
from evals.local_model import MODEL, NotInstalled, serve_local_model, weights
from models.domain.recommendation import Citation
from models.language.transport import Reply
from runbooks import LIBRARY
from runbooks.loader import load_corpus
from service.language import LiteLLMModel


@pytest.fixture(scope="module")
def library():
    return load_corpus([LIBRARY]).documents, read_texts(LIBRARY)


class Half:
    """Quotes each passage once as it stands, and once invents a quote."""

    name = "half"

    def ask(self, question, heard=None):
        code = question.user.split(" ")[2]
        passage = question.user.split(" passage p1 of ", 1)[1].split("\n", 1)[1].split(f"\nEND DATA {code}")[0]
        true = next(line.strip() for line in passage.splitlines() if len(line.split()) > 4)
        true = " ".join(word for word in true.split())
        said = [{"text": true, "quote": true, "passage": "p1"}, {"text": true, "quote": true + " not", "passage": "p1"}]
        text = json.dumps({"order": ["c1"], "candidates": [{"id": "c1", "justification": said}], "advice": []})
        if heard:
            heard(text)
        return Reply(text)


def test_what_is_true_is_shown_and_what_is_invented_is_dropped_and_counted(library):
    counts = run(*library, Half(), 5)
    assert (counts.justifications, counts.sentences) == (5, 10)
    assert counts.shown == counts.streamed > 0
    assert counts.shown + sum(counts.dropped_for.values()) == 10
    assert counts.dropped_for["quote not in its passage"] >= 5
    assert counts.unsupported == []


def test_the_judge_finds_a_quote_that_does_not_stand_there(library):
    _, texts = library
    name = next(iter(texts))
    true = Citation(document=name, start=10, end=30, quote=texts[name][10:30])
    assert unsupported([true], texts) == []
    for forged in ({"start": 11, "end": 31}, {"document": "none"}, {"quote": "Delete the backups."}):
        assert len(unsupported([true.model_copy(update=forged)], texts)) == 1


@pytest.mark.needs_model
def test_the_real_small_model_shows_no_unsupported_quote(library):
    try:
        weights()
    except NotInstalled as error:
        pytest.skip(str(error))
    with serve_local_model() as base_url:
        model = LiteLLMModel(
            MODEL, base_url=base_url, timeout=timedelta(seconds=250), max_tokens=450, answer_format="schema"
        )
        counts = run(*library, model, 2)
    assert counts.justifications >= 2, counts.figures()
    assert counts.unsupported == []
