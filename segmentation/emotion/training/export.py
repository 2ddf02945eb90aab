"""Fitted network → int8 ONNX and the vocabulary it needs.

The graph gives the logits of every word piece, not their mean: the mean over pieces is
the logit of the text (the head is linear), so the same pass also says exactly which
words carried it. Each text is a call of its own, so there is no mask and no padding.
"""

import logging
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from segmentation.emotion.families import FloatArray
from segmentation.emotion.training.encoder import Encoder
from segmentation.emotion.wordpiece import CUSTOMER_MARK, MAX_PIECES

_INT8_MOST = 127
_USUAL_COLUMNS = 0.9  # a column beyond this quantile of all is an outlier
_WORTH_A_NODE = 2.0
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", CUSTOMER_MARK)


def kept_pieces(vocabulary: Iterable[str], seen: frozenset[str]) -> list[str]:
    """Pieces worth their 384 bytes: special, ASCII, Latin, or met in a training text.

    Dropped are [unused…] and the letters of scripts the product does not read; a word
    made of them becomes [UNK], which `language.py` keeps away from the model.
    """
    kept = []
    for piece in vocabulary:
        bare = piece.removeprefix("##")
        if piece in _SPECIAL or piece in seen:
            kept.append(piece)
        elif piece.startswith("[unused"):
            continue
        elif bare.isascii() or all(_latin_or_symbol(char) for char in bare):
            kept.append(piece)
    return kept


def _latin_or_symbol(char: str) -> bool:
    return not char.isalpha() or unicodedata.name(char, "").startswith("LATIN")


@contextmanager
def largest_inputs(network: Encoder) -> Iterator[dict[str, FloatArray]]:
    """While open: the largest absolute value that each column of a linear layer's input
    has had, by the layer's name in the network."""
    found: dict[str, FloatArray] = {}

    def watch(name: str) -> Callable[[Any, tuple[torch.Tensor]], None]:
        def note(_: Any, inputs: tuple[torch.Tensor]) -> None:
            most = inputs[0].abs().amax(dim=(0, 1)).double().numpy()
            found[name] = np.maximum(found.get(name, most), most)

        return note

    hooks = [
        module.register_forward_pre_hook(watch(name))
        for name, module in network.named_modules()
        if isinstance(module, torch.nn.Linear) and name.startswith("body.encoder")
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def write_onnx(
    network: Encoder, rows: list[int], out: Path, largest: Mapping[str, FloatArray]
) -> None:
    """int8 graph with the word table cut to `rows`, in that order.

    Input `ids`: (1, pieces), int64, at most MAX_PIECES; output `logits`: (1, pieces,
    30). The word table is int8 by row, matrices int8 by channel, activations are
    quantised at run time; the head is float32. One range holds all columns of an
    activation, so a few columns with large values, which such networks have, would
    leave the others only some of the 256 steps: they are divided by what they exceed
    the rest by, and their weights multiplied (`largest`: see largest_inputs). On UCI
    sentences and the development set that halved the error of the logits. Written node
    by node with onnxruntime's own fused attention: an exported graph took 1.4 times as
    long.
    """
    logging.getLogger().setLevel(logging.ERROR)  # advice that is already followed
    with tempfile.TemporaryDirectory() as scratch:
        plain = Path(scratch) / "plain.onnx"
        onnx.save(_Graph(network, rows, largest).model(), str(plain))
        quantize_dynamic(
            str(plain),
            str(out),
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=["MatMul", "Attention"],
            nodes_to_exclude=["head"],
            # Fused nodes are not of ONNX's own domain: their type is not inferred.
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )


class _Graph:
    """The encoder as ONNX nodes, float32."""

    def __init__(
        self, network: Encoder, rows: list[int], largest: Mapping[str, FloatArray]
    ) -> None:
        self._largest = largest
        state = network.state_dict()
        self._state = {name: value.float().numpy() for name, value in state.items()}
        self._config = network.body.config
        self._rows = rows
        self._nodes: list[Any] = []
        self._tensors: list[Any] = []

    def model(self) -> Any:
        hidden = self._embedded()
        for layer in range(self._config.num_hidden_layers):
            hidden = self._layer(hidden, f"body.encoder.layer.{layer}.")
        heads = ("head.", "head_flags.")
        weights = [self._state[head + "weight"] for head in heads]
        self._matmul("head", hidden, np.concatenate(weights).T)
        self._array("head.b", np.concatenate([self._state[h + "bias"] for h in heads]))
        self._node("Add", ["head", "head.b"], "logits")
        graph = helper.make_graph(
            self._nodes,
            "emotion",
            [helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, [1, "n"])],
            [
                helper.make_tensor_value_info(
                    "logits", onnx.TensorProto.FLOAT, [1, "n", "labels"]
                )
            ],
            self._tensors,
        )
        versions = [
            helper.make_opsetid("", 17),
            helper.make_opsetid("com.microsoft", 1),
        ]
        return helper.make_model(graph, opset_imports=versions, ir_version=9)

    def _embedded(self) -> str:
        """Word + place + type, normalised. Place and type are one table here."""
        table = "body.embeddings."
        words = self._state[table + "word_embeddings.weight"][self._rows]
        places = self._state[table + "position_embeddings.weight"][:MAX_PIECES]
        types = self._state[table + "token_type_embeddings.weight"][0]
        scale = np.maximum(np.abs(words).max(axis=1, keepdims=True), 1e-9) / _INT8_MOST
        self._array("words", np.round(words / scale).astype(np.int8))
        self._array("word_scale", scale.astype(np.float32))
        self._array("place_table", places + types)
        self._array("zero", np.array([0], np.int64))
        self._array("one", np.array([1], np.int64))
        self._node("Gather", ["words", "ids"], "spoken_int8")
        self._node("Cast", ["spoken_int8"], "spoken_even", to=onnx.TensorProto.FLOAT)
        self._node("Gather", ["word_scale", "ids"], "spoken_scale")
        self._node("Mul", ["spoken_even", "spoken_scale"], "spoken")
        self._node("Shape", ["ids"], "shape", start=1, end=2)
        self._node("Slice", ["place_table", "zero", "shape", "zero", "one"], "placed")
        self._node("Add", ["spoken", "placed"], "embedded")
        gamma = self._tensor("embed.g", table + "LayerNorm.weight")
        beta = self._tensor("embed.b", table + "LayerNorm.bias")
        self._node(
            "LayerNormalization",
            ["embedded", gamma, beta],
            "hidden",
            epsilon=self._config.layer_norm_eps,
        )
        return "hidden"

    def _layer(self, hidden: str, name: str) -> str:
        heads = ("query", "key", "value")
        own = [f"{name}attention.self.{head}." for head in heads]
        weights = [self._state[head + "weight"].T for head in own]
        biases = [self._state[head + "bias"] for head in own]
        # All three read the same columns.
        spoken, joined = self._evened(
            name + "qkv",
            hidden,
            np.concatenate(weights, axis=1),
            f"{name}attention.self.{heads[0]}",
        )
        self._array(name + "qkv", joined)
        self._array(name + "qkv.b", np.concatenate(biases))
        self._node(
            "Attention",
            [spoken, name + "qkv", name + "qkv.b"],
            name + "heard",
            domain="com.microsoft",
            num_heads=self._config.num_attention_heads,
        )
        heard = self._matmul(
            name + "joined",
            name + "heard",
            self._state[name + "attention.output.dense.weight"].T,
        )
        hidden = self._normalised(heard, hidden, name + "attention.output.")
        wide = self._even_matmul(name + "wide", hidden, name + "intermediate.dense")
        bias = self._tensor(name + "wide.b", name + "intermediate.dense.bias")
        self._node("Add", [wide, bias], name + "biased")
        self._node("Gelu", [name + "biased"], name + "gelu", domain="com.microsoft")
        narrow = self._even_matmul(
            name + "narrow", name + "gelu", name + "output.dense"
        )
        return self._normalised(narrow, hidden, name + "output.")

    def _normalised(self, change: str, hidden: str, name: str) -> str:
        bias = self._tensor(name + "bias", name + "dense.bias")
        gamma = self._tensor(name + "g", name + "LayerNorm.weight")
        beta = self._tensor(name + "beta", name + "LayerNorm.bias")
        self._node("Add", [change, bias], name + "biased")
        self._node("Add", [name + "biased", hidden], name + "sum")
        self._node(
            "LayerNormalization",
            [name + "sum", gamma, beta],
            name + "out",
            epsilon=self._config.layer_norm_eps,
        )
        return name + "out"

    def _even_matmul(self, name: str, left: str, layer: str) -> str:
        """left @ weights of the layer, evened."""
        weights = self._state[layer + ".weight"].T
        return self._matmul(name, *self._evened(name, left, weights, layer))

    def _evened(
        self, name: str, left: str, weights: NDArray[np.float32], layer: str
    ) -> tuple[str, NDArray[np.float32]]:
        """left with its outlying columns brought into line, and weights to match."""
        most = self._largest[layer]
        excess = np.maximum(most / np.quantile(most, _USUAL_COLUMNS), 1.0)
        if excess.max() < _WORTH_A_NODE:
            return left, weights
        self._array(name + ".even", (1 / excess).astype(np.float32))
        self._node("Mul", [left, name + ".even"], name + ".evened")
        return name + ".evened", (weights * excess[:, None]).astype(np.float32)

    def _matmul(self, name: str, left: str, right: NDArray[np.float32]) -> str:
        self._array(name + ".w", right)
        self._node("MatMul", [left, name + ".w"], name, name=name)
        return name

    def _tensor(self, name: str, source: str) -> str:
        self._array(name, self._state[source])
        return name

    def _array(self, name: str, values: NDArray[Any]) -> None:
        self._tensors.append(
            numpy_helper.from_array(np.ascontiguousarray(values), name)
        )

    def _node(self, kind: str, inputs: list[str], output: str, **options: Any) -> None:
        self._nodes.append(helper.make_node(kind, inputs, [output], **options))
