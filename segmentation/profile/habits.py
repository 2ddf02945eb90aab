"""How often customers click, reply, visit and order, beside the others of the shop.

Opens count for nothing: a mail client's proxy opens for its owner.
Source: method.md 1.6.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from segmentation.profile.events import FloatArray, IntArray

# What counts, each once: kinds of interactions.
ENGAGED: Final = ("click", "reply", "visit", "order")
WINDOW_DAYS: Final = 180.0
# Somebody who came later has shown no habit yet; as in "gone quiet", method.md 1.6.
KNOWN_DAYS: Final = 60.0
# Fewer have no thirds: as many as anything is told per segment from.
CUSTOMERS_LEAST: Final = 100
_MONTH_DAYS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Habits:
    """times: (n,) clicks, replies, visits and orders within the window; known_days:
    (n,) since the first interaction, 0 to the window."""

    times: FloatArray
    known_days: FloatArray

    @property
    def known(self) -> IntArray:
        """The rows of those who have been known for long enough."""
        rows: IntArray = np.flatnonzero(self.known_days >= KNOWN_DAYS)
        return rows

    def rate(self, rows: IntArray) -> FloatArray:
        """Times a month of these rows, which must be known."""
        monthly: FloatArray = _MONTH_DAYS * self.times[rows] / self.known_days[rows]
        return monthly


@dataclass(frozen=True, slots=True)
class Thirds:
    """Who do least: up to low_most times a month; who do most: from high_least on."""

    low_most: float
    high_least: float

    def of(self, rate: FloatArray) -> IntArray:
        """0 the low third, 1 the middle, 2 the high one: (n,)."""
        third: IntArray = np.where(
            rate <= self.low_most, 0, np.where(rate >= self.high_least, 2, 1)
        )
        return third


def cut_thirds(habits: Habits) -> Thirds | None:
    """Where a shop's customers fall into three; None where that would tell nothing.

    Who do as much as each other are in one third, that of the middle one of them: where
    six in ten did nothing they are the low third, where eight in ten did, the middle
    one. So a third is not always a third.
    """
    rates = habits.rate(habits.known)
    if len(rates) < CUSTOMERS_LEAST:
        return None
    values, counts = np.unique(rates, return_counts=True)
    if len(values) < 2:
        return None
    # The share of customers up to the middle of those who do as much.
    middle = (np.cumsum(counts) - counts / 2) / len(rates)
    low, high = values[middle < 1 / 3], values[middle > 2 / 3]
    return Thirds(
        float(low.max()) if len(low) else -1.0,
        float(high.min()) if len(high) else float(values.max()) + 1.0,
    )
