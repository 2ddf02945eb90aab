"""From what texts say for each segment to how sure each segment is.

Apart from the estimator, since scikit-learn takes over a second to import.
Source: method.md 2.2; docs/method.md, "Segments".
"""

from typing import Final

import numpy as np

from segmentation.profile.events import FloatArray, IntArray
from segmentation.profile.sums import sum_by

# Pseudo-texts that hold each row at its anchor, where nothing was learned before;
# pseudo-customers that hold each segment's share at the others'.
COLD_STRENGTH: Final = 100.0
SHARE_STRENGTH: Final = 20.0


def evidence_of_texts(
    density: FloatArray, customer: IntArray, weight: FloatArray, n: int
) -> FloatArray:
    """Log evidence of each customer's texts for each segment: (n, segments).

    density: (texts, segments) how likely each text is in each, against everybody.
    """
    return sum_by(customer, weight[:, None] * np.log(density), n)


def posterior(evidence: FloatArray, shares: FloatArray, temper: float) -> FloatArray:
    """Probability of each segment: softmax(temper E + ln p).

    evidence: (n, 7) log evidence; shares: (7,), sums to 1. Returns (n, 7).
    """
    logits = temper * evidence + np.log(shares)
    logits -= logits.max(axis=1, keepdims=True)
    weight = np.exp(logits)
    probability: FloatArray = weight / weight.sum(axis=1, keepdims=True)
    return probability
