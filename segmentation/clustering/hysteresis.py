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
from segmentation.profile.events import BoolArray, FloatArray, IntArray

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
    held, gap = _held(found, before)
    ahead = np.where(held & (gap >= AHEAD_BY), before.ahead + 1, 0)
    moves = (gap >= AT_ONCE_BY) | (
        (ahead >= AHEAD_IN_A_ROW) & (before.days >= DWELL_DAYS)
    )
    return _after(found, before, stays=held & ~moves, ahead=ahead)


def settle_between_runs(found: Assignment, before: Standing) -> Standing:
    """Where customers stand once news of theirs is folded in.

    That may be several times a day, so it is no evaluation that counts towards two in a
    row: only what is clear at once moves, and what has no place to hold on to.
    """
    held, gap = _held(found, before)
    return _after(found, before, stays=held & (gap < AT_ONCE_BY), ahead=before.ahead)


def _held(found: Assignment, before: Standing) -> tuple[BoolArray, FloatArray]:
    """Who has a place to hold on to and is read to be elsewhere, and by how much."""
    rows = np.arange(len(found.label))
    named = (before.label >= 0) & (before.label < MIXED_LABEL)
    held = named & (found.label != UNKNOWN_LABEL) & (found.label != before.label)
    own = found.posterior[rows, np.where(named, before.label, 0)]
    # Towards mixed nobody is ahead: the line of mixed itself is what counts.
    rival = np.where(
        found.label == MIXED_LABEL, PROBABILITY_NEEDED, found.posterior.max(axis=1)
    )
    return held, rival - own


def _after(
    found: Assignment, before: Standing, *, stays: BoolArray, ahead: IntArray
) -> Standing:
    label = np.where(stays, before.label, found.label)
    changed = label != before.label
    return Standing(
        label=label,
        days=np.where(changed, 0.0, before.days),
        ahead=np.where(stays, ahead, 0),
    )
