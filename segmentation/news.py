"""Marks on customers of whom there is something new, until a fold or a run has it.

A mark is written in the transaction of the news itself: a kill at any instant loses
neither. It goes in the transaction that writes the profile, under a lock on the mark:
news that came meanwhile waits for that lock and marks anew. A run that begins signs all
marks there are; it reads after that, so it has read what it signed. What it has not
signed by the time it comes into use is folded into it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from customers.models import Customer, Interaction
from customers.news import Recorded
from segmentation.models import Membership, News, SegmentationRun

# Marks a transaction: who makes news is free in between.
CHUNK: Final = 5000


def mark(customer_ids: Iterable[int]) -> None:
    """There is something new of these customers; in the transaction that does it."""
    _mark(dict.fromkeys(customer_ids, False))


def _mark(habits_only: Mapping[int, bool]) -> None:
    """By id, here and wherever marks are locked: two at once never wait for each other.

    habits_only: customer → whether nothing but a click, a visit or an order is new.
    """
    News.objects.bulk_create(
        (
            News(customer_id=pk, habits_only=habits_only[pk])
            for pk in sorted(habits_only)
        ),
        batch_size=CHUNK,
        update_conflicts=True,
        unique_fields=["customer"],
        update_fields=["waiting", "due", "seen_by"],
    )
    more = [pk for pk, only in habits_only.items() if not only]
    for start in range(0, len(more), CHUNK):
        # Locked by the lines above; where there was other news before, it stays so.
        News.objects.filter(
            pk__in=more[start : start + CHUNK], habits_only=True
        ).update(habits_only=False)


def hear_recorded(interactions: Sequence[Recorded]) -> None:
    """Ratings, returns and answers are evidence at once, and so is how often somebody
    comes; texts once they have been read."""
    habits_only: dict[int, bool] = {}
    for each in interactions:
        deed = each.rating is not None or each.kind == Interaction.Kind.RETURN
        if deed or each.answered:
            habits_only[each.customer_id] = False
        elif not each.waits_to_be_read:
            habits_only.setdefault(each.customer_id, True)
    _mark(habits_only)


def hear_changed(customer_ids: Collection[int]) -> None:
    """What is left of them is folded anew."""
    mark(customer_ids)


def waiting(run: SegmentationRun, *, at: datetime) -> QuerySet[News]:
    """What is to be folded into the run in use now, by customer."""
    return (
        News.objects.filter(Q(due=None) | Q(due__lte=at), waiting=True)
        .exclude(seen_by=run)
        .order_by("pk")
    )


def since(run: SegmentationRun) -> int:
    """Of how many customers there was news that this run has not read; not of those
    who only came by."""
    unread = News.objects.filter(due=None, habits_only=False).exclude(seen_by=run)
    return unread.count()


def sign(run: SegmentationRun) -> None:
    """This run, which is about to load what it sorts, will have read all there is."""
    last = 0
    while True:
        with transaction.atomic():
            ids = _locked(News.objects.filter(pk__gt=last))
            if not ids:
                return
            News.objects.filter(pk__in=ids).update(seen_by=run)
        last = ids[-1]


def unread_between(run: SegmentationRun, first: int, last: int) -> set[int]:
    """Those from one id to another of whom there is news that this run has not read."""
    return set(
        News.objects.filter(customer_id__gte=first, customer_id__lte=last)
        .exclude(seen_by=run)
        .values_list("pk", flat=True)
    )


def put_off(
    run: SegmentationRun, customer_ids: Iterable[int], *, due: datetime
) -> None:
    """Something of theirs lies after the cut-off of this run: folded once it is due."""
    ids = sorted(customer_ids)
    for start in range(0, len(ids), CHUNK):
        part = ids[start : start + CHUNK]
        with transaction.atomic():
            News.objects.bulk_create(
                (News(customer_id=pk, seen_by=run) for pk in part),
                ignore_conflicts=True,
            )
            # Where there is more, unread by this run, it waits for no day.
            seen = _locked(News.objects.filter(pk__in=part, seen_by=run))
            News.objects.filter(pk__in=seen).update(waiting=True, due=due, seen_by=None)


def carry_over(run: SegmentationRun, before: SegmentationRun) -> None:
    """Of whom there was news since this run began: where the run before has them.

    Read anew by the next fold, from there on: else the history would tell of a way back
    and forth that nobody went.
    """
    # Not of those who only came by: that is folded into where the new run has them.
    unread = News.objects.filter(habits_only=False).exclude(seen_by=run).order_by("pk")
    last = 0
    while ids := list(unread.filter(pk__gt=last).values_list("pk", flat=True)[:CHUNK]):
        last = ids[-1]
        places = list(Membership.objects.filter(run=before, customer__in=ids))
        Membership.objects.filter(
            run=run, customer__in=[place.customer_id for place in places]
        ).delete()
        for place in places:
            place.pk, place.run = None, run
        Membership.objects.bulk_create(places)


def fold_again(run: SegmentationRun) -> None:
    """What this run has not read is folded into it, also what was folded elsewhere."""
    unread = News.objects.exclude(seen_by=run).filter(waiting=False)
    while ids := _locked(unread):
        News.objects.filter(pk__in=ids).update(waiting=True)


def forget_signatures() -> None:
    """An earlier run is in use again: it has read none of this."""
    signed = News.objects.exclude(seen_by=None)
    while ids := _locked(signed):
        News.objects.filter(pk__in=ids).update(waiting=True, seen_by=None)


def drop_read(run: SegmentationRun) -> None:
    """Take away the marks that the run in use has signed."""
    read = News.objects.filter(seen_by=run)
    while True:
        with transaction.atomic():
            ids = _locked(read)
            if not ids:
                return
            News.objects.filter(pk__in=ids).delete()


def mark_newcomers(run: SegmentationRun) -> None:
    """Whoever has no place in the run in use is news."""
    here = Membership.objects.filter(run=run, customer=OuterRef("pk"))
    newcomers = Customer.objects.filter(~Exists(here)).order_by("pk")
    last = 0
    while ids := list(
        newcomers.filter(pk__gt=last).values_list("pk", flat=True)[:CHUNK]
    ):
        last = ids[-1]
        with transaction.atomic():
            mark(ids)


def _locked(marks: QuerySet[News]) -> list[int]:
    """The next of these marks by customer, locked."""
    return list(
        marks.order_by("pk")
        .select_for_update(no_key=True)
        .values_list("pk", flat=True)[:CHUNK]
    )
