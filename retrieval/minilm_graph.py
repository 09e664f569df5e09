"""The ONNX graph of all-MiniLM-L6-v2, built from its safetensors weights.

The model: six BERT layers (Devlin et al. 2019, https://arxiv.org/abs/1810.04805) distilled by Wang et al. 2020
(https://arxiv.org/abs/2002.10957); sentence vectors are the mean over tokens, scaled to length 1 (Reimers & Gurevych
2019, https://arxiv.org/abs/1908.10084).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping

GRAPH_VERSION = 1
"""Raise it when the graph changes: cached graphs of another version are then not used."""

LAYERS, HEADS, WIDTH = 6, 12, 384
OPSET = 20  # the first with Gelu as an operator
IR_VERSION = 10  # the one that belongs to this opset; onnx writes its newest, which a runtime may not know yet
EPSILON = 1e-12  # `layer_norm_eps` of the model's config.json
MASKED = -1e9  # added to the attention scores of padding: its weight after softmax is 0 in float32


def build_graph(weights: Mapping[str, NDArray[np.float32]]) -> bytes:
    """The serialised model: (input_ids, attention_mask), int64 [batch, tokens] → `vector`, float32 [batch, 384].

    `weights` are the tensors of the safetensors file by their names; raises KeyError where one is missing.
    Padding does not change a vector, up to rounding; vectors have length 1.
    """
    from onnx import TensorProto, checker, helper

    graph = _Graph(weights)
    hidden = graph.embeddings("input_ids")
    bias = graph.mask_bias("attention_mask")
    for layer in range(LAYERS):
        hidden = graph.layer(layer, hidden, bias)
    graph.pooled(hidden, "attention_mask", output="vector")
    sides: list[int | str | None] = ["batch", "tokens"]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "all-MiniLM-L6-v2",
            [helper.make_tensor_value_info(name, TensorProto.INT64, sides) for name in ("input_ids", "attention_mask")],
            [helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["batch", WIDTH])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    checker.check_model(model)
    return bytes(model.SerializeToString())


class _Graph:
    """Collects nodes and constants; each method adds one part and returns the name of its output."""

    def __init__(self, weights: Mapping[str, NDArray[np.float32]]) -> None:
        self.weights = weights
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: NDArray[Any]) -> str:
        from onnx import numpy_helper

        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def integers(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def scalar(self, value: float) -> str:
        return self.constant(np.array(value, np.float32))

    def node(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        from onnx import helper

        output = output or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def linear(self, inputs: str, name: str) -> str:
        product = self.node("MatMul", inputs, self.constant(self.weights[f"{name}.weight"].T))
        return self.node("Add", product, self.constant(self.weights[f"{name}.bias"]))

    def norm(self, inputs: str, name: str) -> str:
        scale, shift = (self.constant(self.weights[f"{name}.LayerNorm.{part}"]) for part in ("weight", "bias"))
        return self.node("LayerNormalization", inputs, scale, shift, axis=-1, epsilon=EPSILON)

    def embeddings(self, tokens: str) -> str:
        table = {
            name: self.weights[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")
        }
        words = self.node("Gather", self.constant(table["word"]), tokens)
        length = self.node("Shape", tokens, start=1, end=2)
        # One text at a time is encoded, so every token is of type 0, and its vector is part of the position's.
        places = self.constant(table["position"] + table["token_type"][0])
        positions = self.node("Slice", places, self.integers(0), length, self.integers(0))
        return self.norm(self.node("Add", words, positions), "embeddings")

    def mask_bias(self, mask: str) -> str:
        kept = self.node("Cast", self.node("Unsqueeze", mask, self.integers(1, 2)), to=1)
        return self.node("Mul", self.node("Sub", self.scalar(1.0), kept), self.scalar(MASKED))

    def heads(self, inputs: str, name: str, order: tuple[int, ...]) -> str:
        split = self.node("Reshape", self.linear(inputs, name), self.integers(0, 0, HEADS, WIDTH // HEADS))
        return self.node("Transpose", split, perm=order)

    def layer(self, number: int, hidden: str, bias: str) -> str:
        name = f"encoder.layer.{number}"
        query = self.heads(hidden, f"{name}.attention.self.query", (0, 2, 1, 3))
        key = self.heads(hidden, f"{name}.attention.self.key", (0, 2, 3, 1))
        value = self.heads(hidden, f"{name}.attention.self.value", (0, 2, 1, 3))
        scaled = self.node("Mul", self.node("MatMul", query, key), self.scalar(1 / math.sqrt(WIDTH / HEADS)))
        shares = self.node("Softmax", self.node("Add", scaled, bias), axis=-1)
        mixed = self.node("Transpose", self.node("MatMul", shares, value), perm=(0, 2, 1, 3))
        joined = self.node("Reshape", mixed, self.integers(0, 0, WIDTH))
        attended = self.linear(joined, f"{name}.attention.output.dense")
        hidden = self.norm(self.node("Add", hidden, attended), f"{name}.attention.output")
        wide = self.node("Gelu", self.linear(hidden, f"{name}.intermediate.dense"))
        return self.norm(self.node("Add", hidden, self.linear(wide, f"{name}.output.dense")), f"{name}.output")

    def pooled(self, hidden: str, mask: str, output: str) -> str:
        kept = self.node("Unsqueeze", self.node("Cast", mask, to=1), self.integers(2))
        # The sum over tokens points where their mean does, and only the direction is left after scaling to length 1.
        total = self.node("ReduceSum", self.node("Mul", hidden, kept), self.integers(1), keepdims=0)
        return self.node("LpNormalization", total, output=output, axis=-1, p=2)
