from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.domain.incident import Incident
from models.domain.recommendation import Candidate
from models.domain.runbook import Check, Document, Passage, ScoredPassage
from models.domain.signal import Signal, SignalKind

AT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


@pytest.fixture
def incident() -> Incident:
    signal = Signal(kind=SignalKind.ALERT, name="PostgresDown", at=AT, metric="pg_up", text="connection refused")
    return Incident(
        id="INC-1",
        title="orders-db refuses connections",
        services=("orders-db",),
        signals=(signal,),
        started_at=AT,
        detected_at=AT,
        updated_at=AT,
    )


@pytest.fixture
def candidate() -> Callable[..., Candidate]:
    """A candidate; any field can be given."""

    def build(**fields: Any) -> Candidate:
        base: dict[str, Any] = {
            "incident": "INC-1",
            "environment": "sandbox",
            "service": "orders-db",
            "runbook": "postgres-down",
            "action": "restart",
            "title": "Restart the database",
            "uses": "process/restart",
            "arguments": {"name": "postgres"},
            "target": "process:postgres",
            "parameters": {},
            "risk": "medium",
            "reversible": True,
            "approval": "policy",
            "timeout": timedelta(seconds=60),
            "preconditions": (Check.model_validate({"query": "pg_up", "is": "== 0"}),),
            "verify": (Check.model_validate({"query": "pg_up", "is": "== 1"}),),
            "rollback": None,
        }
        return Candidate(**(base | fields))

    return build


@pytest.fixture
def document() -> Document:
    text = (
        "---\ntriggers:\n  - signal.name == 'PostgresDown'\n---\n"
        "# PostgreSQL refuses connections\n\n"
        "Clients see connection refused. The server process is gone.\n\n"
        "## Mitigation\n\n- Restart the server process.  It replays its log first.\n- Tell the owner.\n"
    )
    return Document(id="postgres-down", kind="runbook", title="PostgreSQL refuses connections", text=text, path="p.md")


@pytest.fixture
def found(document: Document) -> Callable[..., ScoredPassage]:
    """A passage of the document between two pieces of its text, with scores."""

    def build(
        first: str = "Clients", last: str = "gone.", *, lexical: float = 15.0, dense: float = 0.7
    ) -> ScoredPassage:
        start = document.text.index(first)
        end = document.text.index(last, start) + len(last)
        passage = Passage(
            document=document.id,
            kind="runbook",
            title=document.title,
            headings=("PostgreSQL refuses connections",),
            start=start,
            end=end,
            text=document.text[start:end],
        )
        return ScoredPassage(passage=passage, score=lexical + dense, dense=dense, lexical=lexical)

    return build
