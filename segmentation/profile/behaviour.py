"""What people do, as evidence for what they feel; half as loud as what they say."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from segmentation.profile.decay import SLOW_DAYS, decay
from segmentation.profile.events import Deeds, FloatArray, IntArray

# Deeds repeat the story that the texts tell: method.md 1.6.
TEMPER: Final = 0.5
LEARN_FROM: Final = 500
PSEUDO_DEEDS: Final = 50.0


@dataclass(frozen=True, slots=True)
class Deed:
    """Its share in each segment, in the order of SEGMENTS: method.md 1.6."""

    words: str
    shares: tuple[float, ...]


DEEDS: Final[dict[str, Deed]] = {
    "low rating": Deed("gave a low rating", (0.60, 0.25, 0.50, 0.05, 0.04, 0.20, 0.15)),
    "middling rating": Deed(
        "gave a middling rating", (0.25, 0.40, 0.30, 0.15, 0.16, 0.45, 0.55)
    ),
    "high rating": Deed(
        "gave a high rating", (0.15, 0.35, 0.20, 0.80, 0.80, 0.35, 0.30)
    ),
    "return": Deed("sent something back", (0.20, 0.08, 0.18, 0.03, 0.02, 0.06, 0.04)),
}
DEED_CODE: Final = {name: code for code, name in enumerate(DEEDS)}


def rating_deed(rating: float) -> str:
    """Stars 1 to 5 (1-2, 3, 4-5), or a scale to 10 as promoters are counted (0-6,
    7-8, 9-10)."""
    if rating > 5:
        low, high = 7.0, 9.0
    else:
        low, high = 2.5, 3.5
    if rating < low:
        return "low rating"
    return "high rating" if rating >= high else "middling rating"


def learn_shares(codes: IntArray, belief: FloatArray) -> FloatArray:
    """Each deed's share in each segment, learned from the shop: (deeds, 7).

    codes: (n,) ratings and returns; belief: (n, 7) what the texts alone say of who did
    them. A shop whose customers nearly all give five stars learns that five stars say
    little. Under 500 ratings the start table stays; above, it counts as 50 deeds a
    segment. Returns keep it: how often nothing came back is not on record.
    Source: method.md 1.6.
    """
    table = start_shares()
    ratings = np.flatnonzero([name.endswith("rating") for name in DEEDS])
    rated = np.isin(codes, ratings)
    if int(rated.sum()) < LEARN_FROM:
        return table
    counts = np.stack([belief[codes == code].sum(axis=0) for code in ratings])
    table[ratings] = (counts + PSEUDO_DEEDS * table[ratings]) / (
        counts.sum(axis=0) + PSEUDO_DEEDS
    )
    return table


def start_shares() -> FloatArray:
    """The informed start table: (deeds, 7)."""
    return np.array([deed.shares for deed in DEEDS.values()])


def log_evidence(table: FloatArray, shares: FloatArray) -> FloatArray:
    """ln P(deed | segment) - ln P(deed | base mix), tempered: (deeds, 7).

    table: (deeds, 7) each deed's share in each segment; shares: (7,) the segments'
    shares p, which make the base mix.
    """
    evidence: FloatArray = TEMPER * (np.log(table) - np.log(table @ shares)[:, None])
    return evidence


def deed_weight(deeds: Deeds) -> FloatArray:
    """Deeds age on the slow clock: (n,)."""
    return decay(deeds.age_days, half_life_days=SLOW_DAYS)
