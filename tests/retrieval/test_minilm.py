from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib import metadata
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from scipy.special import erf
from tokenizers import Tokenizer

from models.domain.errors import BadInput, Unavailable
from retrieval import minilm as module
from retrieval.cache_folder import cache_folder
from retrieval.minilm import build


def model_file(name: str) -> Path:
    files = metadata.files(module.DISTRIBUTION)
    return next(Path(str(f.locate())) for f in files if f.parts[-2:] == (module.FOLDER, name))


def reference(text: str) -> np.ndarray:
    """BERT, written out plainly for one text: the yardstick for the graph."""
    w = load_file(model_file("model.safetensors"))
    tokenizer = Tokenizer.from_file(str(model_file("tokenizer.json")))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    ids = tokenizer.encode(text).ids

    def norm(x, name):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return x * w[name + ".weight"] + w[name + ".bias"]

    def dense(x, name):
        return x @ w[name + ".weight"].T + w[name + ".bias"]

    e = "embeddings."
    x = w[e + "word_embeddings.weight"][ids] + w[e + "position_embeddings.weight"][: len(ids)]
    x = norm(x + w[e + "token_type_embeddings.weight"][0], e + "LayerNorm")
    for n in range(6):
        p = f"encoder.layer.{n}."
        q, k, v = (dense(x, p + f"attention.self.{part}") for part in ("query", "key", "value"))
        heads = []
        for h in range(12):
            part = slice(32 * h, 32 * h + 32)
            scores = np.exp(q[:, part] @ k[:, part].T / sqrt(32))
            heads.append(scores / scores.sum(-1, keepdims=True) @ v[:, part])
        x = norm(x + dense(np.hstack(heads), p + "attention.output.dense"), p + "attention.output.LayerNorm")
        wide = dense(x, p + "intermediate.dense")
        wide = wide * 0.5 * (1 + erf(wide / sqrt(2)))
        x = norm(x + dense(wide, p + "output.dense"), p + "output.LayerNorm")
    mean = x.mean(0)
    return mean / np.linalg.norm(mean)


TEXTS = [
    "Disk full",
    "The database refuses new connections because its pool is exhausted.",
    "",
    'rate(http_requests_total{code=~"5.."}[5m]) > 0.05 ' * 30,
    "Größe 磁盘 🔥",
]


def test_vectors_equal_a_plain_forward_pass(minilm):
    vectors = minilm.embed(TEXTS)
    assert vectors.dtype == np.float32
    for text, vector in zip(TEXTS, vectors, strict=True):
        assert vector @ reference(text) == pytest.approx(1, abs=1e-5)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_neighbours_in_the_batch_do_not_change_a_vector(minilm):
    many = [f"{'word ' * n} number {n}" for n in range(40)]
    together = minilm.embed(many)
    assert np.abs(together - np.stack([minilm.embed([text])[0] for text in many])).max() < 1e-5


def test_paraphrases_are_nearer_than_other_subjects(minilm):
    same, like, other = minilm.embed(
        [
            "The database refuses connections",
            "No new connections to the database server are accepted",
            "The certificate expires tomorrow",
        ]
    )
    assert same @ like > 0.6
    assert same @ other < 0.3


def test_no_text_gives_no_vector(minilm):
    assert minilm.embed([]).shape == (0, minilm.dimension)


def test_a_damaged_graph_is_built_anew(tmp_path, minilm):
    build({"cache": str(tmp_path)}).embed(["x"])
    (graph,) = tmp_path.iterdir()
    graph.write_bytes(graph.read_bytes()[:1000])
    again = build({"cache": str(tmp_path)}).embed(["disk full"])
    assert np.allclose(again, minilm.embed(["disk full"]), atol=1e-6)
    assert [file.name for file in tmp_path.iterdir()] == [graph.name]
    shutil.rmtree(tmp_path)


def test_other_weights_are_refused(tmp_path, monkeypatch):
    wrong = tmp_path / "model.safetensors"
    wrong.write_bytes(model_file("model.safetensors").read_bytes()[:-1] + b"!")
    real = module.installed
    monkeypatch.setattr(module, "installed", lambda name: wrong if name == wrong.name else real(name))
    with pytest.raises(BadInput, match=r"model\.safetensors: these are not the official MiniLM weights: SHA-256"):
        build({"cache": tmp_path / "cache"}).embed(["x"])
    assert not (tmp_path / "cache").exists()
    wrong.unlink()


def test_missing_weights_say_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "DISTRIBUTION", "no-such-distribution")
    with pytest.raises(Unavailable, match="install the package no-such-distribution"):
        build({"cache": tmp_path}).embed(["x"])


@pytest.mark.parametrize("config", [{"cahce": "x"}, {"cache": 3}, {"cache": ""}])
def test_wrong_settings_are_named(config):
    with pytest.raises(BadInput, match=r"embedder\.config"):
        build(config)


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match=r"set embedder\.config\.cache to a writable folder"):
        build({"cache": tmp_path / "file"}).embed(["x"])


def test_building_loads_nothing_heavy_and_never_the_distribution():
    code = (
        "import sys; from retrieval.minilm import build; e = build({}); heavy = {'onnxruntime', 'onnx', 'tokenizers'};"
        "assert not heavy & sys.modules.keys(); e.embed(['x']); assert heavy - {'onnx'} <= sys.modules.keys();"
        "assert not any('janitor' in name for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2], timeout=60)


def test_nothing_is_told_to_others(tmp_path):
    """onnxruntime leaves an identifier and a queue of reports in the cache folder unless it was told not to."""
    code = f"from retrieval.minilm import build; build({{'cache': {str(cache_folder())!r}}}).embed(['x'])"
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, env=environment, timeout=60)
    assert list(tmp_path.iterdir()) == []
