"""Unhappiness that holds promotion back: at once over a line, under it only slowly.

Source: method.md 1.4 and 3.5; docs/method.md, "Holds".
"""

from typing import Final

import numpy as np

from segmentation.profile.course import FRESH_EVIDENCE, course_of
from segmentation.profile.decay import FAST_DAYS, decay
from segmentation.profile.events import BoolArray, FloatArray, Texts
from segmentation.profile.shrinkage import later_negativity, negativity_beside

# Of negativity, on the 30-day clock. Where the shop's own customers write that way as
# a rule, its most unhappy twentieth is what stands out.
LINE: Final = 0.45
STANDS_OUT: Final = 0.95
# Fewer customers than these have no twentieth to speak of.
LINE_FROM: Final = 500
MICROSECOND: Final = 1 / 86_400e6  # in days
# A hold ends this far below the line that began it.
SLOWER_BY: Final = 0.05


def hold_line(negativity: FloatArray) -> float:
    """The line of a shop. negativity: (n,) of all customers with a text."""
    if len(negativity) < LINE_FROM:
        return LINE
    return max(LINE, float(np.quantile(negativity, STANDS_OUT)))


def is_evident(fast_weight: FloatArray) -> BoolArray:
    """Was enough said lately to go by, (n,)? fast_weight: on the 30-day clock."""
    evident: BoolArray = fast_weight >= FRESH_EVIDENCE
    return evident


def lingers(
    texts: Texts,
    *,
    usual: float,
    line: float,
    reasons: FloatArray,
    ends: FloatArray,
    settled: float,
    today: float,
) -> bool:
    """Does a hold that began earlier still go on, of a customer now under the line?

    It began on a day that took negativity over the line, or with a reason of another
    kind, which has an end of its own; it goes on until negativity is 0.05 below the
    line, or too little of it is left to go by. Days are told apart by UTC, since what
    one text counts depends on the others of its day.

    texts: of one customer, weights capped by day. usual: negative mass of everybody's
    texts. reasons, ends: (m,) days ago; below 0 is still to come. settled: days up to
    that of so long ago have been made good since; infinite: none were. today: how much
    of this day has passed, in days.
    """
    begun, over_at = _end_of_day(reasons, today), _end_of_day(ends, today)
    said = _end_of_day(texts.age_days, today)
    good = float(_end_of_day(np.array([settled]), today)[0])
    ages = np.unique(np.concatenate([said, begun, over_at, [0.0]]))[::-1]
    sums = course_of(texts, ages).sums
    after = negativity_beside(sums, usual)
    # Between two moments it only goes towards what is usual.
    gap = np.append(-np.diff(ages), 0.0)
    faded = later_negativity(sums, after, gap)
    left = is_evident(sums.fast_weight * decay(gap, half_life_days=FAST_DAYS))
    evident, low = is_evident(sums.fast_weight), line - SLOWER_BY
    goes_on, until = False, np.inf
    for k, age in enumerate(ages):
        may_end = age <= until
        if may_end and k and (faded[k - 1] < low or not left[k - 1]):
            goes_on = False
        if (begun == age).any():
            goes_on, until = True, min(until, over_at[begun == age].min())
        elif after[k] > line and evident[k] and age < good:
            goes_on = True
        elif may_end and (after[k] < low or not evident[k]):
            goes_on = False
    return goes_on


def _end_of_day(ages: FloatArray, today: float) -> FloatArray:
    """Days since the ends of the days that these moments are of; 0 for today's."""
    days_ago = np.ceil(ages - today)
    # The last microsecond of a day: its midnight belongs to the next one.
    return np.where(days_ago > 0, today + days_ago - 1 + MICROSECOND, 0.0)
