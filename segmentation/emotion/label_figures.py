"""Figures over the 28 labels and their groupings, as GoEmotions' authors report them.

F1 with one decision threshold per label, set on the development split as the median of
100 bootstrap tunings; groupings are any-of; calibration over all (text, label) pairs.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from segmentation.emotion.families import FAMILIES, FAMILY_LABELS, LABELS, FloatArray

_POSITIVE: Final = (
    "amusement excitement joy love desire optimism caring pride admiration gratitude "
    "relief approval"
).split()
_NEGATIVE: Final = (
    "fear nervousness remorse embarrassment disappointment sadness grief disgust anger "
    "annoyance disapproval"
).split()
_AMBIGUOUS: Final = "realization surprise curiosity confusion".split()

Groups = Mapping[str, Sequence[str]]

SENTIMENT: Final[Groups] = {
    "positive": _POSITIVE,
    "negative": _NEGATIVE,
    "ambiguous": _AMBIGUOUS,
    "neutral": ["neutral"],
}
EKMAN: Final[Groups] = {
    "anger": "anger annoyance disapproval".split(),
    "disgust": ["disgust"],
    "fear": "fear nervousness".split(),
    "joy": _POSITIVE,
    "sadness": "sadness disappointment embarrassment grief remorse".split(),
    "surprise": _AMBIGUOUS,
    "neutral": ["neutral"],
}
NINE: Final[Groups] = {family: FAMILY_LABELS[family] for family in FAMILIES}

# Of fewer the cut of a rare group, such as disgust, was one of chance: Ekman moved by
# 0.005 with the draw.
_BOOTSTRAPS: Final = 100
_CALIBRATION_BINS: Final = 15
_SMOOTHED_SHARE: Final = 0.15  # of a label's rows: a rare one has no lucky cut
_RULES: Final = ("noisy-or", "largest", "sum")


def thresholds(truth: FloatArray, scores: FloatArray, *, seed: int = 0) -> FloatArray:
    """(k,): the cut per column that gives the best F1, median of bootstrap tunings."""
    chance = np.random.default_rng(seed)
    cuts = []
    for _ in range(_BOOTSTRAPS):
        rows = chance.integers(0, len(truth), len(truth))
        cuts.append(_best_cuts(truth[rows], scores[rows]))
    return np.asarray(np.median(cuts, axis=0))


def f1(truth: FloatArray, present: NDArray[np.bool_]) -> FloatArray:
    """(k,): F1 per column; 0 where a column is empty in both."""
    hits = (truth * present).sum(axis=0)
    total = truth.sum(axis=0) + present.sum(axis=0)
    return np.asarray(np.where(total > 0, 2 * hits / np.maximum(total, 1e-9), 0.0))


def micro_f1(truth: FloatArray, present: NDArray[np.bool_]) -> float:
    """F1 over all pairs together."""
    return float(2 * (truth * present).sum() / (truth.sum() + present.sum()))


def calibration_error(truth: FloatArray, scores: FloatArray) -> float:
    """Expected calibration error over all (text, label) pairs, 15 even bins."""
    y, p = truth.ravel(), scores.ravel()
    bins = np.minimum((p * _CALIBRATION_BINS).astype(int), _CALIBRATION_BINS - 1)
    error = 0.0
    for number in np.unique(bins):
        inside = bins == number
        error += inside.mean() * abs(y[inside].mean() - p[inside].mean())
    return float(error)


def grouped(values: FloatArray, groups: Groups, rule: str) -> FloatArray:
    """(n, 28) → (n, groups) by noisy-or, the largest or the sum (at most 1)."""
    columns = []
    for labels in groups.values():
        found = values[:, [LABELS.index(label) for label in labels]]
        if rule == "noisy-or":
            columns.append(1.0 - np.prod(1.0 - found, axis=1))
        elif rule == "largest":
            columns.append(found.max(axis=1))
        else:
            columns.append(np.minimum(found.sum(axis=1), 1.0))
    return np.stack(columns, axis=1)


def figures(
    dev: tuple[FloatArray, FloatArray], test: tuple[FloatArray, FloatArray]
) -> dict[str, Any]:
    """Everything that is tuned on `dev` and counted on `test`, each (truth, scores)."""
    cuts = thresholds(*dev)
    present = test[1] >= cuts
    per_label = f1(test[0], present)
    found: dict[str, Any] = {
        "macro_f1": float(per_label.mean()),
        "macro_f1_interval": _interval(*test, cuts),
        "micro_f1": micro_f1(test[0], present),
        "ece": calibration_error(*test),
        "per_label_f1": dict(zip(LABELS, map(float, per_label), strict=True)),
        "thresholds": [float(cut) for cut in cuts],
    }
    for name, groups in (("ekman", EKMAN), ("sentiment", SENTIMENT), ("nine", NINE)):
        found[name] = _group_figures(groups, dev, test)
    return found


def _group_figures(
    groups: Groups,
    dev: tuple[FloatArray, FloatArray],
    test: tuple[FloatArray, FloatArray],
) -> dict[str, Any]:
    """The rule that pools a group's labels is chosen on dev as well."""
    truth = grouped(dev[0], groups, "largest")
    tried = []
    for rule in _RULES:
        scores = grouped(dev[1], groups, rule)
        cuts = thresholds(truth, scores)
        tried.append((float(f1(truth, scores >= cuts).mean()), rule, cuts))
    _, rule, cuts = max(tried, key=lambda found: found[0])
    per_group = f1(
        grouped(test[0], groups, "largest"), grouped(test[1], groups, rule) >= cuts
    )
    return {
        "macro_f1": float(per_group.mean()),
        "rule": rule,
        "per_group_f1": dict(zip(groups, map(float, per_group), strict=True)),
    }


def _best_cuts(truth: FloatArray, scores: FloatArray) -> FloatArray:
    cuts = np.zeros(scores.shape[1])
    for column in range(scores.shape[1]):
        order = np.argsort(-scores[:, column], kind="stable")
        y, s = truth[order, column], scores[order, column]
        curve = 2 * np.cumsum(y) / (np.arange(1, len(y) + 1) + y.sum())
        width = max(1, int(_SMOOTHED_SHARE * y.sum()))
        if width > 1:
            padded = np.pad(curve, (width // 2, width - 1 - width // 2), mode="edge")
            curve = np.convolve(padded, np.ones(width) / width, mode="valid")
        best = int(np.argmax(curve))
        cuts[column] = (s[best] + s[min(best + 1, len(s) - 1)]) / 2
    return np.clip(cuts, 0.01, 0.99)


def _interval(truth: FloatArray, scores: FloatArray, cuts: FloatArray) -> list[float]:
    chance = np.random.default_rng(0)
    values = []
    for _ in range(200):
        rows = chance.integers(0, len(truth), len(truth))
        values.append(float(f1(truth[rows], scores[rows] >= cuts).mean()))
    return [float(value) for value in np.quantile(values, [0.025, 0.975])]
