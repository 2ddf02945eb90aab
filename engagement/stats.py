"""Rates with their intervals, and differences of rates. Pure."""

from dataclasses import dataclass
from math import sqrt

from customers.proportions import wilson_interval

# A rate needs this many people, and this many events, to be shown (method.md 3.6).
PEOPLE_NEEDED = 20
EVENTS_NEEDED = 5


@dataclass(frozen=True, slots=True)
class Rate:
    """events of people, and the Wilson interval of the share behind them."""

    events: int
    people: int
    low: float
    high: float

    @property
    def value(self) -> float | None:
        return self.events / self.people if self.people else None

    @property
    def enough(self) -> bool:
        return self.people >= PEOPLE_NEEDED and self.events >= EVENTS_NEEDED


@dataclass(frozen=True, slots=True)
class Difference:
    """first minus second share, with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def detectable(self) -> bool:
        return self.low > 0 or self.high < 0


def rate(events: int, people: int) -> Rate:
    """The rate of some events among people, with its interval."""
    low, high = wilson_interval(events, people)
    return Rate(events, people, low, high)


def difference(first: Rate, second: Rate) -> Difference | None:
    """first minus second; None when either has nobody.

    Source: Newcombe 1998, method 10 (from the two Wilson intervals).
    """
    if first.value is None or second.value is None:
        return None
    gap = first.value - second.value
    below = sqrt((first.value - first.low) ** 2 + (second.high - second.value) ** 2)
    above = sqrt((first.high - first.value) ** 2 + (second.value - second.low) ** 2)
    return Difference(gap, gap - below, gap + above)
