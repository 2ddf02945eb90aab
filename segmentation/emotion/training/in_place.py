"""What the weights in place make of the rows that are learned from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from segmentation.emotion.analyzers.products import add_up_in_full
from segmentation.emotion.families import FloatArray
from segmentation.emotion.lexical import LexicalHead, lexical_head
from segmentation.emotion.training.encoder import base_vocabulary
from segmentation.emotion.training.halves import Ids, in_halves
from segmentation.emotion.training.rows import AllRows
from segmentation.emotion.weights import FOLDER, verified

Float32Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class InPlace:
    """Of each row: logits as the product has them, (n, 30); those of the encoder alone,
    and the means over pieces of the embedded text and of each layer, one after the
    other, (n, 7 x 384). share: how much of a logit is the encoder's."""

    logits: FloatArray
    of_encoder: Float32Array
    layers: Float32Array
    share: float


def heard_in_place(rows: AllRows) -> InPlace:
    """Comments are read as comments, marked ones and our own texts as a customer's."""
    pieces = rows.examples.pieces
    of_encoder, layers = in_halves(layers_of, FOLDER, pieces)
    number, n = numbers_in(FOLDER), len(rows.comments)
    heads = [lexical_head(verified(f"{name}.npz")) for name in ("comments", "lexical")]
    said = [_said(heads[0], number[ids]) for ids in pieces[:n]]
    # Without the mark, which stands after [CLS].
    said += [_said(heads[1], number[np.delete(ids, 1)]) for ids in pieces[n:]]
    share = 1 - heads[1].share
    return InPlace(
        share * of_encoder + (1 - share) * np.array(said), of_encoder, layers, share
    )


def _said(head: LexicalHead, framed: NDArray[np.int64]) -> FloatArray:
    return np.asarray(head.logits(framed).sum(axis=0))


def layers_of(folder: Path, pieces: Sequence[Ids]) -> tuple[Float32Array, Float32Array]:
    """`of_encoder` and `layers` of texts, given as ids of the base's vocabulary."""
    graph = onnx.load_from_string(verified("model.int8.onnx", folder))
    outputs = ["logits", "hidden", *_layers(graph.graph)]
    for name in outputs[1:]:
        graph.graph.output.append(onnx.ValueInfoProto(name=name))
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    add_up_in_full(options)
    session = ort.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    number = numbers_in(folder)
    logits, layers = [], []
    for ids in pieces:
        found: Any = session.run(outputs, {"ids": number[ids][None]})
        first, *others = (one[0].mean(axis=0) for one in found)
        logits.append(first)
        layers.append(np.concatenate(others))
    return np.array(logits), np.array(layers)


def _layers(graph: Any) -> list[str]:
    """Names of what leaves each layer, as write_onnx gives them."""
    return [
        node.output[0]
        for node in graph.node
        if node.op_type == "LayerNormalization"
        and node.output[0].endswith(".output.out")
        and ".attention." not in node.output[0]
    ]


def numbers_in(folder: Path) -> NDArray[np.int64]:
    """(vocabulary of the base,): the number of each piece in the shipped one."""
    kept = verified("vocab.txt", folder).decode("utf-8").splitlines()
    places = {piece: number for number, piece in enumerate(kept)}
    return np.array([places.get(p, places["[UNK]"]) for p in base_vocabulary()])
