"""What Chroma does by itself with the same weights: its own tokenizing, padding, batching and pooling."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retrieval.minilm import installed, verified
from retrieval.minilm_graph import WIDTH, build_graph


def passages_a_second(texts: Sequence[str], folder: Path) -> float:
    """How fast Chroma's default embedding function and a collection in `folder` take in `texts`, the model loaded."""
    from chromadb import PersistentClient
    from chromadb.config import Settings

    function = _default_function(folder / "model")
    function(["loads the model"])
    client = PersistentClient(folder / "chroma", Settings(anonymized_telemetry=False))
    collection = client.create_collection("passages", embedding_function=function)
    start = time.perf_counter()
    collection.add([str(number) for number in range(len(texts))], documents=list(texts))
    return len(texts) / (time.perf_counter() - start)


def _default_function(folder: Path) -> Any:
    """`ONNXMiniLM_L6_V2` as Chroma ships it, with its model where it would have downloaded it."""
    from chromadb.utils.embedding_functions.onnx_mini_lm_l6_v2 import ONNXMiniLM_L6_V2

    class Here(ONNXMiniLM_L6_V2):
        DOWNLOAD_PATH = folder

        def _download_model_if_not_exists(self) -> None:
            """It is there."""

    files = folder / ONNXMiniLM_L6_V2.EXTRACTED_FOLDER_NAME
    files.mkdir(parents=True)
    shutil.copyfile(installed("tokenizer.json"), files / "tokenizer.json")
    (files / "model.onnx").write_bytes(_encoder())
    return Here(["CPUExecutionProvider"])


def _encoder() -> bytes:
    """The graph with the inputs and the output of the file that Chroma downloads: the tokens' vectors, not pooled."""
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load_model_from_string(build_graph(verified(installed("model.safetensors"))))
    graph = model.graph
    last = max(place for place, node in enumerate(graph.node) if node.op_type == "LayerNormalization")
    hidden = graph.node[last].output[0]
    del graph.node[last + 1 :]
    del graph.output[:]
    sides: list[int | str | None] = ["batch", "tokens"]
    graph.output.append(helper.make_tensor_value_info(hidden, TensorProto.FLOAT, [*sides, WIDTH]))
    graph.input.append(helper.make_tensor_value_info("token_type_ids", TensorProto.INT64, sides))
    return bytes(model.SerializeToString())
