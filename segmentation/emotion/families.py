"""The labels and families in their one fixed order, and the constants about them.

Every array here is read-only; index f always means `FAMILIES[f]`, l `LABELS[l]`.
Source of the nine families, their valence and arousal: docs/method.md, "Families".
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

FAMILIES: Final = (
    "anger",
    "anxiety",
    "confusion",
    "sadness",
    "excitement",
    "joy",
    "trust",
    "curiosity",
    "neutral",
)
NEUTRAL: Final = FAMILIES.index("neutral")

FAMILY_LABELS: Final[dict[str, tuple[str, ...]]] = {
    "anger": ("anger", "annoyance", "disapproval", "disgust"),
    "anxiety": ("fear", "nervousness"),
    "confusion": ("confusion",),
    "sadness": ("disappointment", "sadness", "grief", "remorse", "embarrassment"),
    "excitement": ("excitement", "desire", "optimism", "surprise"),
    "joy": ("joy", "amusement", "pride", "relief", "love"),
    "trust": ("gratitude", "admiration", "approval", "caring"),
    "curiosity": ("curiosity", "realization"),
    "neutral": ("neutral",),
}

# The order of GoEmotions (Demszky et al. 2020): alphabetical, neutral last.
# With it, each label's valence and arousal, 1 to 9: Glasgow Norms (Scott, Keitel,
# Becirspahic, Yao, Sereno 2019, CC BY). Nearest listed word where the label itself is
# not listed: admire, care, curious, disappoint, reject, nervous, realize, relieved.
_GLASGOW: Final[dict[str, tuple[float, float]]] = {
    "admiration": (7.63, 6.29),
    "amusement": (7.63, 6.49),
    "anger": (2.53, 5.64),
    "annoyance": (2.47, 4.46),
    "approval": (7.44, 5.71),
    "caring": (7.72, 5.29),
    "confusion": (3.24, 4.69),
    "curiosity": (6.78, 6.45),
    "desire": (6.94, 7.42),
    "disappointment": (2.46, 4.00),
    "disapproval": (2.09, 4.17),
    "disgust": (2.37, 4.51),
    "embarrassment": (2.26, 4.85),
    "excitement": (8.29, 7.70),
    "fear": (2.56, 5.17),
    "gratitude": (7.85, 5.43),
    "grief": (1.94, 4.88),
    "joy": (8.06, 6.94),
    "love": (8.65, 8.15),
    "nervousness": (3.03, 5.11),
    "optimism": (8.47, 6.77),
    "pride": (5.94, 5.86),
    "realization": (6.30, 4.94),
    "relief": (7.20, 5.15),
    "remorse": (3.79, 3.55),
    "sadness": (1.85, 3.77),
    "surprise": (7.09, 7.35),
    "neutral": (5.21, 4.00),
}
LABELS: Final = tuple(_GLASGOW)
FLAGS: Final = ("sensitive", "urgent")
"""What the encoder says beside the labels: only a person may answer; at once."""

OUTPUTS: Final = len(LABELS) + len(FLAGS)
"""Columns of every logit and score of a text: the labels, then the flags."""

NEUTRAL_LABEL: Final = LABELS.index("neutral")

# A surprise or a question is good or bad by its context, so it counts a quarter.
_AMBIGUOUS: Final = frozenset({"surprise", "realization", "curiosity", "confusion"})


def _frozen(values: list[float] | list[list[float]]) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    array.flags.writeable = False
    return array


def _valence_weight(label: str) -> float:
    if label == "neutral":
        return 0.0
    weight = (_GLASGOW[label][0] - 5.0) / 4.0
    return weight / 4.0 if label in _AMBIGUOUS else weight


MEMBERSHIP: Final = _frozen(
    [[float(label in FAMILY_LABELS[family]) for family in FAMILIES] for label in LABELS]
)
"""(28, 9): 1 where the label belongs to the family. Every row has exactly one 1."""

VALENCE: Final = _frozen([-1.0, -0.7, -0.35, -0.8, 0.8, 0.95, 0.75, 0.15, 0.0])
"""(9,): how pleasant a family is, -1 to 1."""

AROUSAL: Final = _frozen([0.8, 0.75, 0.4, 0.3, 0.85, 0.6, 0.35, 0.45, 0.1])
"""(9,): how agitated a family is, 0 to 1."""

LABEL_VALENCE: Final = _frozen([_valence_weight(label) for label in LABELS])
"""(28,): (V - 5) / 4, a quarter of it for the ambiguous four, 0 for neutral."""

LABEL_AROUSAL: Final = _frozen([(_GLASGOW[label][1] - 4.0) / 4.0 for label in LABELS])
"""(28,): (A - 4) / 4; 4 is the arousal of neutral."""
