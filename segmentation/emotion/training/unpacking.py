"""The weights in place, as a network that goes on learning."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from segmentation.emotion.families import LABELS
from segmentation.emotion.training.encoder import Encoder, small
from segmentation.emotion.training.in_place import Float32Array
from segmentation.emotion.weights import verified


def unpacked(folder: Path) -> Encoder:
    """int8 by channel → float32; all embeddings, which training leaves as they came,
    are the base's.

    Raises WeightsDamaged where a file is not the one shipped, ValueError where the
    graph is not one that write_onnx makes.
    """
    graph = onnx.load_from_string(verified("model.int8.onnx", folder)).graph
    found = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    network = small()
    try:
        state = _state(found, network.layers)
        tensors = {name: torch.from_numpy(np.array(v)) for name, v in state.items()}
        network.load_state_dict(network.state_dict() | tensors)
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"{folder}: the graph does not fit: {error}") from error
    return network


def _state(found: dict[str, NDArray[Any]], layers: int) -> dict[str, Float32Array]:
    state: dict[str, Float32Array] = {}
    labels = len(LABELS)
    for name, rows in (("head", slice(labels)), ("head_flags", slice(labels, None))):
        state[f"{name}.weight"] = found["head.w"].T[rows]
        state[f"{name}.bias"] = found["head.b"][rows]
    for number in range(layers):
        at = f"body.encoder.layer.{number}."
        weights = np.split(_plain(found, f"{at}qkv", f"{at}qkv"), 3, axis=1)
        biases = np.split(found[f"{at}qkv.b"], 3)
        for head, weight, bias in zip(
            ("query", "key", "value"), weights, biases, strict=True
        ):
            state[f"{at}attention.self.{head}.weight"] = weight.T
            state[f"{at}attention.self.{head}.bias"] = bias
        for own, dense in (
            ("joined", "attention.output.dense"),
            ("wide", "intermediate.dense"),
            ("narrow", "output.dense"),
        ):
            state[f"{at}{dense}.weight"] = _plain(found, f"{at}{own}.w", f"{at}{own}").T
        state[f"{at}intermediate.dense.bias"] = found[f"{at}wide.b"]
        for part in ("attention.output.", "output."):
            state[f"{at}{part}dense.bias"] = found[f"{at}{part}bias"]
            state[f"{at}{part}LayerNorm.weight"] = found[f"{at}{part}g"]
            state[f"{at}{part}LayerNorm.bias"] = found[f"{at}{part}beta"]
    return state


def _plain(found: dict[str, NDArray[Any]], weights: str, product: str) -> Float32Array:
    """Weights as they were before their columns were evened, (in, out)."""
    steps = found[f"{weights}_quantized"].astype(np.float32)
    whole = steps * found[f"{weights}_scale"]
    even = found.get(f"{product}.even")
    return np.asarray(whole if even is None else whole * even[:, None])
