"""What retrieval answers to input that nobody wrote it for. Large things at a smaller scale, bounds by counting."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from models.domain.incident import Incident
from models.domain.signal import Signal, SignalKind
from retrieval import held
from retrieval.index import PassageIndex
from retrieval.query import MAX_QUERY, query_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def incident(title="Checkout fails", **fields) -> Incident:
    return Incident(id="INC-1", title=title, started_at=NOW, detected_at=NOW, updated_at=NOW, **fields)


def test_an_alert_without_text_is_found_by_its_name(hashing, library):
    index = PassageIndex(None, hashing)
    index.sync(library)
    alert = Signal(kind=SignalKind.ALERT, name="DiskFillingUp", at=NOW)
    query = query_of(incident(title="DiskFillingUp", signals=(alert,)))
    assert query == "DiskFillingUp"
    assert index.documents(query, 1)[0].document == "DiskFillingUp"


def test_a_query_without_a_word_finds_something_or_nothing_but_does_not_fail(hashing, library):
    index = PassageIndex(None, hashing)
    index.sync(library)
    for query in ("...", "{{ $value }}", "0", "\x00", "—", "🔥"):
        assert len(index.documents(query, 3)) == 3


def test_a_log_of_ten_megabytes_is_cut_before_anything_reads_it(hashing, library):
    index = PassageIndex(None, hashing)
    index.sync(library)
    hashing.embedded.clear()
    log = "2026-01-01T00:00:00 ERROR db_pool_in_use stays at db_pool_size\n" * 160_000
    query = query_of(incident(description=log))
    assert len(query) <= MAX_QUERY
    assert "pool-exhausted" in [one.document for one in index.documents(query, 2)]
    index.documents(log, 1)  # the same from a caller who brings a text of his own
    assert max(map(len, hashing.embedded)) <= MAX_QUERY


def test_a_runbook_in_another_language_is_found_by_its_words_and_identifiers(minilm, library, make_document):
    german = make_document(
        "datenbank-ausgefallen",
        "# Datenbank ausgefallen\n\nDie Datenbank nimmt keine Verbindungen mehr an, `pg_up` ist 0.\n",
        title="Datenbank ausgefallen",
    )
    japanese = make_document(
        "ディスク", "# ディスク容量不足\n\nディスクの空き容量がありません。\n", title="ディスク容量不足"
    )
    index = PassageIndex(None, minilm)
    index.sync([*library, german, japanese])
    for query, wanted in (
        ("Verbindungen zur Datenbank schlagen fehl", german.id),
        ("pg_up == 0", german.id),
        ("ディスク容量不足", japanese.id),
    ):
        assert index.documents(query, 1)[0].document == wanted


def test_beyond_the_bound_of_memory_chroma_searches_and_finds_the_same(tmp_path, hashing, library, monkeypatch):
    query = "certificate of the shop"
    in_memory = PassageIndex(tmp_path, hashing)
    in_memory.sync(library)
    before = [(one.document, pytest.approx(one.score, abs=1e-4)) for one in in_memory.documents(query, 9)]
    monkeypatch.setattr(held, "MOST_BYTES", 1_000)
    bounded = PassageIndex(tmp_path, hashing)
    assert [(one.document, one.score) for one in bounded.documents(query, 9)] == before
    assert {one.document for one in bounded.documents(query, 9, kind="postmortem")} == {"INC-7"}
    monkeypatch.undo()
    assert bounded.sync(library[1:]).removed == 1
    assert len(bounded.documents(query, 9)) == len(library) - 1


def test_thousands_of_pages_are_synced_once_and_a_change_reads_only_itself(tmp_path, hashing, make_document):
    pages = [make_document(f"page-{n}", f"# Page {n}\n\nabout host{n} and its disk\n") for n in range(2_000)]
    index = PassageIndex(tmp_path, hashing)
    assert index.sync(pages).added == 2_000
    assert index.documents("host1234 disk", 1)[0].document == "page-1234"
    hashing.embedded.clear()
    pages[7] = make_document("page-7", "# Page 7\n\nabout a quokka\n")
    assert index.sync(pages).model_dump() == {"added": 0, "changed": 1, "removed": 0, "unchanged": 1_999}
    assert len(hashing.embedded) == 2
    assert index.documents("quokka", 1)[0].document == "page-7"
    assert index.documents("host1234 disk", 1)[0].document == "page-1234"
