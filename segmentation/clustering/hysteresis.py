"""People don't flip-flop: a segment changes when another is clearly ahead.

Source: method.md 2.3; docs/method.md, "Staying put".
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from segmentation.clustering.model import (
    MIXED_LABEL,
    PROBABILITY_NEEDED,
    UNKNOWN_LABEL,
    Assignment,
)
from segmentation.profile.events import FloatArray, IntArray

AHEAD_BY: Final = 0.15
AHEAD_IN_A_ROW: Final = 2
AT_ONCE_BY: Final = 0.35
DWELL_DAYS: Final = 14.0


@dataclass(frozen=True, slots=True)
class Standing:
    """Where customers stand: label, days since the last change, ahead in a row."""

    label: IntArray
    days: FloatArray
    ahead: IntArray


def settle(found: Assignment, before: Standing) -> Standing:
    """Where customers stand after this evaluation; days is 0 for those who changed.

    before.label: -1 for a customer without a place so far. Into and out of unknown, and
    out of mixed, there is nothing to hold on to: those changes are immediate.
    """
    rows = np.arange(len(found.label))
    named = (before.label >= 0) & (before.label < MIXED_LABEL)
    held = named & (found.label != UNKNOWN_LABEL) & (found.label != before.label)
    own = found.posterior[rows, np.where(named, before.label, 0)]
    # Towards mixed nobody is ahead: the line of mixed itself is what counts.
    rival = np.where(
        found.label == MIXED_LABEL, PROBABILITY_NEEDED, found.posterior.max(axis=1)
    )
    gap = rival - own
    ahead = np.where(held & (gap >= AHEAD_BY), before.ahead + 1, 0)
    moves = (gap >= AT_ONCE_BY) | (
        (ahead >= AHEAD_IN_A_ROW) & (before.days >= DWELL_DAYS)
    )
    stays = held & ~moves
    label = np.where(stays, before.label, found.label)
    changed = label != before.label
    return Standing(
        label=label,
        days=np.where(changed, 0.0, before.days),
        ahead=np.where(stays, ahead, 0),
    )
