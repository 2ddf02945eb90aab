"""How everybody's texts read over time: shares of families by week or by month.

Texts are added up by age, so that a few hundred numbers say it of any number of them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from math import sqrt
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from segmentation.emotion.families import FAMILIES

FloatArray = NDArray[np.float64]
STEPS: Final = 12
WEEK, MONTH = 7, 28
# A week with fewer texts than this on average jumps about: months are shown then.
TEXTS_A_WEEK_NEEDED = 30
# A comparison of two spans needs this many texts in each; the first that has them.
TEXTS_NEEDED = 20
SPANS: Final = (30, 90)
Z_95 = 1.96
# Texts older than this say nothing about now; the newest text then is "now".
STALE = timedelta(days=30)
# Texts that are older count for nothing.
REACH_DAYS: Final = STEPS * MONTH + MONTH
# Days of age at which a step or a span begins or ends.
EDGES: Final = sorted(
    {days * (n + 1) for days in (WEEK, MONTH) for n in range(STEPS)}
    | {days * n for days in SPANS for n in (1, 2)}
    | {0, REACH_DAYS}
)
N_BINS: Final = len(EDGES) - 1


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
    # When it was worked out; nothing: for whoever asked, at that moment.
    kept_at: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "as_of": self.as_of.isoformat(),
            "stale": self.stale,
            "step_days": self.step_days,
            "span_days": self.span_days,
            "shares": self.shares.tolist(),
            "texts_now": self.texts_now,
            "changes": self.changes and [asdict(one) for one in self.changes],
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any], *, kept_at: datetime) -> "Mood":
        as_of = datetime.fromisoformat(kept["as_of"])
        changes = kept["changes"]
        return cls(
            as_of=as_of,
            stale=kept["stale"],
            step_days=kept["step_days"],
            span_days=kept["span_days"],
            starts=_starts(as_of, kept["step_days"]),
            shares=np.array(kept["shares"], np.float64),
            texts_now=kept["texts_now"],
            changes=changes and tuple(Change(**one) for one in changes),
            kept_at=kept_at,
        )


@dataclass(frozen=True, slots=True)
class Summed:
    """n texts; sums: of their families' shares, (9,); squares: of these squared."""

    n: int
    sums: FloatArray
    squares: FloatArray

    @property
    def mean(self) -> FloatArray:
        """(9,); n at least 1."""
        return self.sums / self.n

    @property
    def error(self) -> FloatArray:
        """The standard error of the mean, (9,); n at least 2."""
        around = np.maximum(self.squares - self.sums**2 / self.n, 0.0)
        error: FloatArray = np.sqrt(around / (self.n - 1) / self.n)
        return error


@dataclass(slots=True)
class Tally:
    """Texts by age: bin i goes from EDGES[i] up to, not including, EDGES[i + 1] days.

    counts: (bins,); sums and squares: (bins, 9). newest: of all texts seen, also of
    those that are too old for any bin.
    """

    counts: FloatArray = field(default_factory=lambda: np.zeros(N_BINS))
    sums: FloatArray = field(default_factory=lambda: np.zeros((N_BINS, len(FAMILIES))))
    squares: FloatArray = field(
        default_factory=lambda: np.zeros((N_BINS, len(FAMILIES)))
    )
    newest: datetime | None = None

    def add(self, ages: FloatArray, families: NDArray[Any]) -> None:
        """ages: (n,) days before the end; families: (n, 9)."""
        bins = np.searchsorted(EDGES, ages, side="right")

        def by_bin(weights: Any = None) -> Any:
            # What is older or of tomorrow goes into a bin at either end.
            return np.bincount(bins, weights, minlength=N_BINS + 2)[1:-1]

        self.counts += by_bin()
        # One family at a time: millions of rows come from a fit.
        for index in range(len(FAMILIES)):
            shares = families[:, index].astype(np.float64)
            self.sums[:, index] += by_bin(shares)
            self.squares[:, index] += by_bin(shares**2)

    def between(self, youngest: int, oldest: int) -> Summed:
        """Texts of these ages in days, both of EDGES; oldest not included."""
        inside = slice(EDGES.index(youngest), EDGES.index(oldest))
        return Summed(
            round(float(self.counts[inside].sum())),
            self.sums[inside].sum(axis=0),
            self.squares[inside].sum(axis=0),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "counts": self.counts.tolist(),
            "sums": self.sums.tolist(),
            "squares": self.squares.tolist(),
            "newest": self.newest and self.newest.isoformat(),
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Tally":
        if not kept:
            return cls()
        newest = kept["newest"]
        return cls(
            np.array(kept["counts"]),
            np.array(kept["sums"]),
            np.array(kept["squares"]),
            newest and datetime.fromisoformat(newest),
        )


def long_silent(tally: Tally, *, at: datetime) -> bool:
    """Whether nothing was written lately: the mood then is that of the newest text."""
    return tally.newest is not None and at - tally.newest > STALE


def mood_of(tally: Tally, *, as_of: datetime, stale: bool) -> Mood | None:
    """The mood up to a moment, from texts by their age at it; None without any."""
    if tally.newest is None:
        return None
    weekly = tally.between(0, STEPS * WEEK).n >= STEPS * TEXTS_A_WEEK_NEEDED
    step = WEEK if weekly else MONTH
    spans = {
        days: (tally.between(0, days), tally.between(days, 2 * days)) for days in SPANS
    }
    span = next((days for days in SPANS if _enough(*spans[days])), SPANS[-1])
    now, then = spans[span]
    return Mood(
        as_of=as_of,
        stale=stale,
        step_days=step,
        span_days=span,
        starts=_starts(as_of, step),
        shares=shares_by_step(tally, step_days=step, steps=STEPS),
        texts_now=now.n,
        changes=compare(now, then) if _enough(now, then) else None,
    )


def _starts(as_of: datetime, step_days: int) -> tuple[datetime, ...]:
    return tuple(
        as_of - timedelta(days=step_days * (STEPS - index)) for index in range(STEPS)
    )


def _enough(now: Summed, then: Summed) -> bool:
    return min(now.n, then.n) >= TEXTS_NEEDED


def shares_by_step(tally: Tally, *, step_days: int, steps: int) -> FloatArray:
    """Mean family shares of each step, oldest first: (steps, 9).

    A step without a text takes the one before it (the first: the mean of all), so that
    a band has no hole.
    """
    every = tally.between(0, REACH_DAYS)
    result = np.tile(
        every.mean if every.n else np.full(len(FAMILIES), 1 / len(FAMILIES)), (steps, 1)
    )
    for index in range(steps):
        oldest = step_days * (steps - index)
        inside = tally.between(oldest - step_days, oldest)
        if inside.n:
            result[index] = inside.mean
        elif index:
            result[index] = result[index - 1]
    sums: FloatArray = result.sum(axis=1, keepdims=True)
    return result / sums


def compare(now: Summed, then: Summed) -> tuple[Change, ...]:
    """Every family's mean share now and then; normal ranges with texts as units.

    Both of at least 2 texts.
    """
    changes = []
    for family, mean_now, mean_then, error_now, error_then in zip(
        FAMILIES,
        now.mean.tolist(),
        then.mean.tolist(),
        now.error.tolist(),
        then.error.tolist(),
        strict=True,
    ):
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
