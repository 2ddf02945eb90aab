"""Each source has its own everyday mix: a neutral ticket is no indifferent person."""

from typing import Final

import numpy as np

from segmentation.profile.events import N_FAMILIES, FloatArray, IntArray
from segmentation.profile.sums import sum_by

# Pseudo-texts of the overall mean in every source's mean: method.md 1.2.
PSEUDO_TEXTS: Final = 200.0
# No family is quite absent: keeps likelihoods finite for a source nobody wrote in.
LEAST_SHARE: Final = 1e-4


def overall_mix(families: FloatArray) -> FloatArray:
    """The mean family mix of all texts, (9,); even when there is no text."""
    if not len(families):
        return np.full(N_FAMILIES, 1 / N_FAMILIES)
    mean = np.maximum(families.mean(axis=0), LEAST_SHARE)
    mix: FloatArray = mean / mean.sum()
    return mix


def source_baselines(
    families: FloatArray, source: IntArray, *, n_sources: int
) -> FloatArray:
    """Mean family mix of each source, smoothed towards the overall mean.

    families: (n, 9); source: (n,) indices below n_sources. Returns (n_sources, 9), rows
    sum to 1. Source: method.md 1.2; docs/method.md, "Source baseline".
    """
    overall = overall_mix(families)
    counts = np.bincount(source, minlength=n_sources).astype(np.float64)
    sums = sum_by(source, families, n_sources)
    smoothed: FloatArray = (sums + PSEUDO_TEXTS * overall) / (
        counts[:, None] + PSEUDO_TEXTS
    )
    return smoothed


def likelihoods(
    families: FloatArray, source: IntArray, baselines: FloatArray
) -> FloatArray:
    """How many times its source's usual share each family has in a text: (n, 9)."""
    ratio: FloatArray = families / baselines[source]
    return ratio
