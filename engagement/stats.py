"""Rates with their intervals, and differences of rates. Pure."""

from dataclasses import dataclass
from math import sqrt

# Two-sided 95 %.
Z_95 = 1.959963984540054
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


def wilson_interval(events: int, people: int, z: float = Z_95) -> tuple[float, float]:
    """The Wilson score interval of a share; (0, 1) when nobody was there.

    events, people: whole numbers, 0 <= events <= people.
    Raises ValueError when they are not.
    Source: Wilson 1927; docs/method.md, "Rates".
    """
    if not 0 <= events <= people:
        raise ValueError(f"{people} people can have 0 to {people} events, not {events}")
    if people == 0:
        return 0.0, 1.0
    share = events / people
    spread = 1 + z * z / people
    middle = (share + z * z / (2 * people)) / spread
    half = z * sqrt(share * (1 - share) / people + (z / (2 * people)) ** 2) / spread
    return max(0.0, middle - half), min(1.0, middle + half)


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
