"""Nobody gets too many promotions: a place in a customer's window is reserved.

The rows are unique by customer, window and ordinal and are inserted in the transaction
of the intent, so that of two campaigns that race for the last place one loses, on
either database. A place is free again once its message surely was not sent. Who is in
a segment of the unhappy has half the places; who objected to profiling has all, since
nothing may be inferred. Source: sending.md 3.8, 5.4.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from campaigns.models import FrequencyCap, FrequencyReservation, Message
from campaigns.sending.breaker import note
from segmentation.tones import GUARDED_SEGMENTS

if TYPE_CHECKING:
    from django.contrib.auth.models import User

SURELY_NOT_SENT: Final = (
    Message.State.FAILED,
    Message.State.LEFT_OUT,
    Message.State.CANCELLED,
)
KEPT_FOR: Final = timedelta(days=100)
FORGOTTEN_A_TURN: Final = 5000


class Reserved(NamedTuple):
    """capped: message → reason, detail. later: another campaign was quicker by a hair;
    they are asked anew."""

    capped: dict[int, tuple[str, str]]
    later: set[int]


def window_of(day: date, days: int) -> date:
    """When the window of that day began; a week begins on Monday."""
    return day - timedelta(days=(day.toordinal() - 1) % days)


def places_of(cap: FrequencyCap, segment_key: str, *, objected: bool) -> int:
    """How many places this customer has in a window."""
    if segment_key in GUARDED_SEGMENTS and not objected:
        return max(1, cap.most // 2)
    return cap.most


def reserve(
    message_ids: Sequence[int], cap: FrequencyCap, *, now: datetime
) -> Reserved:
    """A place for each of these messages, inside the transaction of their intent."""
    begin = window_of(timezone.localdate(now), cap.days)
    rows = list(
        Message.objects.filter(pk__in=message_ids)
        .order_by("customer_id")
        .values_list(
            "pk", "customer_id", "segment_key", "customer__profiling_objected_at"
        )
    )
    taken = _taken([row[1] for row in rows], message_ids, begin)
    wanted, capped = [], dict[int, tuple[str, str]]()
    for pk, customer, segment, objected in rows:
        theirs, places = (
            taken[customer],
            places_of(cap, segment, objected=bool(objected)),
        )
        if pk in theirs.values():
            continue
        if len(theirs) >= places:
            capped[pk] = ("capped", f"{len(theirs)} since {begin:%d %B %Y}")
            continue
        ordinal = next(one for one in range(1, 2**15) if one not in theirs)
        wanted.append(
            FrequencyReservation(
                customer_id=customer, window_start=begin, ordinal=ordinal, message_id=pk
            )
        )
    # By customer: two campaigns wait for each other in one direction only.
    FrequencyReservation.objects.bulk_create(wanted, ignore_conflicts=True)
    ids = [one.message_id for one in wanted]
    got = FrequencyReservation.objects.filter(message__in=ids, window_start=begin)
    return Reserved(capped, set(ids) - set(got.values_list("message_id", flat=True)))


def _taken(
    customers: Sequence[int], message_ids: Sequence[int], begin: date
) -> dict[int, dict[int, int]]:
    """{customer: {ordinal: message}} of this window; what came free is let go."""
    held = FrequencyReservation.objects.filter(customer__in=customers)
    FrequencyReservation.objects.filter(message__in=message_ids).exclude(
        window_start=begin
    ).delete()
    found: dict[int, dict[int, int]] = defaultdict(dict)
    free = []
    for pk, customer, ordinal, message, state in held.filter(
        window_start=begin
    ).values_list("pk", "customer_id", "ordinal", "message_id", "message__state"):
        if state in SURELY_NOT_SENT:
            free.append(pk)
        else:
            found[customer][ordinal] = message
    FrequencyReservation.objects.filter(pk__in=free).delete()
    return found


def move_places(kept_id: int, other_id: int) -> None:
    """Two customers are one: the one who stays has got what both got."""
    for place in FrequencyReservation.objects.filter(customer=other_id):
        theirs = FrequencyReservation.objects.filter(
            customer=kept_id, window_start=place.window_start
        )
        used = set(theirs.values_list("ordinal", flat=True))
        place.ordinal = next(one for one in range(1, 2**15) if one not in used)
        place.customer_id = kept_id
        place.save(update_fields=["ordinal", "customer"])


def forget_old(*, at: datetime) -> int:
    """Windows long past say nothing any more."""
    old = FrequencyReservation.objects.filter(window_start__lt=at.date() - KEPT_FOR)
    ids = list(old.values_list("pk", flat=True)[:FORGOTTEN_A_TURN])
    if ids:
        FrequencyReservation.objects.filter(pk__in=ids).delete()
    return len(ids)


def set_cap(most: int | None, days: int, *, at: datetime, by: "User") -> None:
    """The shop's cap; None: as many as campaigns send."""
    with transaction.atomic():
        FrequencyCap.objects.all().delete()
        words = "no cap on how often somebody is written to"
        if most is not None:
            words = str(FrequencyCap.objects.create(most=most, days=days))
            words = f"{words} for each customer"
        said = f"{by.get_username()} set: {words}."
        note(settings.PROVIDER, said, at=at, by=by)
