"""Positions of pictures drawn on the server: values in, paths out. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2

# The signature's axis: a quarter to four times as much as everyone.
SIGNATURE_LOG_RANGE = 2.0


@dataclass(frozen=True, slots=True)
class Band:
    """One stacked band: its path in a 100 x 100 box and the middle of its right end."""

    path: str
    middle: float


def stacked_bands(
    shares: Sequence[Sequence[float]], *, across: Sequence[float] = ()
) -> list[Band]:
    """Bands of a stacked picture; shares: (steps, parts), each row sums to 1.

    across: where each step is, in per cent; nothing: evenly apart.
    """
    steps = len(shares)
    columns = across or [100 * index / max(1, steps - 1) for index in range(steps)]
    tops = [0.0] * steps
    bands = []
    for part in range(len(shares[0])):
        bottoms = [top + 100 * row[part] for top, row in zip(tops, shares, strict=True)]
        forth = " ".join(f"{x:.1f} {y:.2f}" for x, y in zip(columns, tops, strict=True))
        back = " ".join(
            f"{x:.1f} {y:.2f}"
            for x, y in zip(reversed(columns), reversed(bottoms), strict=True)
        )
        bands.append(Band(f"M{forth} L{back}Z", (tops[-1] + bottoms[-1]) / 2))
        tops = bottoms
    return bands


def spread_labels(middles: Sequence[float], *, least: float) -> list[float]:
    """Move label positions apart to at least this distance, within 0 to 100."""
    placed = list(middles)
    for index in range(1, len(placed)):
        placed[index] = max(placed[index], placed[index - 1] + least)
    if placed and placed[-1] > 100 - least / 2:
        placed[-1] = 100 - least / 2
        for index in range(len(placed) - 2, -1, -1):
            placed[index] = min(placed[index], placed[index + 1] - least)
    return placed


def sparkline(values: Sequence[float], *, height: float = 26, pad: float = 3) -> str:
    """A path over a 100 wide box; flat in the middle when nothing moved."""
    low, high = min(values), max(values)
    span = high - low
    points = []
    for index, value in enumerate(values):
        x = 100 * index / max(1, len(values) - 1)
        share = (value - low) / span if span else 0.5
        points.append(f"{x:.1f} {height - pad - share * (height - 2 * pad):.1f}")
    return "M" + " ".join(points)


def line(across: Sequence[float], down: Sequence[float]) -> str:
    """A path through points of a 100 x 100 box."""
    return "M" + " ".join(f"{x:.2f} {y:.2f}" for x, y in zip(across, down, strict=True))


def area(across: Sequence[float], down: Sequence[float]) -> str:
    """What lies between such a line and the bottom of the box."""
    return f"{line(across, down)} {across[-1]:.2f} 100 {across[0]:.2f} 100Z"


@dataclass(frozen=True, slots=True)
class SignatureBar:
    """One bar left or right of "same as everyone", in per cent of the track."""

    left: float
    width: float
    whisker_left: float
    whisker_width: float


def signature_bar(ratio: float, low: float, high: float) -> SignatureBar:
    """Where a ratio and its range lie on a log scale from a quarter to four times."""

    def place(value: float) -> float:
        clipped = min(max(value, 2**-SIGNATURE_LOG_RANGE), 2**SIGNATURE_LOG_RANGE)
        return 50 + 50 * log2(clipped) / SIGNATURE_LOG_RANGE

    middle = place(ratio)
    start, end = place(low), place(high)
    return SignatureBar(
        min(50.0, middle), abs(middle - 50), start, max(0.5, end - start)
    )


@dataclass(frozen=True, slots=True)
class MiniBar:
    """One column of the small signature, in pixels from the top of a 36 px box."""

    top: float
    height: float


def mini_bar(ratio: float) -> MiniBar:
    """A column above (more) or below (less) the middle line."""
    clipped = min(max(ratio, 0.25), 4.0)
    height = max(1.5, 17 * abs(log2(clipped)) / SIGNATURE_LOG_RANGE)
    return MiniBar(18 - height if clipped >= 1 else 18, height)


def curve(start: float, end: float) -> str:
    """A curve of the movement picture from the left to the right list, in per cent."""
    return f"M0 {start:.1f} C45 {start:.1f} 55 {end:.1f} 100 {end:.1f}"


def outline(points: Sequence[tuple[float, float]]) -> str:
    """A closed path through points of a 100 x 100 box."""
    return "M" + " L".join(f"{x:.2f} {y:.2f}" for x, y in points) + "Z"


def place_tags(
    wanted: Sequence[tuple[float, float]], *, width: float, height: float
) -> list[tuple[float, float]]:
    """Middles of name tags near where they are wanted, none over another.

    In per cent of the picture; a tag moves down past those placed above it, or up
    where the picture ends, and stays inside from side to side.
    """
    placed: dict[int, tuple[float, float]] = {}
    for index in sorted(range(len(wanted)), key=lambda one: wanted[one][1]):
        x = min(max(wanted[index][0], width / 2), 100 - width / 2)
        first = min(max(wanted[index][1], height / 2), 100 - height / 2)
        steps = int(100 / height)
        offsets = sorted((height * step for step in range(-steps, steps + 1)), key=abs)
        y = next(
            (
                first + offset
                for offset in offsets
                if height / 2 <= first + offset <= 100 - height / 2
                and all(
                    abs(x - left) >= width or abs(first + offset - top) >= height
                    for left, top in placed.values()
                )
            ),
            first,
        )
        placed[index] = (x, y)
    return [placed[index] for index in range(len(wanted))]


# Pixels above, and below, the middle line of month_bars().
HALF_PX = 52.0


@dataclass(frozen=True, slots=True)
class MonthBar:
    """A month's columns above and below the middle line; across in %, down in px."""

    left: float
    width: float
    up: float
    down: float

    @property
    def top(self) -> float:
        return HALF_PX - self.up


def month_bars(came: Sequence[int], went: Sequence[int]) -> list[MonthBar]:
    """Who came above the line, who went below it, on one scale."""
    most = max([*came, *went, 1])
    step = 100 / max(1, len(came))
    return [
        MonthBar(
            step * (index + 0.15),
            0.7 * step,
            HALF_PX * up / most,
            HALF_PX * down / most,
        )
        for index, (up, down) in enumerate(zip(came, went, strict=True))
    ]


@dataclass(frozen=True, slots=True)
class LevelBar:
    """A bar and the two lines it is held against; across in %, up in % of the box."""

    left: float
    width: float
    height: float
    warning: float
    # None where it lies above the picture.
    alarm: float | None

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def middle(self) -> float:
        return self.left + self.width / 2


def level_bars(
    values: Sequence[tuple[float, float, float]],
) -> list[LevelBar]:
    """Bars for (value, warning, alarm), all on one scale that shows every value."""
    most = max([*(max(value, 1.3 * warning) for value, warning, _ in values), 1e-9])
    step = 100 / max(1, len(values))
    return [
        LevelBar(
            step * (index + 0.15),
            0.7 * step,
            90 * value / most,
            90 * warning / most,
            90 * alarm / most if alarm <= 1.1 * most else None,
        )
        for index, (value, warning, alarm) in enumerate(values)
    ]
