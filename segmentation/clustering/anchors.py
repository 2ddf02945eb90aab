"""The seven canonical segments, as crude mixes of families that a fit may move."""

from typing import Final

import numpy as np

from segmentation.emotion.families import FAMILIES, FloatArray

# Named mass of each segment; the rest is everybody's mix: method.md 2.2, step 1.
ANCHORS: Final[dict[str, dict[str, float]]] = {
    "frustrated": {"anger": 0.60},
    "anxious": {"anxiety": 0.40, "confusion": 0.20},
    "disappointed": {"sadness": 0.60},
    "excited": {"excitement": 0.40, "joy": 0.20},
    "trusting": {"trust": 0.60},
    "questioning": {"curiosity": 0.30, "confusion": 0.30},
    "neutral": {"neutral": 0.75},
}
SEGMENTS: Final = tuple(ANCHORS)
MIXED: Final = "mixed"
UNKNOWN: Final = "unknown"
# With fewer customers who wrote, the rows stay as they are: method.md 2.2, step 4.
LEARN_FROM: Final = 500


def anchor_matrix(mix: FloatArray) -> FloatArray:
    """The anchors in a shop whose overall family mix this is: (7, 9), rows sum to 1."""
    rows = np.zeros((len(SEGMENTS), len(FAMILIES)))
    for row, named in zip(rows, ANCHORS.values(), strict=True):
        for family, mass in named.items():
            row[FAMILIES.index(family)] = mass
        row += (1 - sum(named.values())) * mix / mix.sum()
    return rows
