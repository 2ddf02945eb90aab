"""How good a run is, and how a segment differs from everyone."""

from typing import Final

import numpy as np

from segmentation.profile.decay import ProfileSums
from segmentation.profile.events import FloatArray, IntArray

Z_95: Final = 1.96
LEAST_SHARE: Final = 1e-9
# Fewer people give no rates and no signature: method.md 3.6.
PEOPLE_NEEDED: Final = 20
# Below so many scored customers nothing is reported per segment: method.md 2.2.
REPORT_FROM: Final = 100
# A refit that does more than this waits for approval: method.md 2.4.
RENAMED_MOST: Final = 0.10
SHIFT_MOST: Final = 0.08


def signature(
    sums: ProfileSums, inside: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> FloatArray | None:
    """How much of each family a segment's words carry, against everyone.

    inside: (n,) who is in it. Returns (9, 3): ratio, and its 95 % range from customers
    as units (a ratio estimator's linear error); None below 20 people with words.
    """
    wrote = sums.weight > 0
    members = inside & wrote
    if int(members.sum()) < PEOPLE_NEEDED:
        return None
    everyone = sums.families[wrote].sum(axis=0) / sums.weight[wrote].sum()
    everyone = np.maximum(everyone, LEAST_SHARE)
    weight = sums.weight[members]
    share = sums.families[members].sum(axis=0) / weight.sum()
    residual = sums.families[members] - weight[:, None] * share
    error = np.sqrt((residual**2).sum(axis=0)) / weight.sum()
    ratio = share / everyone
    spread = np.exp(Z_95 * error / np.maximum(share, LEAST_SHARE))
    return np.stack([ratio, ratio / spread, ratio * spread], axis=1)


def renamed_share(before: IntArray, after: IntArray, *, n_named: int) -> float:
    """Of customers with a named segment before and after, the share renamed.

    before, after: labels; below n_named they are names, -1 is no place so far. Who
    comes out of unknown or mixed has learned something new: that renames nobody.
    """
    named = _named(before, after, n_named)
    return float((before[named] != after[named]).mean()) if named.any() else 0.0


def largest_shift(before: IntArray, after: IntArray, *, n_named: int) -> float:
    """The largest change of a segment's share among those named before and after."""
    named = _named(before, after, n_named)
    if not named.any():
        return 0.0
    then = np.bincount(before[named], minlength=n_named) / named.sum()
    now = np.bincount(after[named], minlength=n_named) / named.sum()
    return float(np.abs(now - then).max())


def _named(
    before: IntArray, after: IntArray, n_named: int
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return (before >= 0) & (before < n_named) & (after < n_named)


def calibration_error(
    probability: FloatArray, correct: FloatArray, *, bins: int = 10
) -> float:
    """Expected calibration error: |stated - true| share, weighted by bin size."""
    place = np.minimum((probability * bins).astype(int), bins - 1)
    size = np.bincount(place, minlength=bins)
    stated = np.bincount(place, probability, minlength=bins)
    true = np.bincount(place, correct, minlength=bins)
    return float(np.abs(stated - true).sum() / max(1, size.sum()))
