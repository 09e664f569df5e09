from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from models.domain.errors import BadInput, Unavailable
from retrieval.index import PassageIndex
from retrieval.stores import open_stores
from retrieval.vectors import Entry

ROOT = Path(__file__).parents[2]


def found(index, query, k=3, **options):
    return [item.document for item in index.documents(query, k, **options)]


def test_words_and_meaning_both_find(minilm, library):
    index = PassageIndex(None, minilm)
    index.sync(library)
    assert found(index, "db_pool_in_use")[0] == "pool-exhausted"
    assert found(index, "expired TLS cert")[0] == "certificate-expired"
    # No word in common: meaning alone.
    assert found(index, "no free capacity left on storage")[0] == "DiskFillingUp"
    assert index.search("server.pem", 1)[0].passage.headings == ("Certificate expired", "Mitigation")


def test_evidence_is_kept_in_parts(minilm, library):
    index = PassageIndex(None, minilm)
    index.sync(library)
    query = "Checkout requests wait for a database connection"
    best = index.documents(query, 2)[0]
    vector = minilm.embed([query])[0]
    assert best.title_similarity == pytest.approx(minilm.embed(["Connection pool exhausted"])[0] @ vector, abs=1e-4)
    assert best.lexical > 0
    assert best.dense == pytest.approx(max(p.dense for p in best.passages))
    assert [p.score for p in best.passages] == sorted((p.score for p in best.passages), reverse=True)
    passages = index.search(query, 100)
    assert [p.score for p in passages] == sorted((p.score for p in passages), reverse=True)
    texts = {document.id: document.text for document in library}
    assert all(texts[p.passage.document][p.passage.start : p.passage.end] == p.passage.text for p in passages)
    assert len(passages) == len(index)


def test_filters(hashing, library):
    index = PassageIndex(None, hashing)
    index.sync(library)
    assert found(index, "shop down", 9, kind="postmortem") == ["INC-7"]
    assert {p.passage.kind for p in index.search("shop down", 99, kind="runbook")} == {"runbook"}
    assert "INC-7" not in found(index, "shop down", 9, exclude=["INC-7"])
    left = index.search("certificate", 99, kind="runbook", exclude={"certificate-expired", "high-cpu"})
    assert {p.passage.document for p in left} == {"pool-exhausted", "DiskFillingUp"}


def test_nothing_to_ask_or_to_find_gives_nothing(hashing, library, make_document):
    index = PassageIndex(None, hashing)
    assert index.search("x") == index.documents("x") == []
    index.sync(library)
    assert index.search("  ") == index.documents("") == index.search("x", 0) == []
    assert len(index.documents("qqqq zzzz", 3)) == 3
    index.sync([make_document("only", "word")])
    assert found(index, "word") == ["only"]
    index.sync([make_document("no-text", "---\na: 1\n---\n", body_start=13)])
    assert found(index, "no text") == ["no-text"]
    assert index.search("no text") == []


def test_sync_embeds_only_what_changed(hashing, library, make_document):
    index = PassageIndex(None, hashing)
    assert index.sync(library).model_dump() == {"added": 5, "changed": 0, "removed": 0, "unchanged": 0}
    hashing.embedded.clear()
    assert index.sync(library).unchanged == 5
    assert hashing.embedded == []
    changed = make_document("high-cpu", "# High CPU\n\nThe new quokka text.\n", title="High CPU")
    report = index.sync([*library[:3], changed, make_document("fresh", "Fresh words.")])
    assert report.model_dump() == {"added": 1, "changed": 1, "removed": 1, "unchanged": 3}
    assert all("quokka" in text or "resh" in text or text == "High CPU" for text in hashing.embedded)
    assert found(index, "quokka")[0] == "high-cpu"
    everything = index.search("the", 99)
    assert "INC-7" not in {p.passage.document for p in everything}
    assert not any("saturated" in p.passage.text for p in everything)
    index.sync([])
    assert len(index) == 0


def test_a_restart_embeds_nothing_and_answers_the_same(tmp_path, hashing, library):
    first = PassageIndex(tmp_path, hashing)
    first.sync(library)
    before = first.search("certificate restart", 99), first.documents("certificate restart", 99)
    hashing.embedded.clear()
    again = PassageIndex(tmp_path, hashing)
    assert again.sync(library).unchanged == 5
    assert hashing.embedded == []
    assert (again.search("certificate restart", 99), again.documents("certificate restart", 99)) == before


def test_a_failed_sync_leaves_the_old_state_serving(tmp_path, hashing, library, make_document):
    index = PassageIndex(tmp_path, hashing)
    index.sync(library)
    before = index.search("certificate", 99)
    hashing.fails = True
    with pytest.raises(RuntimeError):
        index.sync([make_document("new", "certificate certificate")])
    hashing.fails = False
    assert index.search("certificate", 99) == before
    assert PassageIndex(tmp_path, hashing).search("certificate", 99) == before
    assert index.sync([make_document("new", "certificate certificate")]).removed == 5


def test_what_an_interrupted_sync_left_is_passed_over_and_cleared(tmp_path, hashing, library):
    PassageIndex(tmp_path, hashing).sync(library)
    stores = open_stores(tmp_path, None, hashing.identity)
    orphan = Entry(
        "high-cpu@ffff#0", "half written", {"document": "high-cpu", "hash": "ffff", "kind": "runbook", "number": 0}
    )
    stores.passages.put([orphan], hashing.embed(["half written"]))
    index = PassageIndex(tmp_path, hashing)
    assert all(p.passage.text != "half written" for p in index.search("half written", 99))
    assert orphan.id in stores.passages.ids()
    index.sync(library[1:])
    assert orphan.id not in stores.passages.ids()


def test_a_damaged_passage_costs_its_document_until_the_next_sync(tmp_path, hashing, library):
    PassageIndex(tmp_path, hashing).sync(library)
    stores = open_stores(tmp_path, None, hashing.identity)
    entry = next(e for e in stores.passages.entries() if e.metadata["document"] == "high-cpu")
    stores.passages.put([Entry(entry.id, entry.text + " and more", entry.metadata)], hashing.embed(["x"]))
    index = PassageIndex(tmp_path, hashing)
    assert "high-cpu" not in found(index, "processor", 9)
    assert index.sync(library).model_dump() == {"added": 1, "changed": 0, "removed": 0, "unchanged": 4}
    assert found(index, "processor")[0] == "high-cpu"


def test_an_index_of_another_embedder_is_refused_or_rebuilt(tmp_path, hashing, library):
    PassageIndex(tmp_path, hashing).sync(library)
    other = type(hashing)(32, "other")
    with pytest.raises(BadInput, match=r"made by the embedder hashing and the setting names other.*rebuild the index"):
        PassageIndex(tmp_path, other)
    assert len(PassageIndex(tmp_path, hashing)) > 0
    index = PassageIndex(tmp_path, other, rebuild=True)
    assert len(index) == 0
    assert index.sync(library).added == 5
    assert found(index, "certificate")[0] == "certificate-expired"


def test_an_embedder_whose_size_changed_is_refused(tmp_path, hashing, library, make_document):
    PassageIndex(tmp_path, hashing).sync(library)
    index = PassageIndex(tmp_path, type(hashing)(32, hashing.identity))
    with pytest.raises(BadInput, match=r"vectors of 64 numbers.*now gives 32: rebuild"):
        index.search("x")
    with pytest.raises(BadInput, match="now gives 32: rebuild"):
        index.sync([make_document("new", "x")])


def test_two_documents_with_one_id_are_refused(hashing, library):
    index = PassageIndex(None, hashing)
    with pytest.raises(BadInput, match=r"high-cpu.*is taken by"):
        index.sync([*library, library[3].model_copy(update={"path": "other.md"})])


def test_indexes_in_memory_share_nothing(hashing, library):
    one, two = PassageIndex(None, hashing), PassageIndex(None, hashing)
    one.sync(library)
    assert len(one) > 0
    assert len(two) == 0
    assert two.sync(library).added == 5


def test_memory_and_a_folder_answer_alike(tmp_path, hashing, library):
    memory, folder = PassageIndex(None, hashing), PassageIndex(tmp_path, hashing)
    for documents in (library, library[1:]):
        memory.sync(documents)
        folder.sync(documents)
        for options in ({}, {"kind": "runbook"}, {"kind": "runbook", "exclude": ["high-cpu"]}, {"exclude": ["INC-7"]}):
            query = "certificate of the shop"
            assert [(p.passage, pytest.approx(p.score, abs=1e-4)) for p in memory.search(query, 99, **options)] == [
                (p.passage, p.score) for p in folder.search(query, 99, **options)
            ]
            assert found(memory, query, 9, **options) == found(folder, query, 9, **options)


def test_a_search_sees_the_state_before_or_after_a_sync(tmp_path, hashing, make_document):
    def version(word):
        return [make_document(f"d{n}", f"# Page {n}\n\nabout {word}\n\n## More\n\n{word} again\n") for n in range(12)]

    index = PassageIndex(tmp_path, hashing)
    index.sync(version("old"))
    wrong, searches, done = [], 0, threading.Event()

    def search():
        nonlocal searches
        while not done.is_set():
            texts = [p.passage.text for p in index.search("about pages again", 99)]
            searches += 1
            if len(texts) != 24 or len({("old" in text) for text in texts}) != 1:
                wrong.append(texts)

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    for n in range(8):
        index.sync(version("new" if n % 2 else "old but more"))
    done.set()
    for thread in threads:
        thread.join(20)
    assert searches > 8
    assert wrong == []


def other_process(folder: Path, documents) -> subprocess.Popen:
    code = (
        "import json, runpy, sys; from pathlib import Path; from models.domain.runbook import Document;"
        "from retrieval.index import PassageIndex;"
        "hashing = runpy.run_path(sys.argv[1])['HashingEmbedder']();"
        "print(PassageIndex(Path(sys.argv[2]), hashing).sync([Document(**d) for d in json.loads(sys.argv[3])]))"
    )
    texts = json.dumps([document.model_dump() for document in documents])
    arguments = [sys.executable, "-c", code, str(ROOT / "tests/retrieval/conftest.py"), str(folder), texts]
    return subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_processes_write_in_turn_and_readers_notice(tmp_path, hashing, library):
    index = PassageIndex(tmp_path, hashing)
    index.sync(library[:1])
    writers = [other_process(tmp_path, library) for _ in range(2)]
    reports = sorted(writer.communicate(timeout=60)[0].strip() for writer in writers)
    assert reports == ["added=0 changed=0 removed=0 unchanged=5", "added=4 changed=0 removed=0 unchanged=1"]
    assert found(index, "certificate")[0] == "certificate-expired"
    assert {d.document for d in index.documents("the", 9)} == {document.id for document in library}
    assert index.sync(library[:2]).removed == 3


def test_a_chroma_server_by_url(tmp_path, hashing, library):
    chroma = shutil.which("chroma", path=Path(sys.executable).parent)
    port = free_port()
    server = subprocess.Popen(
        [chroma, "run", "--path", tmp_path, "--host", "127.0.0.1", "--port", str(port)], stdout=subprocess.DEVNULL
    )
    try:
        index = when_up(lambda: PassageIndex(None, hashing, url=f"http://127.0.0.1:{port}"))
        index.sync(library)
        other = PassageIndex(None, hashing, url=f"http://127.0.0.1:{port}")
        assert found(other, "certificate") == found(index, "certificate")
        index.sync(library[:1])
        other.reload()
        assert found(other, "certificate") == ["pool-exhausted"]
    finally:
        server.terminate()
        server.wait(20)


def free_port() -> int:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def when_up(attempt):
    until = time.monotonic() + 30
    while True:
        try:
            return attempt()
        except Unavailable:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def test_a_server_that_is_away_and_a_wrong_url_are_named(hashing):
    with pytest.raises(Unavailable, match=r"the index at http://127\.0\.0\.1:1 cannot be opened"):
        PassageIndex(None, hashing, url="http://127.0.0.1:1")
    with pytest.raises(BadInput, match="is not the URL of a Chroma server"):
        PassageIndex(None, hashing, url="chroma:8000")


def test_thousands_of_passages_stay_quick(hashing, make_document):
    random = np.random.default_rng(3)
    words = np.array([f"word{n}" for n in range(800)])
    documents = [make_document(f"d{n}", f"# Page {n}\n\n" + " ".join(random.choice(words, 30))) for n in range(1_200)]
    index = PassageIndex(None, hashing)
    index.sync(documents)
    start = time.process_time()
    for n in range(20):
        index.documents(f"page {n} word{n} word{n + 1}", 10)
    assert (time.process_time() - start) / 20 < 0.1
    assert found(index, documents[987].text[12:])[0] == "d987"
