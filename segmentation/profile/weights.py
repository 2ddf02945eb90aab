"""How much a text counts before it ages."""

from typing import Final

import numpy as np

from segmentation.profile.events import SOURCE_WEIGHT, FloatArray, IntArray

__all__ = ["DAY_CAP", "SOURCE_WEIGHT", "cap_by_day"]

# All texts of one customer on one day count for two at most: texts of one thread
# repeat one story. Source: method.md 1.1.
DAY_CAP: Final = 2.0


def cap_by_day(
    customer: IntArray, day: IntArray, weight: FloatArray, *, cap: float = DAY_CAP
) -> FloatArray:
    """Scale down the weights of a customer's day that add up to more than the cap.

    customer, day: (n,) keys, the day being the text's own in UTC: a weight must not
    depend on the hour of a fit. weight: (n,), >= 0. Returns (n,), in the same order.
    """
    if not len(weight):
        return weight.copy()
    # One number a pair: a fifth of the time that sorting pairs takes.
    first = day.min()
    pairs = customer * (day.max() - first + 1) + (day - first)
    _, group = np.unique(pairs, return_inverse=True)
    total = np.bincount(group, weight)
    scale = np.minimum(1.0, cap / np.maximum(total, cap))
    capped: FloatArray = weight * scale[group]
    return capped
