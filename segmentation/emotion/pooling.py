"""Logits of windows → nine families, valence and arousal of a text.

Source of every formula: docs/method.md, "From text to a family vector".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from segmentation.emotion.families import (
    LABEL_AROUSAL,
    LABEL_VALENCE,
    LABELS,
    MEMBERSHIP,
    NEUTRAL,
    FloatArray,
)

TITLE_SHARE: Final = 0.4  # docs/emotion_model.md: AUC on reviews, title and body
_LEAST_LABEL_MASS: Final = 0.5  # keeps a text with hardly any emotion near zero valence
_LEAST_WEIGHT: Final = 1e-9  # below it every window is neutral: count them alike


@dataclass(frozen=True, slots=True)
class PooledText:
    """One text. families: (9,), sums to 1. labels: (28,). windows: (w, 9).

    shares: (w,), sums to 1; families == shares @ windows. valence in [-1, 1], arousal
    in [0, 1].
    """

    families: FloatArray
    labels: FloatArray
    valence: float
    arousal: float
    windows: FloatArray
    shares: FloatArray


def probabilities(logits: FloatArray) -> FloatArray:
    """Logistic function, elementwise."""
    return np.asarray(1.0 / (1.0 + np.exp(-logits)))


def family_mix(labels: FloatArray) -> FloatArray:
    """Family shares of windows: P_f = 1 - prod over f of (1 - p), then P / sum P.

    labels: (n, 28), each in [0, 1]. Returns (n, 9); each row sums to 1. A row of zeros
    says nothing about the text and becomes all neutral.
    Raises ValueError for another shape.
    """
    if labels.ndim != 2 or labels.shape[1] != len(LABELS):
        raise ValueError(f"Label scores need shape (n, 28), got {labels.shape}.")
    # log1p keeps precision for small p; p = 1 would give -inf, so stay just below it.
    log_absent = np.log1p(-np.minimum(labels, 1.0 - 1e-12))
    present = -np.expm1(log_absent @ MEMBERSHIP)
    total = present.sum(axis=1, keepdims=True)
    present[total[:, 0] <= 0.0, NEUTRAL] = 1.0
    return np.asarray(present / present.sum(axis=1, keepdims=True))


def intensity_shares(families: FloatArray) -> FloatArray:
    """How much each window counts: 1 - q_neutral, divided by their sum.

    families: (n, 9), rows sum to 1, n >= 1. Returns (n,), sums to 1.
    """
    weights = np.maximum(1.0 - families[:, NEUTRAL], 0.0)
    total = float(weights.sum())
    if total < _LEAST_WEIGHT:
        return np.full(len(families), 1.0 / len(families))
    return np.asarray(weights / total)


def graded(labels: FloatArray, weights: FloatArray) -> FloatArray:
    """Valence or arousal of windows: sum(p * w) / max(sum p, 0.5).

    labels: (n, 28); weights: (28,), `LABEL_VALENCE` or `LABEL_AROUSAL`. Returns (n,).
    """
    mass = np.maximum(labels.sum(axis=1), _LEAST_LABEL_MASS)
    return np.asarray((labels @ weights) / mass)


def pool(title: FloatArray, body: FloatArray) -> PooledText:
    """Pool the windows of a title and a body; the title counts 0.4, the body 0.6.

    title, body: (k, 28) and (m, 28) probabilities. Where one is empty the other counts
    whole. Windows of the result are in the order title, body.
    Raises ValueError if both are empty.
    """
    if not len(title) and not len(body):
        raise ValueError("Pooling needs at least one window, got none.")
    labels = np.vstack([title, body]).astype(np.float64)
    windows = family_mix(labels)
    title_share = TITLE_SHARE if len(body) else 1.0
    parts = []
    if len(title):
        parts.append(title_share * intensity_shares(windows[: len(title)]))
    if len(body):
        body_share = 1.0 - TITLE_SHARE if len(title) else 1.0
        parts.append(body_share * intensity_shares(windows[len(title) :]))
    shares = np.concatenate(parts)
    return PooledText(
        families=shares @ windows,
        labels=shares @ labels,
        valence=float(np.clip(shares @ graded(labels, LABEL_VALENCE), -1.0, 1.0)),
        arousal=float(np.clip(shares @ graded(labels, LABEL_AROUSAL), 0.0, 1.0)),
        windows=windows,
        shares=shares,
    )


def packed(lengths: Sequence[int], *, most: int) -> list[list[int]]:
    """Places of consecutive parts that are read in one window, in order.

    lengths: pieces of each part. A part longer than `most` has a window of its own.
    Windows are filled evenly, so that the last one is not a scrap without context.
    """
    total = sum(lengths)
    even = -(-total // max(1, -(-total // most)))
    windows: list[list[int]] = []
    filled = most
    for place, length in enumerate(lengths):
        if filled >= even or filled + length > most:
            windows.append([])
            filled = 0
        windows[-1].append(place)
        filled += length
    return windows
