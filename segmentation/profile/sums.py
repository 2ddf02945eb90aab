"""Values of many → one row an owner: a customer, a source."""

import numpy as np

from segmentation.profile.events import FloatArray, IntArray


def sum_by(owner: IntArray, values: FloatArray, n: int) -> FloatArray:
    """The sum of each owner's values: (n,) of (m,), or (n, k) of (m, k).

    owner: (m,) whose each value is, 0 to n - 1. Who has none has 0.
    """
    if values.ndim == 1:
        # Of nothing at all bincount gives whole numbers.
        return np.bincount(owner, values, minlength=n).astype(np.float64)
    columns = [np.bincount(owner, column, minlength=n) for column in values.T]
    return np.stack(columns, axis=1).astype(np.float64)
