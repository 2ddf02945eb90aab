"""The shipped classifier: MiniLM fine-tuned on GoEmotions, int8, through onnxruntime.

What it was trained on, its figures and its limits: ../weights/card.md.
"""

import json
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnxruntime as ort

from segmentation.emotion.families import LABELS, FloatArray
from segmentation.emotion.weights import (
    FOLDER,
    WeightsDamaged,
    shipped_digests,
    verified,
)
from segmentation.emotion.wordpiece import WordPiece


@dataclass(frozen=True, slots=True)
class _Loaded:
    pid: int
    session: ort.InferenceSession
    tokenizer: WordPiece


class MiniLM:
    """One session per process, made with the first sentence; a fork makes its own."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._loaded: _Loaded | None = None
        self._lock = threading.Lock()
        # A fork may copy the lock while another thread holds it: start afresh there.
        os.register_at_fork(after_in_child=self._unlock_in_child)

    @property
    def version(self) -> str:
        return "minilm-" + shipped_digests(self._folder)["model.int8.onnx"][:12]

    @cached_property
    def thresholds(self) -> FloatArray:
        return _thresholds(verified("meta.json", self._folder))

    def score(self, sentences: Sequence[str]) -> FloatArray:
        """(n, 28), see `Analyzer.score`. A sentence without any piece is all neutral.

        Each sentence is a call of its own: dynamic int8 scales activations by the
        largest value in the call, and beside other sentences the same sentence moved
        by up to 0.27. That costs a tenth of the speed of batches of 32 and buys scores
        which can be recomputed. Sorted by length, so that buffers are reused.
        Raises WeightsDamaged if a file of the model is not the one shipped.
        """
        scores = np.zeros((len(sentences), len(LABELS)))
        if not len(sentences):
            return scores
        loaded = self._load()
        pieces = [loaded.tokenizer.encode(sentence) for sentence in sentences]
        for row in sorted(range(len(pieces)), key=lambda row: len(pieces[row])):
            if len(pieces[row]) == 2:  # only [CLS] and [SEP]
                scores[row, LABELS.index("neutral")] = 1.0
                continue
            ids = np.array([pieces[row]], dtype=np.int64)
            inputs = {"ids": ids, "mask": np.ones_like(ids)}
            logits = np.asarray(loaded.session.run(["logits"], inputs)[0], np.float64)
            scores[row] = 1.0 / (1.0 + np.exp(-logits[0]))
        return scores

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
                )
            return self._loaded

    def _unlock_in_child(self) -> None:
        self._lock = threading.Lock()


def _session(model: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    # More threads were slower on two cores: work comes in processes, one thread each.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _vocabulary(content: bytes) -> dict[str, int]:
    lines = content.decode("utf-8").split("\n")
    return {piece.rstrip("\r"): number for number, piece in enumerate(lines) if piece}


def _thresholds(content: bytes) -> FloatArray:
    meta = json.loads(content)
    if tuple(meta["labels"]) != LABELS:
        raise WeightsDamaged(
            "meta.json lists its labels in another order than families.LABELS; "
            "scores would be read as the wrong emotion."
        )
    values = np.array(meta["thresholds"], dtype=np.float64)
    values.flags.writeable = False
    return values
