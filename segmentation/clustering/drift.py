"""Has something moved, or do shares only jump about as small numbers do?

The population stability index of two sets of counts, and the lines from which it is
more than chance. Source: method.md 2.4; docs/method.md, "Drift".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np

from segmentation.profile.events import FloatArray

WARNING_FROM: Final = 0.025
ALARM_FROM: Final = 0.10
# Under chance alone the index is about (k - 1)(1/n1 + 1/n2): three times it warns.
CHANCE_TIMES: Final = 3.0
# With fewer texts or customers on a side only a landslide could be told from chance.
COUNTED_NEEDED: Final = 100
# A part that nobody is in counts as half a one: no share is ever 0.
LEAST_COUNT: Final = 0.5


class Verdict(IntEnum):
    """Ordered: what is higher is worse; nothing is known of too few."""

    TOO_FEW = 0
    STEADY = 1
    WARNING = 2
    ALARM = 3


@dataclass(frozen=True, slots=True)
class Drift:
    """index: the stability index; warning, alarm: the lines for counts of this size."""

    index: float
    warning: float
    alarm: float
    verdict: Verdict

    @property
    def moved(self) -> bool:
        return self.verdict >= Verdict.WARNING


@dataclass(frozen=True, slots=True)
class PartMoved:
    """One part's share then and now, in [0, 1]; part: its index."""

    part: int
    then: float
    now: float

    @property
    def points(self) -> float:
        return self.now - self.then


def psi(then: FloatArray, now: FloatArray) -> float:
    """Population stability index: sum of (q - p) ln(q / p) over parts.

    then, now: (k,) counts, 0 or more; a part with less than half a one counts as half.
    0 for equal shares; a shift of 10 points between two of seven parts is about 0.1.
    """
    shares = [np.maximum(counts, LEAST_COUNT) for counts in (then, now)]
    p, q = (counts / counts.sum() for counts in shares)
    return float(((q - p) * np.log(q / p)).sum())


def lines(parts: int, n_then: float, n_now: float) -> tuple[float, float]:
    """From where the index warns, and alarms, for so many parts and counted things."""
    chance = CHANCE_TIMES * (parts - 1) * (1 / n_then + 1 / n_now)
    return max(WARNING_FROM, chance), max(ALARM_FROM, 2 * chance)


def judge(then: FloatArray, now: FloatArray) -> Drift:
    """Whether the counts now are those of then; (k,) each."""
    n_then, n_now = float(then.sum()), float(now.sum())
    if min(n_then, n_now) < COUNTED_NEEDED:
        return Drift(0.0, 0.0, 0.0, Verdict.TOO_FEW)
    index = psi(then, now)
    warning, alarm = lines(len(then), n_then, n_now)
    verdict = Verdict.STEADY
    if index > warning:
        verdict = Verdict.ALARM if index > alarm else Verdict.WARNING
    return Drift(index, warning, alarm, verdict)


def moved_since(found: Sequence[Drift]) -> int | None:
    """The first step of the movement that lasts to the end; None where it is steady.

    found: oldest first. The newest step that can be judged must have moved; two steady
    ones in a row end it, as one alone may lie just below its line.
    """
    judged = [step for step, one in enumerate(found) if one.verdict > Verdict.TOO_FEW]
    since, steady = None, 0
    for step in reversed(judged):
        steady = 0 if found[step].moved else steady + 1
        if (since is None and steady) or steady == 2:
            break
        if found[step].moved:
            since = step
    return since


def largest_parts(
    then: FloatArray, now: FloatArray, *, at_most: int
) -> list[PartMoved]:
    """The parts whose share moved most, the largest first; at least half a point."""
    p, q = then / then.sum(), now / now.sum()
    # Rounded, so that what is equal keeps the order of parts.
    order = np.argsort(-np.abs(q - p).round(9), kind="stable")[:at_most]
    return [
        PartMoved(int(part), float(p[part]), float(q[part]))
        for part in order
        if abs(q[part] - p[part]) >= 0.005
    ]
