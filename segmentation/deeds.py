"""What customers did, from rows to arrays: ratings, returns, late answers, habits."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import numpy as np
from django.db.models import Count, F, Min, Q
from django.db.models.functions import Coalesce

from customers.models import Interaction
from segmentation.bulk_rows import INSTANT, ROWS_AT_ONCE, Column, read_columns
from segmentation.frames import People, columns_of, days_before, in_order
from segmentation.profile.behaviour import (
    DEED_CODE,
    DEEDS,
    Terms,
    habit_deeds,
    rating_deed,
)
from segmentation.profile.events import BoolArray, Deeds, IntArray
from segmentation.profile.habits import ENGAGED, WINDOW_DAYS, Habits

_ANSWERED: Final = Q(kind=Interaction.Kind.TICKET, answered_at__isnull=False)
_IS_DEED: Final = Q(rating__isnull=False) | Q(kind=Interaction.Kind.RETURN) | _ANSWERED
_DEED_WORDS: Final = [deed.words for deed in DEEDS.values()]
_HOUR: Final = np.timedelta64(3_600_000_000, "us")


@dataclass(frozen=True, slots=True)
class _Done:
    """Ratings, returns and late answers, by customer, moment and id."""

    customer: IntArray
    moment: Column
    code: IntArray
    kind: Column


class ToldDeed(NamedTuple):
    """A deed in words; kind: of the interaction, or what was counted."""

    words: str
    kind: str
    moment: datetime


def load_deeds(
    people: People, *, at: datetime, terms: Terms, habits: Habits | None = None
) -> Deeds:
    """What they did up to this moment, in the order of tell_deeds().

    habits: of the same people and moment, where they were loaded already.
    """
    done = _load_done(people, at=at, terms=terms)
    deeds = Deeds(
        people.rows_of(done.customer), days_before(done.moment, at=at), done.code
    )
    if terms.thirds is None:
        return deeds
    if habits is None:
        habits = load_habits(people, at=at)
    return deeds.and_also(habit_deeds(habits, terms.thirds))


def tell_deeds(people: People, *, at: datetime, terms: Terms) -> Iterator[ToldDeed]:
    """The same in words, for few people."""
    done = _load_done(people, at=at, terms=terms)
    for moment, code, kind in zip(done.moment, done.code, done.kind, strict=True):
        yield ToldDeed(
            _DEED_WORDS[code], kind.decode(), moment.item().replace(tzinfo=UTC)
        )
    if terms.thirds is not None:
        counted = f"counted over {WINDOW_DAYS:.0f} days"
        for code in habit_deeds(load_habits(people, at=at), terms.thirds).code:
            yield ToldDeed(_DEED_WORDS[code], counted, at)


def _load_done(people: People, *, at: datetime, terms: Terms) -> _Done:
    found = Interaction.objects.filter(_IS_DEED, occurred_at__lte=at).annotate(
        answer=Coalesce("answered_at", "occurred_at")
    )
    columns = columns_of(
        people, found, {"rating": "f8", "kind": "S10", "answer": INSTANT}
    )
    rating = columns["rating"]
    rated = ~np.isnan(rating)
    returned = ~rated & (columns["kind"] == Interaction.Kind.RETURN.encode())
    late = ~rated & ~returned & _late(columns, at=at, terms=terms)
    code = np.full(len(rating), -1, np.int64)
    code[rated] = _rating_codes(rating[rated])
    code[returned] = DEED_CODE["return"]
    code[late] = DEED_CODE["late answer"]
    # The answer is what came late, on the day that it came.
    moment = np.where(late, columns["answer"], columns["occurred_at"])
    columns["occurred_at"] = moment
    order = in_order(people, columns)
    order = order[code[order] >= 0]
    return _Done(
        columns["customer_id"][order],
        moment[order],
        code[order],
        columns["kind"][order],
    )


def _late(columns: dict[str, Column], *, at: datetime, terms: Terms) -> BoolArray:
    """Answered later than the shop promises, and not only by tomorrow's clock."""
    answer = columns["answer"]
    if terms.answer_hours is None:
        return np.zeros(len(answer), bool)
    waited = (answer - columns["occurred_at"]) / _HOUR
    late: BoolArray = (waited > terms.answer_hours) & (days_before(answer, at=at) >= 0)
    return late


def _rating_codes(ratings: Column) -> IntArray:
    different, which = np.unique(ratings, return_inverse=True)
    codes = [DEED_CODE[rating_deed(float(one))] for one in different]
    return np.array(codes, np.int64)[which]


def load_habits(people: People, *, at: datetime) -> Habits:
    """How often each of them clicked, replied, visited and ordered of late.

    Of whoever may not be profiled nothing is known.
    """
    since = at - timedelta(days=WINDOW_DAYS)
    times = np.zeros(len(people.ids))
    known_days = np.zeros(len(people.ids))
    there = people.only(Interaction.objects.filter(occurred_at__lte=at))
    first = read_columns(
        there.values("customer_id").annotate(first=Min("occurred_at")).order_by(),
        {"customer_id": "i8", "first": INSTANT},
    )
    allowed = people.may_profile(first["customer_id"])
    rows = people.rows_of(first["customer_id"][allowed])
    known_days[rows] = np.minimum(
        days_before(first["first"][allowed], at=at), WINDOW_DAYS
    )
    engaged = there.filter(kind__in=ENGAGED, occurred_at__gt=since)
    counted = read_columns(
        engaged.values("customer_id").annotate(times=Count("pk")).order_by(),
        {"customer_id": "i8", "times": "f8"},
    )
    allowed = people.may_profile(counted["customer_id"])
    times[people.rows_of(counted["customer_id"][allowed])] = counted["times"][allowed]
    return Habits(times, known_days)


def next_moments(people: People, *, at: datetime) -> dict[int, datetime]:
    """When the first of what is said, done or answered after this moment happens, by
    customer.

    Clocks differ: what is recorded may lie a day ahead.
    """
    found: dict[int, datetime] = {}
    for name in ("occurred_at", "answered_at"):
        later = Interaction.objects.filter(
            **{f"{name}__gt": at}, customer__profiling_objected_at=None
        )
        for pk, first in (
            people.only(later)
            .order_by()
            .values_list("customer_id")
            .annotate(Min(F(name)))
            .iterator(chunk_size=ROWS_AT_ONCE)
        ):
            found[pk] = min(first, found.get(pk, first))
    return found
