"""Decayed sums: older texts count less, and any order gives the same profile.

A text of age a counts w 2^(-a / H). Such sums may be folded in any order, late, in
batches, and two customers who turn out to be one are merged by adding.
Source: exponential decay; method.md 1.3; docs/method.md, "Profile".
"""

from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from segmentation.profile.events import N_FAMILIES, FloatArray, Texts
from segmentation.profile.sums import sum_by

SLOW_DAYS: Final = 180.0  # disposition: chooses the tone
FAST_DAYS: Final = 30.0  # state: drives holds
PEAK_DAYS: Final = 90.0
_NEGATIVE: Final = (0, 1, 3)  # anger, anxiety, sadness in the order of FAMILIES


def decay(age_days: FloatArray | float, *, half_life_days: float) -> FloatArray:
    """2^(-age / H): 1 now, one half after one half-life. Raises if an age is < 0."""
    ages = np.asarray(age_days, np.float64)
    if ages.size and ages.min() < 0:
        raise ValueError(f"An age needs to be 0 days or more; it is {ages.min():.3f}.")
    weight: FloatArray = np.exp2(-ages / half_life_days)
    return weight


def negative_mass(families: FloatArray) -> FloatArray:
    """The share of anger, anxiety and sadness: (n,) of (n, 9)."""
    mass: FloatArray = families[:, _NEGATIVE].sum(axis=1)
    return mass


@dataclass(slots=True)
class ProfileSums:
    """Sums of all customers as of one moment; every array has a row a customer.

    weight W, weight_sq (sum of squared weights), families (n, 9), valence, valence_sq:
    half-life 180 days. fast_weight, fast_families: 30 days. peak: the strongest
    negative text, half-life 90 days. texts: how many, not decayed.
    """

    weight: FloatArray
    weight_sq: FloatArray
    families: FloatArray
    valence: FloatArray
    valence_sq: FloatArray
    fast_weight: FloatArray
    fast_families: FloatArray
    peak: FloatArray
    texts: FloatArray

    @classmethod
    def empty(cls, n_customers: int) -> "ProfileSums":
        def flat() -> FloatArray:
            return np.zeros(n_customers)

        def wide() -> FloatArray:
            return np.zeros((n_customers, N_FAMILIES))

        return cls(
            flat(), flat(), wide(), flat(), flat(), flat(), wide(), flat(), flat()
        )

    def advance(self, days: float) -> "ProfileSums":
        """The same sums seen this many days later."""
        slow = float(decay(days, half_life_days=SLOW_DAYS))
        fast = float(decay(days, half_life_days=FAST_DAYS))
        return ProfileSums(
            self.weight * slow,
            self.weight_sq * slow**2,
            self.families * slow,
            self.valence * slow,
            self.valence_sq * slow,
            self.fast_weight * fast,
            self.fast_families * fast,
            self.peak * float(decay(days, half_life_days=PEAK_DAYS)),
            self.texts,
        )

    def plus(self, other: "ProfileSums") -> "ProfileSums":
        """Sums as of the same moment, added row by row; the higher peak stays."""
        merged = {
            field.name: getattr(self, field.name) + getattr(other, field.name)
            for field in fields(self)
        }
        merged["peak"] = np.maximum(self.peak, other.peak)
        return ProfileSums(**merged)


def fold(texts: Texts) -> ProfileSums:
    """The sums of these texts as of the moment their ages count from."""
    n = texts.n_customers
    who = texts.customer
    slow = texts.weight * decay(texts.age_days, half_life_days=SLOW_DAYS)
    fast = texts.weight * decay(texts.age_days, half_life_days=FAST_DAYS)
    peak = np.zeros(n)
    strength = negative_mass(texts.families) * decay(
        texts.age_days, half_life_days=PEAK_DAYS
    )
    np.maximum.at(peak, who, strength)
    return ProfileSums(
        weight=sum_by(who, slow, n),
        weight_sq=sum_by(who, slow**2, n),
        families=sum_by(who, slow[:, None] * texts.families, n),
        valence=sum_by(who, slow * texts.valence, n),
        valence_sq=sum_by(who, slow * texts.valence**2, n),
        fast_weight=sum_by(who, fast, n),
        fast_families=sum_by(who, fast[:, None] * texts.families, n),
        peak=peak,
        texts=np.bincount(who, minlength=n).astype(np.float64),
    )
