"""Rates and differences as positions in per cent of a track. Pure."""

from dataclasses import dataclass

from engagement.stats import Difference, Rate

# A difference's track: ten points to either side of "same".
POINTS_SHOWN = 0.10


@dataclass(frozen=True, slots=True)
class RatePicture:
    """A dot and its whisker on a track from 0 to most."""

    rate: Rate
    dot: float
    left: float
    width: float


@dataclass(frozen=True, slots=True)
class GapPicture:
    """A dot and its whisker around the middle, which is "same"."""

    gap: Difference
    dot: float
    left: float
    width: float


def rate_picture(rate: Rate, most: float = 1.0) -> RatePicture:
    """Where a rate and its range lie; most is the share at the right end."""
    scale = 100 / most

    def place(value: float) -> float:
        return min(100.0, max(0.0, value * scale))

    low, high = place(rate.low), place(rate.high)
    return RatePicture(rate, place(rate.value or 0.0), low, max(0.5, high - low))


def gap_picture(gap: Difference) -> GapPicture:
    """Where a difference lies around the middle."""

    def place(value: float) -> float:
        return min(100.0, max(0.0, 50 + 50 * value / POINTS_SHOWN))

    low, high = place(gap.low), place(gap.high)
    return GapPicture(gap, place(gap.value), low, max(0.5, high - low))
