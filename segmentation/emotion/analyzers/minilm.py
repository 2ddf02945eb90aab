"""The shipped classifier: MiniLM fine-tuned, int8, through onnxruntime, and beside it a
lexical head.

What it was trained on, its figures and its limits: ../weights/card.md.
"""

import hashlib
import json
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from segmentation.emotion.analyzers.base import MOST_PIECES
from segmentation.emotion.analyzers.products import add_up_in_full
from segmentation.emotion.families import LABELS, NEUTRAL_LABEL, OUTPUTS, FloatArray
from segmentation.emotion.lexical import LexicalHead, lexical_head
from segmentation.emotion.weights import (
    FILES,
    FOLDER,
    WeightsDamaged,
    shipped_digests,
    verified,
)
from segmentation.emotion.wordpiece import WordPiece

_SURE = 20.0  # a logit beyond doubt, for a window with nothing in it


@dataclass(frozen=True, slots=True)
class _Loaded:
    pid: int
    session: ort.InferenceSession
    tokenizer: WordPiece
    lexical: LexicalHead


class MiniLM:
    """One session per process, made with the first sentence; a fork makes its own."""

    def __init__(self, folder: Path = FOLDER, *, of_customers: bool = True) -> None:
        """of_customers: texts are marked as a customer's; without it they are read as
        comments of Reddit, for the figures on GoEmotions."""
        self._folder = folder
        self._of_customers = of_customers
        self._loaded: _Loaded | None = None
        self._lock = threading.Lock()
        # A fork may copy the lock while another thread holds it: start afresh there.
        os.register_at_fork(after_in_child=self._unlock_in_child)

    @property
    def version(self) -> str:
        """Of everything that scores depend on: two heads beside one encoder differ."""
        digests = shipped_digests(self._folder)
        of_all = "".join(digests.get(name, "") for name in FILES)
        return "minilm-" + hashlib.sha256(of_all.encode()).hexdigest()[:12]

    @cached_property
    def thresholds(self) -> FloatArray:
        return self._vector("thresholds")

    @cached_property
    def usual(self) -> FloatArray:
        return self._vector("usual_logits")

    def pieces(self, part: str) -> int:
        return self._load().tokenizer.length(part)

    def logits(self, windows: Sequence[Sequence[str]]) -> list[FloatArray]:
        """What each part adds to its window's logits, see `Analyzer.logits`.

        Each window is a call of its own: dynamic int8 scales activations by the largest
        value in the call, and beside other sentences the same sentence moved by up to
        0.27. Longest first, so that buffers are reused.
        Raises WeightsDamaged if a file of the model is not the one shipped.
        """
        found: list[FloatArray] = [np.empty(0)] * len(windows)
        if not windows:
            return found
        loaded = self._load()
        encoded = [
            [loaded.tokenizer.pieces(part) for part in window] for window in windows
        ]
        lengths = [sum(map(len, parts)) for parts in encoded]
        for row in sorted(range(len(windows)), key=lambda row: -lengths[row]):
            found[row] = _contributions(loaded, encoded[row], self._of_customers)
        return found

    def score(self, sentences: Sequence[str]) -> FloatArray:
        """(n, 28), see `Analyzer.score`."""
        if not len(sentences):
            return np.zeros((0, len(LABELS)))
        found = self.logits([[sentence] for sentence in sentences])
        labels = np.vstack(found)[:, : len(LABELS)]
        return np.asarray(1.0 / (1.0 + np.exp(-labels)))

    def as_reddit(self) -> "MiniLM":
        """The same weights, reading texts as comments of Reddit."""
        return MiniLM(self._folder, of_customers=False)

    @property
    def _head(self) -> str:
        return "lexical.npz" if self._of_customers else "comments.npz"

    def _vector(self, name: str) -> FloatArray:
        return _vector(verified("meta.json", self._folder), name)

    def _load(self) -> _Loaded:
        loaded = self._loaded
        if loaded is not None and loaded.pid == os.getpid():
            return loaded
        with self._lock:
            if self._loaded is None or self._loaded.pid != os.getpid():
                self._loaded = _Loaded(
                    pid=os.getpid(),
                    session=_session(verified("model.int8.onnx", self._folder)),
                    tokenizer=WordPiece(
                        _vocabulary(verified("vocab.txt", self._folder))
                    ),
                    lexical=lexical_head(verified(self._head, self._folder)),
                )
            return self._loaded

    def _unlock_in_child(self) -> None:
        self._lock = threading.Lock()


def _contributions(
    loaded: _Loaded, parts: list[list[int]], of_customers: bool
) -> FloatArray:
    """(parts, 30); what the frame adds is spread over all pieces alike."""
    added = np.zeros((len(parts), OUTPUTS))
    owners = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    owners = owners[:MOST_PIECES]
    if not len(owners):
        added[:1] = -_SURE
        added[:1, NEUTRAL_LABEL] = _SURE
        return added
    flat = [piece for part in parts for piece in part][:MOST_PIECES]
    framed = loaded.tokenizer.framed(flat, customer=of_customers)
    ids: NDArray[np.int64] = np.array([framed], dtype=np.int64)
    logits = np.asarray(loaded.session.run(["logits"], {"ids": ids})[0], np.float64)[0]
    # The head is linear: the mean over pieces is the logit, each piece adds its n-th.
    start = len(framed) - 1 - len(flat)
    np.add.at(added, owners, logits[start:-1])
    counts = np.bincount(owners, minlength=len(parts))[:, None]
    added += counts / len(owners) * (logits[:start].sum(axis=0) + logits[-1])
    added /= len(framed)
    added *= 1 - loaded.lexical.share
    said = loaded.lexical.logits(np.array(loaded.tokenizer.framed(flat), np.int64))
    np.add.at(added, owners, loaded.lexical.share * said)
    return np.asarray(added)


def _session(model: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    # More threads were slower on two cores: work comes in processes, one thread each.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    add_up_in_full(options)
    return ort.InferenceSession(
        model,
        options,
        providers=["CPUExecutionProvider"],
        # Both fused kernels are slower than what they replace: 9.3 ms became 12.2 ms
        # for 115 pieces (onnxruntime 1.32).
        disabled_optimizers=["SkipLayerNormFusion", "BiasGeluFusion"],
    )


def _vocabulary(content: bytes) -> dict[str, int]:
    lines = content.decode("utf-8").split("\n")
    return {piece.rstrip("\r"): number for number, piece in enumerate(lines) if piece}


def _vector(content: bytes, name: str) -> FloatArray:
    meta = json.loads(content)
    if tuple(meta["labels"]) != LABELS:
        raise WeightsDamaged(
            "meta.json lists its labels in another order than families.LABELS; "
            "scores would be read as the wrong emotion."
        )
    values = np.array(meta[name], dtype=np.float64)
    values.flags.writeable = False
    return values
