"""What people do, as evidence for what they feel; half as loud as what they say."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from segmentation.profile.decay import SLOW_DAYS, decay
from segmentation.profile.events import Deeds, FloatArray, IntArray
from segmentation.profile.habits import Habits, Thirds

# Deeds repeat the story that the texts tell: method.md 1.6.
TEMPER: Final = 0.5
LEARN_FROM: Final = 500
PSEUDO_DEEDS: Final = 50.0


@dataclass(frozen=True, slots=True)
class Deed:
    """Its share in each segment, in the order of SEGMENTS: method.md 1.6.

    tells_alone: enough of it makes a customer known who never wrote. How often somebody
    clicks says something of a feeling only beside what they said or rated.
    """

    words: str
    shares: tuple[float, ...]
    weight: float = 1.0
    tells_alone: bool = True


_LOW_RATING: Final = (0.60, 0.25, 0.50, 0.05, 0.04, 0.20, 0.15)
DEEDS: Final[dict[str, Deed]] = {
    "low rating": Deed("gave a low rating", _LOW_RATING),
    "middling rating": Deed(
        "gave a middling rating", (0.25, 0.40, 0.30, 0.15, 0.16, 0.45, 0.55)
    ),
    "high rating": Deed(
        "gave a high rating", (0.15, 0.35, 0.20, 0.80, 0.80, 0.35, 0.30)
    ),
    "return": Deed("sent something back", (0.20, 0.08, 0.18, 0.03, 0.02, 0.06, 0.04)),
    # As a low rating, half as much.
    "late answer": Deed("waited long for an answer", _LOW_RATING, weight=0.5),
    "low engagement": Deed(
        "seldom or never clicks, replies, visits or orders",
        (0.45, 0.25, 0.40, 0.10, 0.15, 0.15, 0.65),
        tells_alone=False,
    ),
    "middling engagement": Deed(
        "clicks, replies, visits and orders neither seldom nor often",
        (0.35, 0.45, 0.40, 0.35, 0.40, 0.45, 0.27),
        tells_alone=False,
    ),
    "high engagement": Deed(
        "often clicks, replies, visits and orders",
        (0.20, 0.30, 0.20, 0.55, 0.45, 0.40, 0.08),
        tells_alone=False,
    ),
}
DEED_CODE: Final = {name: code for code, name in enumerate(DEEDS)}
# Of each of these a customer does one: its shares add up to 1 in a segment.
RATINGS: Final = ("low rating", "middling rating", "high rating")
ENGAGEMENT: Final = ("low engagement", "middling engagement", "high engagement")
DEED_WEIGHT: Final = np.array([deed.weight for deed in DEEDS.values()])
_TELLS_ALONE: Final = np.array([deed.tells_alone for deed in DEEDS.values()], float)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a shop calls a late answer, and seldom or often; kept with each run.

    answer_hours: None where answers are never late. thirds: None where nobody's habits
    are evidence.
    """

    answer_hours: float | None = None
    thirds: Thirds | None = None

    def to_json(self) -> dict[str, Any]:
        thirds = self.thirds and [self.thirds.low_most, self.thirds.high_least]
        return {"answer_hours": self.answer_hours, "thirds": thirds}

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> "Terms":
        hours, thirds = kept["answer_hours"], kept["thirds"]
        return cls(
            None if hours is None else float(hours),
            None if thirds is None else Thirds(*map(float, thirds)),
        )


# No answer is late, and nobody's habits are evidence.
NO_TERMS: Final = Terms()


def habit_deeds(habits: Habits, thirds: Thirds) -> Deeds:
    """Of everybody known for long enough one deed of today: their third."""
    rows = habits.known
    codes = np.array([DEED_CODE[name] for name in ENGAGEMENT], np.int64)
    return Deeds(rows, np.zeros(len(rows)), codes[thirds.of(habits.rate(rows))])


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

    codes: (n,) deeds; belief: (n, 7) what is known of who did them. A shop whose
    customers nearly all give five stars learns that five stars say little; likewise of
    those who click, visit and order most. Under 500 the start table stays; above, it
    counts as 50 deeds a segment. Returns keep it: how often nothing came back is not on
    record. Source: method.md 1.6.
    """
    table = start_shares()
    for names in (RATINGS, ENGAGEMENT):
        rows = [DEED_CODE[name] for name in names]
        counts = np.stack([belief[codes == code].sum(axis=0) for code in rows])
        if int(np.isin(codes, rows).sum()) >= LEARN_FROM:
            table[rows] = (counts + PSEUDO_DEEDS * table[rows]) / (
                counts.sum(axis=0) + PSEUDO_DEEDS
            )
    table[DEED_CODE["late answer"]] = table[DEED_CODE["low rating"]]
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
    """Deeds age on the slow clock, and some count less than others: (n,)."""
    return DEED_WEIGHT[deeds.code] * decay(deeds.age_days, half_life_days=SLOW_DAYS)


def weight_alone(deeds: Deeds) -> FloatArray:
    """The same of what can make known who never wrote; 0 of what can't: (n,)."""
    return _TELLS_ALONE[deeds.code] * deed_weight(deeds)
