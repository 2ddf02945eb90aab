"""Unhappiness that holds promotion back: at once over a line, under it only slowly.

Source: method.md 1.4 and 3.5; docs/method.md, "Holds".
"""

from typing import Final

import numpy as np

from segmentation.profile.course import FRESH_EVIDENCE, course_of
from segmentation.profile.events import BoolArray, FloatArray, Texts
from segmentation.profile.shrinkage import later_negativity, negativity_beside

# Of negativity, on the 30-day clock. Where the shop's own customers write that way as
# a rule, its most unhappy twentieth is what stands out.
LINE: Final = 0.45
STANDS_OUT: Final = 0.95
# Fewer customers than these have no twentieth to speak of.
LINE_FROM: Final = 500
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
) -> bool:
    """Does a hold that began earlier still go on, of a customer now under the line?

    It began with a text that took negativity over the line, or with a reason of another
    kind, which has an end of its own; it goes on until negativity is 0.05 below the
    line. texts: of one customer, weights capped by day. usual: negative mass of
    everybody's texts. reasons, ends: (m,) days ago; below 0 is still to come. settled:
    what began so long ago or longer was made good since; infinite: nothing was.
    """
    ages = np.unique(np.concatenate([texts.age_days, reasons, ends[ends > 0], [0.0]]))
    ages = ages[::-1]
    sums = course_of(texts, ages).sums
    after = negativity_beside(sums, usual)
    over = (after > line) & is_evident(sums.fast_weight)
    # Between two moments it only goes towards what is usual.
    faded = later_negativity(sums, after, np.append(-np.diff(ages), 0.0))
    goes_on, until, low = False, np.inf, line - SLOWER_BY
    for k, age in enumerate(ages):
        before = faded[k - 1] if k else usual
        may_end = age <= until
        if may_end and before < low:
            goes_on = False
        if age >= settled:
            continue
        if age in reasons:
            goes_on, until = True, min(until, ends[reasons == age].min())
        elif over[k]:
            goes_on = True
        elif may_end and after[k] < low:
            goes_on = False
    return goes_on
