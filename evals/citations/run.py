"""Asks the model until enough justifications were written, and counts what became of them."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from evals.citations.cases import Case, cases
from evals.citations.judge import stands_somewhere, statements_in, unsupported
from models.domain.runbook import Document
from models.language.assist import Assisted, assist
from models.language.streaming import Told
from models.language.transport import Heard, Question, Reply, Transport

MAX_QUESTIONS = 1_000
"""Asked at most: a model that never justifies anything must not be asked for ever."""
MAX_CHARS = 3_000
_EVERY = 5


class Pressed:
    """A model that has to say something: the schema asks for a statement on each candidate.

    Without it a small model answers with empty lists, and nothing is checked. Keeps the last answer.
    """

    def __init__(self, model: Transport) -> None:
        self.name = model.name
        self.last = ""
        self._model = model

    def ask(self, question: Question, heard: Heard | None = None) -> Reply:
        """The model's reply under the stricter schema."""
        schema = json.loads(json.dumps(question.schema))
        parts, answer = schema["$defs"], schema["properties"]
        candidate, statement = parts["CandidateAnswer"], parts["Sentence"]["properties"]
        candidate["properties"]["justification"] |= {"minItems": 1, "maxItems": 1}
        candidate["required"] = ["id", "justification"]
        statement["text"]["maxLength"] = 100
        statement["quote"] |= {"minLength": 15, "maxLength": 100}
        count = len(answer["order"]["items"]["enum"])
        answer["order"]["maxItems"] = count
        answer["candidates"] |= {"minItems": count, "maxItems": count}
        answer["advice"]["maxItems"] = 0
        reply = self._model.ask(replace(question, schema=schema), heard)
        self.last = reply.text
        return reply


@dataclass
class Counts:
    """What was asked, said, dropped and shown."""

    wanted: int
    questions: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    justifications: int = 0
    """Candidates for which the model said something."""
    sentences: int = 0
    quotes_not_in_any_document: int = 0
    shown: int = 0
    streamed: int = 0
    dropped_for: Counter[str] = field(default_factory=Counter)
    unsupported: list[str] = field(default_factory=list)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0

    def figures(self) -> dict[str, Any]:
        """As JSON."""
        plain = {name: value for name, value in vars(self).items() if name not in {"unsupported", "seconds"}}
        return plain | {"unsupported_quotes_shown": len(self.unsupported), "seconds": round(self.seconds, 1)}


def run(documents: Sequence[Document], texts: Mapping[str, str], model: Transport, wanted: int = 200) -> Counts:
    """Ask until the model has justified `wanted` times, with progress on standard error. An interrupt ends it sooner.

    `texts` are the documents as they stand on disk, by id.
    """
    pressed = Pressed(model)
    counts = Counts(wanted)
    began = time.monotonic()
    try:
        for case in cases(documents):
            if counts.justifications >= wanted or counts.questions >= MAX_QUESTIONS:
                break
            _one(case, pressed, counts, texts)
            counts.seconds = time.monotonic() - began
            if counts.questions % _EVERY == 0:
                said = f"{counts.justifications} of {wanted} justifications, {counts.shown} statements shown"
                sys.stderr.write(f"{counts.questions} questions, {said}, {counts.seconds:.0f} s\n")
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: the figures so far\n")
    return counts


def _one(case: Case, pressed: Pressed, counts: Counts, texts: Mapping[str, str]) -> None:
    told: list[Told] = []

    def tell(one: Told | None) -> None:
        if one is not None:
            told.append(one)

    pressed.last = ""
    # At weight 0 order and probabilities stay; what is checked here are the words.
    assisted = assist(
        case.incident, case.ranked, case.passages, model=pressed, weight=0.0, max_chars=MAX_CHARS, tell=tell
    )
    counts.questions += 1
    _count(counts, assisted)
    counts.streamed += len(told)
    _count_answer(counts, pressed.last, texts)
    before = {citation for one in case.ranked for citation in one.citations}
    cited = [c for one in assisted.candidates for c in one.citations] + [
        c for a in assisted.advice for c in a.citations
    ]
    shown = [citation for citation in cited if citation not in before]
    counts.unsupported += unsupported(shown, texts)
    counts.unsupported += unsupported((c for one in told for c in one.statement.citations), texts)


def _count(counts: Counts, assisted: Assisted) -> None:
    use = assisted.use
    if use.failure:
        counts.failures[use.failure.split(":")[0][:60]] += 1
    counts.sentences += use.sentences
    counts.shown += use.shown
    counts.dropped_for.update(use.dropped_for)
    counts.prompt_tokens += use.prompt_tokens
    counts.completion_tokens += use.completion_tokens


def _count_answer(counts: Counts, answer: str, texts: Mapping[str, str]) -> None:
    """From the answer itself, without the parser under test."""
    try:
        value = json.loads(answer)
    except ValueError:
        return
    for part in value.get("candidates", ()) if isinstance(value, dict) else ():
        found = statements_in(part)
        counts.justifications += bool(found)
        quotes = [str(statement.get("quote", "")) for statement in found]
        counts.quotes_not_in_any_document += sum(not stands_somewhere(quote, texts) for quote in quotes)
