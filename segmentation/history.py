"""Who went from which segment to which, and when: written once, read by month."""

import itertools
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import (
    Count,
    DateTimeField,
    Exists,
    F,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Value,
)
from django.utils import timezone

from customers.models import Customer
from segmentation.models import Membership, Publication, Segment, SegmentChange

# Customers a transaction: the writer is free in between.
CHUNK = 10_000
MONTHS_SHOWN = 12
CHANGES_A_PAGE = 20
# Changes by runs that a page counts while it loads, 1 µs each.
COUNTED_LIVE = 50_000
_COLUMNS = ("customer_id", "from_segment_id", "to_segment_id", "at", "publication_id")


def finish_publications() -> None:
    """Write what the history of changes still lacks, a chunk of customers at a time.

    Whoever calls it, and however often it was interrupted: each chunk is written with
    the mark of how far it goes, so nothing is written twice and nothing is left out.
    """
    unwritten = Publication.objects.filter(written=False).order_by("pk")
    for pk in list(unwritten.values_list("pk", flat=True)):
        while _write_next(pk):
            pass


@transaction.atomic
def _write_next(pk: int) -> bool:
    """The changes of the next customers by id; False when there are none left."""
    publication = Publication.objects.select_for_update(no_key=True).get(pk=pk)
    if publication.written:
        return False
    # Locked: an objection waits until its customer's change is there to be deleted,
    # or was heard before and leaves no change to write.
    people = list(
        Customer.objects.filter(pk__gt=publication.written_to)
        .order_by("pk")
        .select_for_update(no_key=True)
        .values_list("pk", "profiling_objected_at")[:CHUNK]
    )
    if people:
        up_to = people[-1][0]
        # By name: joined, PostgreSQL would read all customers for each chunk.
        objected = [pk for pk, when in people if when is not None]
        places = Membership.objects.filter(
            run_id=publication.run_id,
            customer_id__gt=publication.written_to,
            customer_id__lte=up_to,
        ).exclude(customer_id__one_of=objected)
        moved = _insert(publication, _moved(publication, places, up_to=up_to))
        new = _insert(publication, _new(publication, places, up_to=up_to))
        if moved or new:
            publication.pairs = _added_up(publication, up_to=up_to)
        publication.moved += moved
        publication.newly_sorted += new
        publication.written_to = up_to
    publication.written = len(people) < CHUNK
    publication.save(
        update_fields=["moved", "newly_sorted", "pairs", "written_to", "written"]
    )
    return not publication.written


def _moved(
    publication: Publication, places: QuerySet[Membership], *, up_to: int
) -> QuerySet[Membership]:
    """Those whom the run before had in another segment."""
    return places.filter(
        Q(customer__memberships__segment__lt=F("segment_id"))
        | Q(customer__memberships__segment__gt=F("segment_id")),
        customer__memberships__run=publication.replaces_id or 0,
        # Said of both runs, PostgreSQL walks down both side by side; else it looks the
        # place before up customer by customer, for ten times as long.
        customer__memberships__customer_id__gt=publication.written_to,
        customer__memberships__customer_id__lte=up_to,
    ).annotate(came_from=F("customer__memberships__segment_id"))


def _new(
    publication: Publication, places: QuerySet[Membership], *, up_to: int
) -> QuerySet[Membership]:
    """Those whom the run before did not know."""
    before = Membership.objects.filter(
        run=publication.replaces_id or 0,
        customer_id__gt=publication.written_to,
        customer_id__lte=up_to,
        customer=OuterRef("customer_id"),
    )
    return places.filter(~Exists(before)).annotate(
        came_from=Value(None, output_field=IntegerField())
    )


def _added_up(publication: Publication, *, up_to: int) -> list[list[int | None]]:
    """Its pairs, with those just written: after its mark and up to this customer."""
    written = SegmentChange.objects.filter(
        publication=publication,
        customer_id__gt=publication.written_to,
        customer_id__lte=up_to,
    )
    pairs = add_up(publication.pairs, by_pair(written))
    # First places first: they come from nowhere.
    rows = sorted(pairs.items(), key=lambda one: (one[0][0] or 0, one[0][1]))
    return [[start, end, n] for (start, end), n in rows]


def by_pair(changes: QuerySet[SegmentChange], *before: str) -> QuerySet[Any]:
    """From where, to where, how many; before: other fields to tell them apart by."""
    pairs = changes.values_list(*before, "from_segment", "to_segment")
    return pairs.annotate(n=Count("pk")).order_by()


def add_up(*counted: Iterable[Sequence[Any]]) -> Counter[tuple[int | None, int]]:
    """Changes by pair, from several lists of: from where, to where, how many."""
    pairs: Counter[tuple[int | None, int]] = Counter()
    for start, end, n in itertools.chain(*counted):
        pairs[start, end] += n
    return pairs


def _insert(publication: Publication, found: QuerySet[Membership]) -> int:
    """INSERT ... SELECT: no row passes through here. Returns how many were written."""
    rows = found.annotate(
        moment=Value(publication.published_at, output_field=DateTimeField()),
        because=Value(publication.pk, output_field=IntegerField()),
    ).values_list("customer_id", "came_from", "segment_id", "moment", "because")
    selected, parameters = rows.query.get_compiler(connection=connection).as_sql()
    quote = connection.ops.quote_name
    table = quote(SegmentChange._meta.db_table)
    columns = ", ".join(quote(name) for name in _COLUMNS)
    with connection.cursor() as cursor:
        # Names of our own; what comes from outside are parameters.
        cursor.execute(
            f"INSERT INTO {table} ({columns}) {selected}",
            parameters,
        )
        return int(cursor.rowcount)


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month of the shop: from start up to, not including, end."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Flow:
    """So many changes from one segment to another; start None: a first place."""

    month: int
    start: int | None
    end: int
    changes: int


def months_until(at: datetime, *, count: int = MONTHS_SHOWN) -> list[Month]:
    """The last months, the newest last, in the shop's time zone."""
    local = timezone.localtime(at)
    newest = local.year * 12 + local.month - 1
    edges = [
        timezone.make_aware(datetime(month // 12, month % 12 + 1, 1))  # noqa: DTZ001
        for month in range(newest - count + 1, newest + 2)
    ]
    return [Month(*pair) for pair in itertools.pairwise(edges)]


def flows(months: Sequence[Month]) -> list[Flow]:
    """Changes by month and pair of segments, added up by the database.

    Of large publications it reads what was added up as they were written, so that a
    million changes are a few dozen rows; that still counts whoever has objected since,
    or was erased.
    """
    first, last = months[0].start, months[-1].end
    counted = Counter[tuple[int, int | None, int]]()
    starts = [month.start for month in months]

    def month_of(moment: datetime) -> int:
        return bisect_right(starts, moment) - 1

    published = Publication.objects.filter(
        published_at__gte=first, published_at__lt=last
    )
    few, many = _by_size(published)
    for publication in many:
        month = month_of(publication.published_at)
        for start, end, n in publication.pairs:
            counted[month, start, end] += n
    # Of a run all at its moment: grouped by that, SQLite would read every run's.
    in_months = {one.pk: month_of(one.published_at) for one in few}
    of_runs = SegmentChange.objects.filter(publication__in=few)
    for pk, start, end, n in by_pair(of_runs, "publication"):
        counted[in_months[pk], start, end] += n
    between = SegmentChange.objects.filter(publication=None, at__gte=first, at__lt=last)
    for at, start, end, n in by_pair(between, "at"):
        counted[month_of(at), start, end] += n
    return [
        Flow(*key, n)
        for key, n in sorted(counted.items(), key=lambda one: (one[0][0], -one[1]))
    ]


def _by_size(
    published: Iterable[Publication],
) -> tuple[list[Publication], list[Publication]]:
    """Small ones, whose changes are counted as they stand, and those too large."""
    few, many, changes = list[Publication](), list[Publication](), 0
    for one in sorted(published, key=lambda one: one.moved + one.newly_sorted):
        changes += one.moved + one.newly_sorted
        (few if changes <= COUNTED_LIVE else many).append(one)
    return few, many


@dataclass(frozen=True, slots=True)
class ComingsAndGoings:
    """One month of one segment. came: from another one; first: a first place."""

    month: Month
    came: int
    first: int
    left: int


def comings_and_goings(
    segment: Segment, months: Sequence[Month]
) -> list[ComingsAndGoings]:
    """Who entered and who left a segment, month by month, the newest last."""
    came, first, left = ([0] * len(months) for _ in range(3))
    for flow in flows(months):
        if flow.end == segment.pk:
            (first if flow.start is None else came)[flow.month] += flow.changes
        if flow.start == segment.pk:
            left[flow.month] += flow.changes
    return [
        ComingsAndGoings(month, *counts)
        for month, *counts in zip(months, came, first, left, strict=True)
    ]


def entered(segment: Segment, *, after: str = "") -> list[SegmentChange]:
    """The newest who came, page by page; after: cursor() of the last one seen."""
    return _page(SegmentChange.objects.filter(to_segment=segment), after)


def left(segment: Segment, *, after: str = "") -> list[SegmentChange]:
    """The newest who went; after: cursor() of the last one seen."""
    return _page(SegmentChange.objects.filter(from_segment=segment), after)


def cursor(page: Sequence[SegmentChange]) -> str:
    """What asks for the page after this one; empty after the last."""
    if len(page) < CHANGES_A_PAGE:
        return ""
    return f"{page[-1].at.isoformat()}_{page[-1].pk}"


def _page(found: QuerySet[SegmentChange], after: str) -> list[SegmentChange]:
    seen = _seen(after)
    if seen is not None:
        at, last = seen
        found = found.filter(Q(at__lt=at) | Q(at=at, pk__lt=last))
    return list(
        found.select_related("customer", "from_segment", "to_segment").order_by(
            "-at", "-pk"
        )[:CHANGES_A_PAGE]
    )


def _seen(after: str) -> tuple[datetime, int] | None:
    """The last change that a reader has seen; nothing for what is no cursor()."""
    moment, _, pk = after.partition("_")
    try:
        at, last = datetime.fromisoformat(moment), int(pk)
        # An hour before the first year there is: OverflowError.
        return (at.astimezone(UTC), last) if timezone.is_aware(at) else None
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class Stay:
    """A customer was in this segment from then until then; None: still is."""

    segment: Segment
    since: datetime | None
    until: datetime | None
    # A person placed them here, or ended that.
    by_hand: bool = False


def stays_of(customer: Customer) -> list[Stay]:
    """A customer's segments over time, the oldest first; none without a change."""
    changes = list(
        SegmentChange.objects.filter(customer=customer)
        .select_related("from_segment", "to_segment")
        .order_by("at", "pk")
    )
    if not changes:
        return []
    stays = []
    if changes[0].from_segment is not None:
        stays.append(Stay(changes[0].from_segment, None, changes[0].at))
    ends: list[datetime | None] = [change.at for change in changes[1:]]
    for change, until in zip(changes, [*ends, None], strict=True):
        stays.append(Stay(change.to_segment, change.at, until, change.by_hand))
    return stays
