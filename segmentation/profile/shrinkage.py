"""Towards the population: what little a few texts say about a person."""

from typing import Final

import numpy as np

from segmentation.profile.decay import (
    FAST_DAYS,
    ProfileSums,
    decay,
    negative_mass,
)
from segmentation.profile.events import FloatArray, IntArray
from segmentation.profile.sums import sum_by

# Pull and limits of kappa, and the fast clock's pseudo-weight: method.md 1.4, 1.5.
KAPPA: Final = 6.5
KAPPA_LEAST, KAPPA_MOST = 2.0, 40.0
KAPPA_PULL_CUSTOMERS: Final = 200.0
FAST_PSEUDO_WEIGHT: Final = 1.5
_LEAST_BETWEEN: Final = 1e-9


def kappa_of(families: FloatArray, customer: IntArray) -> float:
    """How many texts of evidence the population is worth (Buehlmann credibility).

    One-way analysis of variance over customers with two texts or more, summed over
    families, limited to 2 to 40 and pulled towards 6.5 while there are few of them.
    families: (n, 9); customer: (n,) keys. Source: method.md 1.5.
    """
    counts = np.bincount(customer)
    kept = counts[customer] >= 2
    _, group = np.unique(customer[kept], return_inverse=True)
    q = families[kept]
    n_texts, k = len(q), int(group.max()) + 1 if len(group) else 0
    if k < 2 or n_texts <= k:
        return KAPPA
    size = np.bincount(group).astype(np.float64)
    means = sum_by(group, q, k) / size[:, None]
    within = float(((q - means[group]) ** 2).sum()) / (n_texts - k)
    between = float((size[:, None] * (means - q.mean(axis=0)) ** 2).sum()) / (k - 1)
    usual_size = (n_texts - float((size**2).sum()) / n_texts) / (k - 1)
    spread = max((between - within) / usual_size, _LEAST_BETWEEN)
    found = float(np.clip(within / spread, KAPPA_LEAST, KAPPA_MOST))
    trust = k / (k + KAPPA_PULL_CUSTOMERS)
    return float(np.exp(trust * np.log(found) + (1 - trust) * np.log(KAPPA)))


def composition(sums: ProfileSums, mix: FloatArray, kappa: float) -> FloatArray:
    """The shrunk family mix of every customer, (n, 9): (Q + kappa pi) / (W + kappa)."""
    shrunk: FloatArray = (sums.families + kappa * mix) / (sums.weight[:, None] + kappa)
    return shrunk


def credibility(weight: FloatArray, kappa: float) -> FloatArray:
    """How much of the composition is the customer's own: W / (W + kappa)."""
    own: FloatArray = weight / (weight + kappa)
    return own


def negativity(sums: ProfileSums, mix: FloatArray) -> FloatArray:
    """Negative mass on the 30-day clock, with 1.5 texts of the population's mean."""
    return negativity_beside(sums, float(negative_mass(mix[None, :])[0]))


def negativity_beside(sums: ProfileSums, usual: FloatArray | float) -> FloatArray:
    """The same; usual: the population's negative mass, one number or (n,)."""
    fresh = negative_mass(sums.fast_families)
    shrunk: FloatArray = (fresh + FAST_PSEUDO_WEIGHT * usual) / (
        sums.fast_weight + FAST_PSEUDO_WEIGHT
    )
    return shrunk


def usual_negativity(sums: ProfileSums, known: FloatArray) -> FloatArray:
    """The population's negative mass, (n,), that negativity() had made `known` with."""
    fresh = negative_mass(sums.fast_families)
    usual: FloatArray = (
        known * (sums.fast_weight + FAST_PSEUDO_WEIGHT) - fresh
    ) / FAST_PSEUDO_WEIGHT
    return usual


def later_negativity(
    sums: ProfileSums, known: FloatArray, days: FloatArray
) -> FloatArray:
    """The same so many days later, (n,), with nothing read in between.

    known: negativity() of these sums. What it says of the population is taken from it.
    """
    faded = decay(days, half_life_days=FAST_DAYS)
    fresh = negative_mass(sums.fast_families) * faded
    later: FloatArray = (fresh + FAST_PSEUDO_WEIGHT * usual_negativity(sums, known)) / (
        sums.fast_weight * faded + FAST_PSEUDO_WEIGHT
    )
    return later


def effective_texts(sums: ProfileSums) -> FloatArray:
    """How many equally fresh texts the evidence is worth: W^2 / W2, 0 without any."""
    safe = np.where(sums.weight_sq > 0, sums.weight_sq, 1.0)
    count: FloatArray = np.where(sums.weight_sq > 0, sums.weight**2 / safe, 0.0)
    return count


def mean_valence(sums: ProfileSums, overall: float, kappa: float) -> FloatArray:
    """The shrunk mean valence, -1 to 1."""
    shrunk: FloatArray = (sums.valence + kappa * overall) / (sums.weight + kappa)
    return shrunk
