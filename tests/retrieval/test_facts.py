"""Filters by what documents say of themselves, and postmortems found by what moved."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from models.domain.incident import Incident
from models.domain.signal import Anomaly, Signal, SignalKind
from retrieval.index import PassageIndex
from retrieval.retriever import PassageRetriever
from retrieval.signature import signature_of

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def document(make_document, id_, text="The shop is down.", **metadata):
    kind = metadata.pop("kind", "postmortem")
    return make_document(id_, f"# {id_}\n\n{text}\n", kind=kind).model_copy(update={"metadata": metadata})


@pytest.fixture
def past(make_document):
    return [
        document(make_document, "inc-1", services=["orders-db"], environment="prod", started_at="2026-01-05T10:00:00Z"),
        document(make_document, "inc-2", services=["*-db"], environment="staging", started_at=datetime(2025, 6, 1)),
        document(make_document, "inc-3", services=["web"], environment="prod", date=NOW.date()),
        document(make_document, "undated", kind="runbook"),
        document(make_document, "odd", services="web", environment=7, started_at="last week"),
    ]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, {"inc-1", "inc-2", "inc-3", "undated", "odd"}),
        ({"service": "orders-db"}, {"inc-1", "inc-2", "undated", "odd"}),
        ({"environment": "prod"}, {"inc-1", "inc-3", "undated", "odd"}),
        ({"since": datetime(2026, 1, 1, tzinfo=UTC)}, {"inc-1", "inc-3", "undated", "odd"}),
        ({"service": "web", "environment": "prod", "kind": "postmortem"}, {"inc-3", "odd"}),
    ],
)
def test_filters(options, wanted, tmp_path, hashing, past):
    PassageIndex(tmp_path, hashing).sync(past)
    index = PassageIndex(tmp_path, hashing)  # what documents say is kept with the index
    assert {one.document for one in index.documents("shop down", 9, **options)} == wanted
    assert {one.passage.document for one in index.search("shop down", 9, **options)} == wanted
    found = PassageRetriever(index=index, **options).invoke("shop down")
    assert {one.metadata["document"] for one in found} == wanted


def test_a_change_of_front_matter_alone_is_indexed(hashing, past):
    index = PassageIndex(None, hashing)
    index.sync(past)
    changed = past[0].model_copy(update={"metadata": {"services": ["cart"]}})
    assert index.sync([changed, *past[1:]]).changed == 1
    assert "inc-1" in {one.document for one in index.documents("shop", 9, service="cart")}


def incident(*signals) -> Incident:
    return Incident(id="INC-9", title="x", started_at=NOW, detected_at=NOW, updated_at=NOW, signals=tuple(signals))


def moved(metric, direction) -> Signal:
    anomaly = Anomaly(
        labels={"__name__": metric}, at=NOW, score=1, p_value=0, observed=1, expected=2, lower=1, upper=3,
        direction=direction,
    )  # fmt: skip
    return Signal(kind=SignalKind.ANOMALY, name="odd", metric=metric, at=NOW, anomaly=anomaly)


def test_this_looks_like_an_earlier_incident_without_a_shared_word(tmp_path, hashing, make_document):
    stated = [{"metric": "pg_up", "direction": "down"}, {"metric": "http_errors_total", "direction": "up"}]
    PassageIndex(tmp_path, hashing).sync(
        [
            document(make_document, "inc-42", "Kunden sehen Fehler.", moved=stated),
            document(make_document, "inc-43", "The metric http_errors_total rose."),
            document(make_document, "inc-44", moved=[{"metric": "pg_up", "direction": "up"}, "odd", {"metric": 1}]),
            document(make_document, "pg", "pg_up is down", kind="runbook"),
        ]
    )
    index = PassageIndex(tmp_path, hashing)
    moves = signature_of(incident(moved("pg_up", "down"), moved("http_errors_total", "up")))
    assert moves == (("pg_up", "down"), ("http_errors_total", "up"))
    found = index.alike(moves)
    assert [one.document for one in found] == ["inc-42", "inc-43"]
    assert found[0].likeness == 1
    assert found[0].shared == moves
    assert 0 < found[1].likeness < 1
    assert [one.document for one in index.alike(moves, exclude=["inc-42"])] == ["inc-43"]
    assert index.alike(()) == []


def test_alerts_tell_their_moves_in_words():
    said = Signal(kind=SignalKind.ALERT, name="Pool", at=NOW, text="db_pool_in_use is above 90 %.\nNothing else.")
    unclear = Signal(kind=SignalKind.ALERT, name="Up", metric="pg_up", at=NOW, text="changed")
    assert signature_of(incident(said, unclear)) == (("db_pool_in_use", "up"),)
