"""Who gets no promotion now, and why: an open complaint, fresh anger.

Holds start at once and wait for nobody's judgement; they end slowly. That a case was
closed is on nobody's record here: a good mark after it says so, or time.
Source: method.md 3.5; docs/method.md, "Holds".
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, cast

import numpy as np

from customers.models import Interaction
from customers.prepared import Prepared
from customers.querysets import around
from segmentation.emotion.families import FAMILIES
from segmentation.frames import (
    load_people,
    load_texts,
    unpack_families,
    unpack_sums,
)
from segmentation.hold_measures import HoldMeasures, measures_in_use
from segmentation.models import EmotionProfile, EmotionScore
from segmentation.profile.behaviour import rating_deed
from segmentation.profile.decay import FAST_DAYS, decay, negative_mass
from segmentation.profile.shrinkage import later_negativity, usual_negativity
from segmentation.profile.unhappiness import SLOWER_BY, is_evident, lingers
from segmentation.reading_mark import unscored
from segmentation.sensitive_matters import REASON, silenced

HOLD: Final = timedelta(days=14)
# What is said once in great anger, wherever it is said.
PEAK_HOLD: Final = timedelta(days=7)
PEAK_SHARE: Final = 0.8
# A good mark after it ends a hold so much later.
SETTLED_AFTER: Final = timedelta(days=3)
# CSAT and stars of 1 and 2, on whatever scale: the lowest two marks of any. Would you
# recommend us: 4 of 10 and less.
LOW_RATING: Final = 2
LOW_OF_TEN: Final = 4
# One text reads as negative when anger, anxiety and sadness hold half of it.
NEGATIVE_SHARE: Final = 0.5
# A share: none is less.
LEAST_NEGATIVITY: Final = 0.0
ONE_DAY: Final = timedelta(days=1)
# A shop's own time that was taken for UTC lies so far ahead at most.
CLOCKS: Final = timedelta(hours=14)
# Long enough for the fast clock to forget what began a hold.
LOOK_BACK: Final = timedelta(days=180)
RATED: Final = ("review", "survey", "ticket", "chat", "return")
# Asked once a case is closed; a good mark for a product settles nothing.
ASKED_AFTER: Final = ("survey", "ticket", "chat")
COMPLAINTS: Final = {
    "ticket": "a ticket",
    "chat": "a chat",
    "reply": "a reply",
    "return": "a return",
}
_OTHER_TEXTS: Final = {
    "review": "a review",
    "survey": "a survey",
    "social": "a social post",
    "order": "an order",
    "visit": "a visit",
}
_READS: Final = {"anger": "angry", "anxiety": "anxious", "sadness": "sad"}
UNHAPPY: Final = "what they wrote lately reads as unhappy"
FADING: Final = "what they wrote lately reads as unhappy, and that fades only slowly"


@dataclass(frozen=True, slots=True)
class Hold:
    """because: the reason in words. until: it ends then, where that is known and
    nothing ends it before: a good mark, a person."""

    because: str
    until: datetime | None = None

    def __str__(self) -> str:
        return self.because


class _Started(NamedTuple):
    """What started a hold; the greatest of several is the one that is named."""

    rank: int
    at: datetime
    until: datetime
    because: str


@dataclass(slots=True)
class _Facts:
    """Of one customer: what started holds, and the moments of good marks."""

    started: list[_Started]
    good: list[datetime]

    def standing(self, *, at: datetime) -> list[_Started]:
        """What holds at that instant, with the end that a good mark has brought."""
        ends = [one._replace(until=self._end(one)) for one in self.started]
        return [one for one in ends if one.until > at]

    def settled_at(self, *, at: datetime) -> datetime | None:
        """The newest good mark that has ended what was before it."""
        ended = [one for one in self.good if one + SETTLED_AFTER <= at]
        return max(ended, default=None)

    def _end(self, one: _Started) -> datetime:
        after = [good for good in self.good if good > one.at]
        return min([one.until, *(good + SETTLED_AFTER for good in after)])


def held(customer_ids: Iterable[int], *, at: datetime) -> dict[int, Hold]:
    """The customers who are held at that instant, with the reason.

    Six queries whatever the number of customers, and four more where some are just
    under the line; call it with some thousands of ids. The strongest reason wins: a
    message for a person, then a complaint, then a low rating, then one text in great
    anger, then the profile, then a complaint that was not read yet.
    """
    ids, measures = set(customer_ids), measures_in_use()
    holds = _by_unread(ids, at=at) | _by_profile(ids, measures, at=at)
    for pk, facts in _facts(ids, measures, since=at - HOLD, at=at).items():
        standing = facts.standing(at=at)
        if standing:
            last = max(one.until for one in standing)
            holds[pk] = Hold(max(standing).because, last)
    for pk, until in silenced(ids, at=at).items():
        holds[pk] = Hold(REASON, until)
    # Questions go by ranges of ids: of others in them nobody has asked.
    return {pk: hold for pk, hold in holds.items() if pk in ids}


def _by_unread(ids: Collection[int], *, at: datetime) -> dict[int, Hold]:
    """Whoever complained in words that wait to be read: it may be anger."""
    rows = _UNREAD(who=around(ids), after=at - HOLD, until=at + CLOCKS)
    return {
        pk: Hold(f"{COMPLAINTS[kind]} of {_day(when)} that was not read yet")
        for pk, kind, when in rows
    }


_UNREAD: Final = Prepared(
    lambda who, after, until: (
        unscored()
        .filter(
            who,
            occurred_at__gt=after,
            occurred_at__lte=until,
            kind__in=COMPLAINTS,
        )
        .order_by("occurred_at")
        .values_list("customer_id", "kind", "occurred_at")
    )
)


def _facts(
    ids: Collection[int], measures: HoldMeasures, *, since: datetime, at: datetime
) -> dict[int, _Facts]:
    found: dict[int, _Facts] = defaultdict(lambda: _Facts([], []))
    _add_marks(found, ids, measures, since=since, at=at)
    _add_texts(found, ids, since=since, at=at)
    return found


def _add_marks(
    found: dict[int, _Facts],
    ids: Collection[int],
    measures: HoldMeasures,
    *,
    since: datetime,
    at: datetime,
) -> None:
    rows = _MARKS(who=around(ids), after=since, until=at + CLOCKS)
    for customer, mark, kind, channel, when in rows:
        rating = cast("float", mark)
        of_ten = measures.is_of_ten(kind, channel)
        if rating <= (LOW_OF_TEN if of_ten else LOW_RATING):
            because = f"a {kind} rated {rating:g} on {_day(when)}"
            found[customer].started.append(_Started(1, when, when + HOLD, because))
        elif kind in ASKED_AFTER and _is_good(rating, of_ten=of_ten):
            found[customer].good.append(when)


_MARKS: Final = Prepared(
    lambda who, after, until: Interaction.objects.filter(
        who,
        occurred_at__gt=after,
        occurred_at__lte=until,
        rating__isnull=False,
        kind__in=RATED,
    ).values_list("customer_id", "rating", "kind", "channel", "occurred_at")
)


def _is_good(rating: float, *, of_ten: bool) -> bool:
    # 5 of 10 is no 5 of 5.
    return rating_deed(rating) == "high rating" and not (of_ten and rating <= 5)


def _add_texts(
    found: dict[int, _Facts], ids: Collection[int], *, since: datetime, at: datetime
) -> None:
    read = _TEXTS(who=around(ids), after=since, until=at + CLOCKS)
    if not read:
        return
    packed = b"".join(stored for _, _, stored, _ in read)
    families = unpack_families(packed).astype(np.float64)
    shares = negative_mass(families)
    # Few of many thousands: the rest is not looked at one by one.
    for row in np.flatnonzero(shares >= NEGATIVE_SHARE).tolist():
        customer, kind, _, when = read[row]
        feeling = max(_READS, key=lambda one: families[row, FAMILIES.index(one)])
        reads = f"that reads as {_READS[feeling]} on {_day(when)}"
        if kind in COMPLAINTS:
            because = f"{COMPLAINTS[kind]} {reads}"
            found[customer].started.append(_Started(2, when, when + HOLD, because))
        elif kind in _OTHER_TEXTS and shares[row] >= PEAK_SHARE:
            because = f"{_OTHER_TEXTS[kind]} {reads}"
            found[customer].started.append(_Started(0, when, when + PEAK_HOLD, because))


_TEXTS: Final = Prepared(
    lambda who, after, until: (
        EmotionScore.objects.filter(who, occurred_at__gt=after, occurred_at__lte=until)
        .exclude(families=b"")
        .values_list("customer_id", "kind", "families", "occurred_at")
    )
)


def _by_profile(
    ids: Collection[int], measures: HoldMeasures, *, at: datetime
) -> dict[int, Hold]:
    low = measures.line - SLOWER_BY
    # While nothing is read it goes towards what is usual: whoever is below stays.
    least = low if measures.usual < low else LEAST_NEGATIVITY
    found = _PROFILES(who=around(ids), until=at, after=at - LOOK_BACK, least=least)
    rows = [row for row in found if row[0] in ids]
    if not rows:
        return {}
    who, moments, states, known = zip(*rows, strict=True)
    # As of now: a profile is as old as the last news of its customer.
    days = np.array([max(0.0, (at - moment) / ONE_DAY) for moment in moments])
    sums, before = unpack_sums(states), np.array(known)
    now = later_negativity(sums, before, days)
    evident = is_evident(sums.fast_weight * decay(days, half_life_days=FAST_DAYS))
    over = np.array(who)[evident & (now > measures.line)].tolist()
    under = np.flatnonzero(evident & (now <= measures.line) & (now >= low))
    usual = usual_negativity(sums, before)
    still = _lingering(
        {who[row]: float(usual[row]) for row in under.tolist()}, measures, at=at
    )
    return dict.fromkeys(over, Hold(UNHAPPY)) | dict.fromkeys(still, Hold(FADING))


_PROFILES: Final = Prepared(
    lambda who, until, after, least: EmotionProfile.objects.filter(
        who, last_text_at__lte=until, last_text_at__gt=after, negativity__gte=least
    ).values_list("customer_id", "as_of", "state", "negativity")
)


def _lingering(
    usual: dict[int, float], measures: HoldMeasures, *, at: datetime
) -> list[int]:
    """Those of these customers whose hold began earlier and has not ended."""
    if not usual:
        return []
    people = load_people(usual)
    texts = load_texts(people, at=at)
    facts = _facts(list(usual), measures, since=at - LOOK_BACK, at=at)
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    still = []
    for row, pk in enumerate(people.ids.tolist()):
        one = facts.get(pk, _Facts([], []))
        settled = one.settled_at(at=at)
        started = [
            each
            for each in one.started
            if each.at <= at and (settled is None or each.at >= settled)
        ]
        if lingers(
            texts.of(np.array([row])),
            usual=usual[pk],
            line=measures.line,
            reasons=np.array([(at - each.at) / ONE_DAY for each in started]),
            ends=np.array([(at - each.until) / ONE_DAY for each in started]),
            settled=np.inf if settled is None else (at - settled) / ONE_DAY,
            today=(at - midnight) / ONE_DAY,
        ):
            still.append(pk)
    return still


def _day(when: datetime) -> str:
    return f"{when.day} {when:%B %Y}"
