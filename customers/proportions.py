"""A share and how sure it is. Pure."""

from math import sqrt
from typing import Final

# Two-sided 95 %.
Z_95: Final = 1.959963984540054


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
