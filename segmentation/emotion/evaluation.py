"""How well a reader reads: labelled texts and what was read of them → figures.

Every share comes with its 95 % Wilson interval, every other figure with a bootstrap
interval over texts. A text that was not read counts as wrong, never as left out; the
figures over read texts alone stand beside.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from customers.proportions import wilson_interval
from segmentation.emotion.families import FAMILIES, FloatArray

CONFIDENCE_BINS: Final = 10
BOOTSTRAPS: Final = 500
# Valence of a reading, -1 to 1: beyond these it is called positive or negative. Set on
# GoEmotions dev and the development set; see docs/emotion_model.md.
NEGATIVE_BELOW: Final = -0.1
POSITIVE_ABOVE: Final = 0.1
SIGNS: Final = ("negative", "neutral", "positive")

Interval = tuple[float, float]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LabelledText:
    """One text and what it should be read as.

    family: of the nine, "" where only valence is known. acceptable: also right.
    valence: -1 to 1, or None. kind: for figures apart. hard: the labeller's own doubt.
    """

    text: str
    family: str = ""
    acceptable: frozenset[str] = frozenset()
    valence: float | None = None
    kind: str = ""
    hard: bool = False
    title: str = ""
    rating: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What was read of one text. families: (9,), or None if not read, for `why`."""

    families: FloatArray | None
    valence: float = 0.0
    why: str = ""

    @property
    def family(self) -> str:
        if self.families is None:
            return ""
        return FAMILIES[int(np.argmax(self.families))]

    @property
    def confidence(self) -> float:
        return 0.0 if self.families is None else float(np.max(self.families))


def evaluate(
    rows: Sequence[LabelledText], answers: Sequence[Answer], *, seed: int = 0
) -> dict[str, Any]:
    """All figures, as plain numbers ready for JSON.

    answers[i] belongs to rows[i]. Raises ValueError for no rows or unequal lengths.
    """
    if not rows:
        raise ValueError("An evaluation needs at least one labelled text, got none.")
    if len(rows) != len(answers):
        raise ValueError(f"{len(rows)} texts but {len(answers)} answers.")
    found: dict[str, Any] = {
        "texts": len(rows),
        "abstained": _abstained(answers),
    }
    pairs = [
        (row, answer)
        for row, answer in zip(rows, answers, strict=True)
        if row.family in FAMILIES
    ]
    if pairs:
        found["family"] = family_figures(pairs, seed=seed)
    signed = [
        (row.valence, answer)
        for row, answer in zip(rows, answers, strict=True)
        if row.valence is not None
    ]
    if signed:
        found["valence"] = valence_figures(signed, seed=seed)
    return found


Pair = tuple[LabelledText, Answer]


def family_figures(pairs: Sequence[Pair], *, seed: int = 0) -> dict[str, Any]:
    """Top-1 accuracy, macro-F1, calibration, coverage, per family and per kind."""
    true = np.array([FAMILIES.index(row.family) for row, _ in pairs])
    said = np.array([_index(answer.family) for _, answer in pairs])
    strict = said == true
    lenient = np.array([_acceptable(row, answer) for row, answer in pairs])
    confidence = np.array([answer.confidence for _, answer in pairs])
    read = said >= 0
    figures: dict[str, Any] = {
        "texts": len(pairs),
        "accuracy_strict": share(int(strict.sum()), len(pairs)),
        "accuracy_acceptable": share(int(lenient.sum()), len(pairs)),
        "macro_f1": _bootstrapped(
            lambda rows: macro_f1(true[rows], said[rows]), len(pairs), seed
        ),
        "calibration": calibration(confidence[read], strict[read]),
        "coverage": coverage(confidence, strict, lenient),
        "by_family": _by_family(true, said),
        "confusion": _confusion(true, said),
    }
    kinds = [row.kind for row, _ in pairs]
    if any(kinds):
        figures["by_kind"] = _by_group(kinds, strict, lenient)
    if any(row.hard for row, _ in pairs):
        names = ["hard" if row.hard else "plain" for row, _ in pairs]
        figures["by_difficulty"] = _by_group(names, strict, lenient)
    return figures


def valence_figures(
    pairs: Sequence[tuple[float, Answer]], *, seed: int = 0
) -> dict[str, Any]:
    """Three-way accuracy by sign, and AUC of positive against negative texts."""
    true = np.array([sign(value, 0.0, 0.0) for value, _ in pairs])
    scores = np.array([answer.valence for _, answer in pairs])
    read = np.array([answer.families is not None for _, answer in pairs])
    said = np.array([sign(value, NEGATIVE_BELOW, POSITIVE_ABOVE) for value in scores])
    right = (said == true) & read
    figures: dict[str, Any] = {
        "texts": len(pairs),
        "accuracy": share(int(right.sum()), len(pairs)),
        "by_sign": {
            name: share(int(right[true == value].sum()), int((true == value).sum()))
            for value, name in zip((-1, 0, 1), SIGNS, strict=True)
            if (true == value).any()
        },
    }
    poles = true != 0
    if len(set(true[poles])) == 2:
        figures["auc"] = _bootstrapped(
            lambda rows: auc(scores[poles][rows], true[poles][rows] > 0),
            int(poles.sum()),
            seed,
        )
        two = ((scores[poles] > 0) == (true[poles] > 0)) & read[poles]
        figures["accuracy_two_way"] = share(int(two.sum()), int(poles.sum()))
    return figures


def sign(value: float, below: float, above: float) -> int:
    """-1, 0 or 1."""
    return int(value > above) - int(value < below)


def share(hits: int, n: int) -> dict[str, Any]:
    """A share with its Wilson interval."""
    low, high = wilson_interval(hits, n)
    return {
        "share": _rounded(hits / n) if n else None,
        "of": n,
        "interval": [_rounded(low), _rounded(high)],
    }


def auc(scores: FloatArray, positive: NDArray[np.bool_]) -> float:
    """Chance that a positive one scores above a negative one, ties half."""
    order = np.argsort(scores, kind="stable")
    ranks = np.empty(len(scores))
    ranks[order] = np.arange(1, len(scores) + 1)
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.bincount(inverse, ranks) / counts)[inverse]
    n, m = int(positive.sum()), int((~positive).sum())
    if not n or not m:
        return float("nan")
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * m))


def macro_f1(true: IntArray, said: IntArray) -> float:
    """Mean F1 over the families that occur among the true ones."""
    return float(np.mean([_f1(true == one, said == one) for one in np.unique(true)]))


def calibration(confidence: FloatArray, right: NDArray[np.bool_]) -> dict[str, Any]:
    """Expected calibration error of the top family's share, and its ten bins."""
    bins = np.minimum((confidence * CONFIDENCE_BINS).astype(int), CONFIDENCE_BINS - 1)
    rows = []
    error = 0.0
    for number in range(CONFIDENCE_BINS):
        inside = bins == number
        if not inside.any():
            continue
        said, was = float(confidence[inside].mean()), float(right[inside].mean())
        error += float(inside.mean()) * abs(said - was)
        rows.append(
            {
                "texts": int(inside.sum()),
                "confidence": _rounded(said),
                "accuracy": _rounded(was),
            }
        )
    return {"ece": _rounded(error) if rows else None, "bins": rows}


def coverage(
    confidence: FloatArray, strict: NDArray[np.bool_], lenient: NDArray[np.bool_]
) -> list[dict[str, Any]]:
    """What is gained by calling doubtful readings unknown, at rising lines."""
    lines = []
    for line in (0.0, 0.3, 0.4, 0.5, 0.6, 0.7):
        kept = (confidence >= line) & (confidence > 0)
        n = int(kept.sum())
        lines.append(
            {
                "confidence_from": line,
                "coverage": _rounded(n / len(confidence)),
                "strict": _rounded(float(strict[kept].mean())) if n else None,
                "acceptable": _rounded(float(lenient[kept].mean())) if n else None,
            }
        )
    return lines


def _abstained(answers: Sequence[Answer]) -> dict[str, Any]:
    reasons = Counter(answer.why for answer in answers if answer.families is None)
    return {
        **share(sum(reasons.values()), len(answers)),
        "reasons": dict(sorted(reasons.items())),
    }


def _acceptable(row: LabelledText, answer: Answer) -> bool:
    return answer.family != "" and answer.family in {row.family, *row.acceptable}


def _index(family: str) -> int:
    return FAMILIES.index(family) if family else -1


def _f1(true: NDArray[np.bool_], said: NDArray[np.bool_]) -> float:
    hits = int((true & said).sum())
    total = int(true.sum() + said.sum())
    return 2 * hits / total if total else 0.0


def _by_family(true: IntArray, said: IntArray) -> dict[str, Any]:
    figures = {}
    for number, family in enumerate(FAMILIES):
        here, there = true == number, said == number
        hits = int((here & there).sum())
        figures[family] = {
            "texts": int(here.sum()),
            "recall": _rounded(hits / here.sum()) if here.any() else None,
            "precision": _rounded(hits / there.sum()) if there.any() else None,
            "f1": _rounded(_f1(here, there)),
        }
    return figures


def _confusion(true: IntArray, said: IntArray) -> dict[str, dict[str, int]]:
    """Rows: what it was; columns: what was read, "not read" last; zeros left out."""
    names = (*FAMILIES, "not read")
    table: dict[str, dict[str, int]] = {}
    for number, family in enumerate(FAMILIES):
        counts = Counter(names[column] for column in said[true == number])
        table[family] = {name: counts[name] for name in names if counts[name]}
    return table


def _by_group(
    names: Sequence[str], strict: NDArray[np.bool_], lenient: NDArray[np.bool_]
) -> dict[str, Any]:
    groups: dict[str, Any] = {}
    array = np.array(names)
    for name in sorted(set(names)):
        inside = array == name
        groups[name or "(none)"] = {
            "texts": int(inside.sum()),
            "strict": _rounded(float(strict[inside].mean())),
            "acceptable": _rounded(float(lenient[inside].mean())),
        }
    return groups


def _bootstrapped(
    figure: Callable[[IntArray], float], n: int, seed: int
) -> dict[str, Any]:
    chance = np.random.default_rng(seed)
    values = [figure(chance.integers(0, n, n)) for _ in range(BOOTSTRAPS)]
    low, high = np.nanquantile(values, [0.025, 0.975])
    return {
        "value": _rounded(figure(np.arange(n))),
        "interval": [_rounded(float(low)), _rounded(float(high))],
    }


def _rounded(value: float) -> float:
    return round(float(value), 4)


def summary(figures: Mapping[str, Any]) -> str:
    """One line for a terminal."""
    parts = [f"{figures['texts']:,} texts"]
    family = figures.get("family")
    if family:
        parts += [
            f"strict {family['accuracy_strict']['share']:.3f}",
            f"acceptable {family['accuracy_acceptable']['share']:.3f}",
            f"macro-F1 {family['macro_f1']['value']:.3f}",
        ]
    valence = figures.get("valence")
    if valence:
        parts.append(f"valence {valence['accuracy']['share']:.3f}")
        if "auc" in valence:
            parts.append(f"AUC {valence['auc']['value']:.3f}")
    return ", ".join(parts)
