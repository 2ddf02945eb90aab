"""Rows of many customers → one row a customer."""

import numpy as np

from segmentation.profile.events import FloatArray, IntArray


def per_customer(who: IntArray, values: FloatArray, n: int) -> FloatArray:
    """The sum of each customer's values: (n,) of (m,), or (n, k) of (m, k).

    who: (m,) whose each value is, 0 to n - 1. A customer without any has 0.
    """
    if values.ndim == 1:
        # Of nothing at all bincount gives whole numbers.
        return np.bincount(who, values, minlength=n).astype(np.float64)
    columns = [np.bincount(who, column, minlength=n) for column in values.T]
    return np.stack(columns, axis=1).astype(np.float64)
