"""How one customer's profile went over time: what a fold at each moment would give."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Final

import numpy as np

from segmentation.profile.decay import (
    FAST_DAYS,
    PEAK_DAYS,
    SLOW_DAYS,
    ProfileSums,
    decay,
    fold,
)
from segmentation.profile.events import FloatArray, IntArray, Texts
from segmentation.profile.shrinkage import FAST_PSEUDO_WEIGHT

# Days, weeks, four weeks, a quarter: what a reader can count in.
STEPS_DAYS: Final = (1, 7, 28, 91)
STEPS_MOST: Final = 26
# Volatility from so much evidence on, an arrow from so many standard errors on:
# method.md 1.4. What is said of lately needs as much fresh evidence as a hold: 3.5.
EVIDENCE_TO_VARY: Final = 3.0
FRESH_EVIDENCE: Final = 0.5
ERRORS_NEEDED: Final = 2.0
_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Course:
    """One customer at several moments, oldest first; every array has a row a moment.

    sums: as fold() gives them. fast_valence: (m,), valence summed on the fast clock.
    """

    sums: ProfileSums
    fast_valence: FloatArray

    def state_valence(self, overall: float) -> FloatArray:
        """Valence on the 30-day clock, (m,), -1 to 1; shrunk as negativity() is."""
        shrunk: FloatArray = (self.fast_valence + FAST_PSEUDO_WEIGHT * overall) / (
            self.sums.fast_weight + FAST_PSEUDO_WEIGHT
        )
        return shrunk


def moments_until(at: datetime, *, first: datetime) -> list[datetime]:
    """The ends of days (UTC), evenly apart, up to a moment, and that moment itself.

    first: the first text's time, not after `at`; the oldest moment lies before it. At
    most 28. Ends of days, since what a text counts depends on the others of its day.
    """
    days = (at - first) / timedelta(days=1)
    step = next(
        (each for each in STEPS_DAYS if days <= each * STEPS_MOST),
        ceil(days / STEPS_MOST),
    )
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    moments = [at]
    while moments[-1] >= first:
        before = timedelta(days=len(moments) * step - 1, microseconds=1)
        moments.append(midnight - before)
    return moments[::-1]


def course_of(texts: Texts, ages: FloatArray) -> Course:
    """One customer's sums at several moments; as much work as texts and moments.

    texts: of one customer, weights capped by day. ages: (m,) days before the moment
    that the texts' ages count from, falling; all but 0 the ends of days, see
    moments_until(). Row k is what fold() gives of the texts up to then, as of then.
    Raises ValueError if texts are of several customers or ages do not fall.
    Source: method.md 1.3; docs/method.md, "Profile".
    """
    if texts.n_customers != 1:
        raise ValueError(f"A course is of one customer; these are {texts.n_customers}.")
    if (np.diff(ages) >= 0).any():
        raise ValueError("Moments need to come oldest first, each once.")
    # The first moment that knows of a text; those of the future belong to none.
    known_at = len(ages) - np.searchsorted(ages[::-1], texts.age_days, side="right")
    texts_of_rows, fast = _as_rows(texts, ages, known_at)
    new = fold(texts_of_rows)
    new_valence = np.bincount(
        texts_of_rows.customer, fast * texts_of_rows.valence, minlength=len(ages)
    )
    # From the moment of each column to that of each row, in days; none goes back.
    gaps = np.maximum(ages[None, :] - ages[:, None], 0.0)
    heard = np.tri(len(ages))
    slow = heard * decay(gaps, half_life_days=SLOW_DAYS)
    quick = heard * decay(gaps, half_life_days=FAST_DAYS)
    peaks = heard * decay(gaps, half_life_days=PEAK_DAYS) * new.peak
    sums = ProfileSums(
        weight=slow @ new.weight,
        weight_sq=slow**2 @ new.weight_sq,
        families=slow @ new.families,
        valence=slow @ new.valence,
        valence_sq=slow @ new.valence_sq,
        fast_weight=quick @ new.fast_weight,
        fast_families=quick @ new.fast_families,
        peak=peaks.max(axis=1),
        texts=np.cumsum(new.texts),
    )
    return Course(sums, quick @ new_valence)


def _as_rows(
    texts: Texts, ages: FloatArray, known_at: IntArray
) -> tuple[Texts, FloatArray]:
    """The texts as if every moment were a customer who said what was new by then."""
    inside = known_at < len(ages)
    row = known_at[inside]
    age = texts.age_days[inside] - ages[row]
    of_rows = Texts(
        n_customers=len(ages),
        customer=row,
        age_days=age,
        source=texts.source[inside],
        weight=texts.weight[inside],
        families=texts.families[inside],
        valence=texts.valence[inside],
    )
    return of_rows, of_rows.weight * decay(age, half_life_days=FAST_DAYS)


@dataclass(frozen=True, slots=True)
class Trend:
    """volatility: standard deviation of valence. change: mean valence on the fast clock
    minus that on the slow one; error: its standard error."""

    volatility: float
    change: float
    error: float

    @property
    def clear(self) -> bool:
        return abs(self.change) > ERRORS_NEEDED * self.error + _ROUNDING


def trend_of(texts: Texts) -> Trend | None:
    """What lately differs from always, as of the moment that ages count from.

    texts: of one customer. None while there is too little evidence, or too little of it
    fresh. Source: method.md 1.4.
    """
    slow = texts.weight * decay(texts.age_days, half_life_days=SLOW_DAYS)
    fast = texts.weight * decay(texts.age_days, half_life_days=FAST_DAYS)
    if slow.sum() < EVIDENCE_TO_VARY or fast.sum() < FRESH_EVIDENCE:
        return None
    slow, fast = slow / slow.sum(), fast / fast.sum()
    mean = float(slow @ texts.valence)
    volatility = float(np.sqrt(max(0.0, float(slow @ texts.valence**2) - mean**2)))
    return Trend(
        volatility,
        float(fast @ texts.valence) - mean,
        volatility * float(np.sqrt(((fast - slow) ** 2).sum())),
    )
