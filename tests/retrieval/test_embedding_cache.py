from __future__ import annotations

import logging
import multiprocessing
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from retrieval.embedding_cache import DAY, CachedEmbedder
from retrieval.minilm import build

TEXTS = ["disk full", "certificate expired", "pool exhausted"]


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "cache" / "vectors.db"


def test_a_text_is_embedded_once_by_whichever_process_and_order(file, hashing):
    first = CachedEmbedder(hashing, file).embed(TEXTS)
    assert (first == hashing.embed(TEXTS)).all()
    hashing.embedded.clear()
    again = CachedEmbedder(hashing, file)
    assert (again.embed(TEXTS[::-1]) == first[::-1]).all()
    assert (again.embed([*TEXTS, "new", "new", TEXTS[0]])[:3] == first).all()
    assert hashing.embedded == ["new"]
    assert (again.identity, again.dimension) == (hashing.identity, hashing.dimension)


def test_a_query_is_remembered_by_this_process_alone(file, hashing):
    cached = CachedEmbedder(hashing, file)
    assert cached.embed([]).shape == (0, hashing.dimension)
    first = cached.embed(["a secret of one incident"])
    first[:] = 0
    assert (cached.embed(["a secret of one incident"]) == hashing.embed(["a secret of one incident"])).all()
    assert hashing.embedded == ["a secret of one incident"] * 2
    assert not file.exists()
    cached.embed(TEXTS)
    assert b"disk full" not in file.read_bytes()


@pytest.mark.parametrize("change", ["identity", "version", "dimension"])
def test_another_embedder_gets_its_own_vectors(change, file, hashing):
    CachedEmbedder(hashing, file).embed(TEXTS)
    dimension, identity = (32 if change == "dimension" else 64), ("other" if change == "identity" else "hashing")
    other = type(hashing)(dimension, identity)
    cached = CachedEmbedder(other, file, version="2" if change == "version" else "")
    assert cached.embed(TEXTS).shape == (3, dimension)
    assert other.embedded == TEXTS


def test_what_was_not_asked_for_longest_goes_first(file, hashing):
    now = [100.0 * DAY]
    cached = CachedEmbedder(hashing, file, most=3, clock=lambda: now[0])
    cached.embed(TEXTS)
    now[0] += DAY
    cached.embed(TEXTS[1:])
    cached.embed(["new", "newer"])
    with sqlite3.connect(file) as database:
        assert database.execute("SELECT count(*) FROM vectors").fetchone() == (3,)
    hashing.embedded.clear()
    cached.embed(["new", "newer"])
    assert hashing.embedded == []
    cached.embed(TEXTS)
    assert TEXTS[0] in hashing.embedded


@pytest.mark.parametrize("damage", [b"no database at all " * 100, None])
def test_a_damaged_or_foreign_file_costs_only_time(damage, file, hashing, caplog):
    cached = CachedEmbedder(hashing, file)
    right = cached.embed(TEXTS)
    file.write_bytes(damage or file.read_bytes()[:2_000])
    with caplog.at_level(logging.WARNING):
        assert (cached.embed(TEXTS) == right).all()
    assert "the cache of vectors" in caplog.text
    cached.embed(TEXTS)
    hashing.embedded.clear()
    assert (cached.embed(TEXTS) == right).all()
    assert hashing.embedded == []


def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path, hashing, caplog):
    (tmp_path / "taken").touch()
    cached = CachedEmbedder(hashing, tmp_path / "taken" / "vectors.db")
    assert cached.embed(TEXTS).shape == (3, hashing.dimension)
    assert "is not used" in caplog.text


def embed_many(file: Path, name: str, embedder) -> None:
    cached = CachedEmbedder(embedder, file)
    for number in range(20):
        cached.embed([f"{name} {number}", f"shared {number}"])


def test_processes_share_one_file(file, hashing):
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=embed_many, args=(file, name, hashing)) for name in "abc"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    cached = CachedEmbedder(hashing, file)
    cached.embed([f"{name} {number}" for name in ("a", "b", "c", "shared") for number in range(20)])
    assert hashing.embedded == []


def test_minilm_remembers_what_it_embedded(tmp_path, minilm):
    (tmp_path / "cache").mkdir()
    first = build({"cache": tmp_path / "cache"}).embed(TEXTS)
    assert np.allclose(first, minilm.embed(TEXTS), atol=1e-6)
    for graph in (tmp_path / "cache").glob("*.onnx"):
        graph.unlink()
    assert (build({"cache": tmp_path / "cache"}).embed(TEXTS) == first).all()
    assert not list((tmp_path / "cache").glob("*.onnx"))
