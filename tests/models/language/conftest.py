from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.domain.errors import Unavailable
from models.domain.incident import Incident
from models.domain.recommendation import Candidate, RankedCandidate
from models.domain.runbook import Check, Passage, ScoredPassage
from models.domain.signal import Signal, SignalKind
from models.language.transport import Heard, Question, Reply
from models.ranking.evidence import CandidateEvidence
from models.ranking.ranker import rank

AT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
PASSAGE = (
    "The orders database refuses connections when its process is gone.\n"
    "Restart the database process   and wait until it accepts connections.\n"
    "Never delete the write-ahead log."
)


class Scripted:
    """Says what it is told to say, and keeps what it was asked."""

    name = "scripted"

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str]] = []

    def ask(self, question: Question, heard: Heard | None = None) -> Reply:
        self.asked.append((question.system, question.user))
        if isinstance(self.answer, Exception):
            raise self.answer
        text = self.answer if isinstance(self.answer, str) else json.dumps(self.answer)
        for start in range(0, len(text), 7) if heard else ():
            heard(text[start : start + 7])
        return Reply(text)


@pytest.fixture
def scripted() -> Callable[[Any], Scripted]:
    return Scripted


@pytest.fixture
def unavailable() -> Scripted:
    return Scripted(Unavailable("scripted gave no answer within 1s"))


@pytest.fixture
def incident() -> Incident:
    signal = Signal(kind=SignalKind.ALERT, name="PostgresDown", at=AT, metric="pg_up", text="connection refused")
    return Incident(
        id="INC-1",
        title="orders database refuses connections",
        services=("orders-db",),
        signals=(signal,),
        started_at=AT,
        detected_at=AT,
        updated_at=AT,
    )


@pytest.fixture
def passages() -> tuple[ScoredPassage, ...]:
    """p1: three sentences that start at character 100 of their document."""
    passage = Passage(
        document="postgres-down", kind="runbook", title="PostgreSQL", start=100, end=100 + len(PASSAGE), text=PASSAGE
    )
    return (ScoredPassage(passage=passage, score=10.0, dense=0.7, lexical=9.0),)


@pytest.fixture
def ranked(incident: Incident) -> tuple[RankedCandidate, ...]:
    """c1 to c3 in the order of their evidence, the first two close together."""
    return rank(
        incident,
        [
            CandidateEvidence(candidate=_candidate("restart"), triggers=("true",), precondition=True),
            CandidateEvidence(candidate=_candidate("failover"), triggers=("true",), culprit_match=True),
            CandidateEvidence(candidate=_candidate("scale"), culprit_match=True),
        ],
    )


def _candidate(action: str) -> Candidate:
    return Candidate(
        incident="INC-1",
        environment="sandbox",
        service="orders-db",
        runbook="postgres-down",
        action=action,
        title=f"{action} the database",
        uses="process/restart",
        arguments={"name": "postgres"},
        target="process:postgres",
        parameters={},
        risk="low",
        reversible=True,
        approval="policy",
        timeout=timedelta(seconds=60),
        preconditions=(),
        verify=(Check.model_validate({"query": "pg_up", "is": "== 1"}),),
        rollback=None,
    )
