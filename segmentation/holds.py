"""Who gets no promotion now, and why: an open complaint, fresh anger.

Holds start at once and wait for nobody's judgement. Source: method.md 3.5; here the
part of it that needs no case management.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from customers.models import Interaction
from segmentation.emotion.families import FAMILIES
from segmentation.frames import unpack_sums
from segmentation.models import EmotionProfile, EmotionScore
from segmentation.profile.shrinkage import later_negativity
from segmentation.sensitive_matters import silenced

HOLD: Final = timedelta(days=14)
# State negativity N over this line, method.md 1.4. It is on the 30-day clock, so it
# counts only while there was a text within that half-life.
NEGATIVITY_LINE: Final = 0.45
FRESH: Final = timedelta(days=30)
# CSAT and stars of 1 and 2, on whatever scale: the lowest two marks of any.
LOW_RATING: Final = 2
# One text reads as negative when anger, anxiety and sadness hold half of it.
NEGATIVE_SHARE: Final = 0.5
ONE_DAY: Final = timedelta(days=1)
RATED: Final = ("review", "survey", "ticket", "chat", "return")
COMPLAINTS: Final = {
    "ticket": "a ticket",
    "chat": "a chat",
    "reply": "a reply",
    "return": "a return",
}
_NEGATIVE: Final = [FAMILIES.index(name) for name in ("anger", "anxiety", "sadness")]
_READS: Final = ("angry", "anxious", "sad")


def held(customer_ids: Iterable[int], *, at: datetime) -> dict[int, str]:
    """The customers who are held at that instant, with the reason in words.

    Four queries whatever the number of customers; call it with some thousands of ids.
    The strongest reason wins: a message for a person, then a complaint, then a low
    rating, then the profile.
    """
    ids = list(customer_ids)
    reasons = _by_profile(ids, at=at)
    reasons.update(_by_rating(ids, at=at))
    reasons.update(_by_complaint(ids, at=at))
    reasons.update(silenced(ids, at=at))
    return reasons


def _by_profile(ids: list[int], *, at: datetime) -> dict[int, str]:
    rows = list(
        EmotionProfile.objects.filter(
            customer_id__in=ids, last_text_at__gt=at - FRESH, last_text_at__lte=at
        ).values_list("customer_id", "as_of", "state", "negativity")
    )
    if not rows:
        return {}
    who, moments, states, known = zip(*rows, strict=True)
    # As of now: a profile is as old as the last news of its customer.
    days = np.array([max(0.0, (at - moment) / ONE_DAY) for moment in moments])
    now = later_negativity(unpack_sums(states), np.array(known), days)
    over = np.array(who)[now > NEGATIVITY_LINE].tolist()
    return dict.fromkeys(over, "what they wrote lately reads as unhappy")


def _by_rating(ids: list[int], *, at: datetime) -> dict[int, str]:
    rows = (
        Interaction.objects.filter(
            customer_id__in=ids,
            occurred_at__gt=at - HOLD,
            occurred_at__lte=at,
            rating__lte=LOW_RATING,
            kind__in=RATED,
        )
        .order_by("occurred_at")
        .values_list("customer_id", "rating", "kind", "occurred_at")
    )
    return {
        customer: f"a {kind} rated {rating:g} on {_day(when)}"
        for customer, rating, kind, when in rows
    }


def _by_complaint(ids: list[int], *, at: datetime) -> dict[int, str]:
    rows = (
        EmotionScore.objects.filter(
            customer_id__in=ids,
            occurred_at__gt=at - HOLD,
            occurred_at__lte=at,
            kind__in=COMPLAINTS,
        )
        .exclude(families=b"")
        .order_by("occurred_at")
        .values_list("customer_id", "kind", "families", "occurred_at")
    )
    reasons = {}
    for customer, kind, stored, when in rows:
        negative = np.frombuffer(bytes(stored), dtype="<f4")[_NEGATIVE]
        if float(negative.sum()) >= NEGATIVE_SHARE:
            feeling = _READS[int(negative.argmax())]
            reasons[customer] = (
                f"{COMPLAINTS[kind]} that reads as {feeling} on {_day(when)}"
            )
    return reasons


def _day(when: datetime) -> str:
    return f"{when.day} {when:%B %Y}"
