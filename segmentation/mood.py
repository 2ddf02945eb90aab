"""How everybody's texts read over time: shares of families by week or by month."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from segmentation.bulk_rows import INSTANT, read_columns
from segmentation.emotion.families import FAMILIES
from segmentation.frames import days_before, unpack_families
from segmentation.models import EmotionScore

FloatArray = NDArray[np.float64]
STEPS = 12
# A week with fewer texts than this on average jumps about: months are shown then.
TEXTS_A_WEEK_NEEDED = 30
# A comparison of two spans needs this many texts in each.
TEXTS_NEEDED = 20
Z_95 = 1.96
# Texts older than this say nothing about now; the newest text then is "now".
STALE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Change:
    """One family's share of texts, then and now, in [0, 1], with its 95 % ranges."""

    family: str
    then: float
    now: float
    now_low: float
    now_high: float
    # Of now minus then.
    low: float
    high: float

    @property
    def points(self) -> float:
        return self.now - self.then

    @property
    def clear(self) -> bool:
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Mood:
    """shares: (steps, 9), each row sums to 1; starts: first day of each step."""

    as_of: datetime
    stale: bool
    step_days: int
    span_days: int
    starts: tuple[datetime, ...]
    shares: FloatArray
    texts_now: int
    # None while one of the two spans has too few texts.
    changes: tuple[Change, ...] | None


def read_mood(*, at: datetime) -> Mood | None:
    """The mood up to now, from the families of stored scores; None without any text."""
    newest = (
        EmotionScore.objects.filter(occurred_at__lte=at)
        .exclude(families=b"")
        .order_by("-occurred_at")
        .values_list("occurred_at", flat=True)
        .first()
    )
    if newest is None:
        return None
    stale = at - newest > STALE
    as_of = newest if stale else at
    ages, families = _texts(as_of, days=STEPS * 28 + 28)
    weekly = int((ages < STEPS * 7).sum()) >= STEPS * TEXTS_A_WEEK_NEEDED
    step = 7 if weekly else 28
    span = next((days for days in (30, 90) if _enough(ages, days)), 90)
    return Mood(
        as_of=as_of,
        stale=stale,
        step_days=step,
        span_days=span,
        starts=tuple(
            as_of - timedelta(days=step * (STEPS - index)) for index in range(STEPS)
        ),
        shares=shares_by_step(ages, families, step_days=step, steps=STEPS),
        texts_now=int((ages < span).sum()),
        changes=(
            compare(families[ages < span], families[(ages >= span) & (ages < 2 * span)])
            if _enough(ages, span)
            else None
        ),
    )


def _enough(ages: FloatArray, days: int) -> bool:
    now = int((ages < days).sum())
    then = int(((ages >= days) & (ages < 2 * days)).sum())
    return min(now, then) >= TEXTS_NEEDED


def _texts(as_of: datetime, *, days: int) -> tuple[FloatArray, FloatArray]:
    """Ages in days, (n,), and families, (n, 9), of the texts read in these days."""
    found = EmotionScore.objects.filter(
        occurred_at__gt=as_of - timedelta(days=days), occurred_at__lte=as_of
    ).exclude(families=b"")
    columns = read_columns(found, {"occurred_at": INSTANT, "families": "bytes"})
    return (
        days_before(columns["occurred_at"], at=as_of),
        unpack_families(columns["families"]).astype(np.float64),
    )


def shares_by_step(
    ages: FloatArray, families: FloatArray, *, step_days: int, steps: int
) -> FloatArray:
    """Mean family shares of each step, oldest first: (steps, 9).

    ages: (n,) days before the end; families: (n, 9). A step without a text takes the
    one before it (the first: the mean of all), so that a band has no hole.
    """
    result = np.tile(
        families.mean(axis=0) if len(families) else np.full(len(FAMILIES), 1 / 9),
        (steps, 1),
    )
    for index in range(steps):
        oldest = step_days * (steps - index)
        inside = (ages < oldest) & (ages >= oldest - step_days)
        if inside.any():
            result[index] = families[inside].mean(axis=0)
        elif index:
            result[index] = result[index - 1]
    sums: FloatArray = result.sum(axis=1, keepdims=True)
    return result / sums


def compare(now: FloatArray, then: FloatArray) -> tuple[Change, ...]:
    """Every family's mean share now and then; normal ranges with texts as units.

    now, then: (n, 9) and (m, 9), n and m at least 2.
    """
    changes = []
    for index, family in enumerate(FAMILIES):
        mean_now, mean_then = float(now[:, index].mean()), float(then[:, index].mean())
        error_now = float(now[:, index].std(ddof=1)) / sqrt(len(now))
        error_then = float(then[:, index].std(ddof=1)) / sqrt(len(then))
        half = Z_95 * sqrt(error_now**2 + error_then**2)
        gap = mean_now - mean_then
        changes.append(
            Change(
                family,
                mean_then,
                mean_now,
                max(0.0, mean_now - Z_95 * error_now),
                min(1.0, mean_now + Z_95 * error_now),
                gap - half,
                gap + half,
            )
        )
    return tuple(changes)
