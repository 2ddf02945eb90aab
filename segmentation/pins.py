"""Customers whom a person has placed: that wins over every run, and is kept.

A pin changes where a customer is, and nothing else: the run's own reading stays beside
it, no model learns from it, a hold still holds, and an objection to profiling deletes
it.
"""

from collections import Counter
from datetime import date, datetime
from functools import partial
from typing import Any, Final

from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from customers.models import Customer
from segmentation.clustering.anchors import UNKNOWN
from segmentation.errors import DecisionRefused
from segmentation.models import (
    Membership,
    Pin,
    Segment,
    SegmentationRun,
    SegmentChange,
)
from segmentation.places import nowhere, published_run, recount
from segmentation.reasons import tidy_reason
from segmentation.run_lock import between_publications

PINS_A_PAGE: Final = 50
# Pins that are ended in one transaction.
CHUNK: Final = 200


def pin_customer(
    customer: Customer,
    *,
    segment: Segment,
    reason: str,
    by: Any,
    at: datetime,
    until: date | None = None,
) -> Pin:
    """Place a customer by hand, in the run in use at once and in every later one.

    until: the last day, in the shop's time zone. An earlier pin ends. Raises
    DecisionRefused for a customer who objected to profiling, for the segment unknown, a
    day that has passed, or without a reason.
    """
    why = tidy_reason(reason, why="Placing a customer by hand")
    if segment.key == UNKNOWN:
        raise DecisionRefused(
            f"“{segment}” is for customers of whom too little is known. Choose another "
            "segment; Mixed is written to in the neutral tone too."
        )
    if until is not None and until < _day(at):
        raise DecisionRefused(
            f"The last day must not have passed: {until:%d %B %Y} has."
        )

    def place() -> Pin:
        # Locked: an objection comes before this and is heeded, or after and deletes it.
        found = Customer.objects.select_for_update(no_key=True).get(pk=customer.pk)
        if found.profiling_objected_at is not None:
            raise DecisionRefused(
                f"{found} objected to profiling: they are in no segment, whoever "
                "would place them."
            )
        Pin.objects.filter(customer=found, ended_at=None).update(
            ended=Pin.Ended.REPLACED, ended_at=at, ended_by=by
        )
        pin = Pin.objects.create(
            customer=found,
            segment=segment,
            reason=why,
            pinned_by=by,
            pinned_at=at,
            until=until,
        )
        _move(found.pk, segment, at=at)
        return pin

    return between_publications(place)


def remove_pin(pin: Pin, *, by: Any, at: datetime) -> None:
    """The customer goes back to where the run in use has them.

    Raises DecisionRefused for a pin that has ended.
    """

    def end() -> None:
        ended = Pin.objects.filter(pk=pin.pk, ended_at=None).update(
            ended=Pin.Ended.REMOVED, ended_at=at, ended_by=by
        )
        if not ended:
            raise DecisionRefused("This customer is not placed by hand any more.")
        _move(pin.customer_id, None, at=at)

    between_publications(end)


def end_expired_pins(*, at: datetime) -> int:
    """End the pins whose last day has passed. Returns how many."""
    ended = 0
    expired = Pin.objects.filter(ended_at=None, until__lt=_day(at)).order_by("pk")
    while ids := list(expired.values_list("pk", flat=True)[:CHUNK]):
        ended += between_publications(partial(_end, ids, at=at))
    return ended


def _end(ids: list[int], *, at: datetime) -> int:
    for pin in Pin.objects.filter(pk__in=ids, ended_at=None):
        _move(pin.customer_id, None, at=at)
    return Pin.objects.filter(pk__in=ids, ended_at=None).update(
        ended=Pin.Ended.DATE, ended_at=at
    )


def place_by_hand(run: SegmentationRun, *, at: datetime) -> None:
    """Put whom a person has placed where they belong, in a run that is not in use yet.

    Whoever was in it by a pin that has ended meanwhile is back where the run has them.
    """
    standing = standing_pins(at=at)
    placed = Membership.objects.filter(run=run, run_segment__isnull=False)
    placed.exclude(customer__in=standing.values("customer")).update(
        segment=F("run_segment"), run_segment=None
    )
    here = Membership.objects.filter(run=run)
    unseen = standing.exclude(customer__in=here.values("customer"))
    unknown = Segment.objects.get(key=UNKNOWN)
    Membership.objects.bulk_create(
        (
            Membership(run=run, customer_id=pk, **nowhere(unknown, since=at))
            for pk in unseen.values_list("customer", flat=True).iterator(CHUNK)
        ),
        batch_size=CHUNK,
        ignore_conflicts=True,
    )
    pinned = here.filter(customer__in=standing.values("customer"))
    pinned.filter(run_segment=None).update(run_segment=F("segment"))
    pinned.update(
        segment=Subquery(
            Pin.objects.filter(
                customer=OuterRef("customer"), ended_at__isnull=True
            ).values("segment")[:1]
        )
    )


def standing_pins(*, at: datetime) -> QuerySet[Pin]:
    """The pins that hold at that instant."""
    return Pin.objects.filter(
        Q(until=None) | Q(until__gte=_day(at)),
        ended_at=None,
        customer__profiling_objected_at=None,
    )


def pin_of(customer: Customer, *, at: datetime) -> Pin | None:
    """The pin that holds for a customer."""
    return (
        standing_pins(at=at)
        .filter(customer=customer)
        .select_related("segment", "pinned_by")
        .first()
    )


def _day(at: datetime) -> date:
    return timezone.localtime(at).date()


def _move(customer_id: int, to: Segment | None, *, at: datetime) -> None:
    """To this segment, or (None) back to the run's own; in the run in use."""
    run = published_run()
    if run is None:
        return
    place = Membership.objects.filter(run=run, customer_id=customer_id).first()
    counts: Counter[int] = Counter()
    came_from = place.segment_id if place else None
    by_hand_before = place is not None and place.run_segment_id is not None
    if place is None:
        unknown = Segment.objects.get(key=UNKNOWN)
        place = Membership(
            run=run, customer_id=customer_id, **nowhere(unknown, since=at)
        )
    own = place.run_segment_id or place.segment_id
    place.segment_id = to.pk if to else own
    place.run_segment_id = own if to else None
    place.save()
    if came_from is not None:
        counts[came_from] -= 1
    counts[place.segment_id] += 1
    by_hand: Counter[int] = Counter()
    if by_hand_before and came_from is not None:
        by_hand[came_from] -= 1
    if to is not None:
        by_hand[to.pk] += 1
    recount(run, sizes=counts, by_hand=by_hand)
    if came_from != place.segment_id:
        SegmentChange.objects.create(
            customer_id=customer_id,
            from_segment_id=came_from,
            to_segment_id=place.segment_id,
            at=at,
        )
