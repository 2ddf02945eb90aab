"""Who moved between segments: by the run in use and since, and between any two runs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, F, Q, QuerySet

from segmentation.history import add_up, by_pair
from segmentation.models import (
    Membership,
    Publication,
    Segment,
    SegmentationRun,
    SegmentChange,
)
from segmentation.pictures import curve

LARGEST = 10
WIDEST_PX = 12.0


@dataclass(frozen=True, slots=True)
class SegmentSize:
    segment: Segment
    then: int
    now: int

    @property
    def change(self) -> int:
        return self.now - self.then


@dataclass(frozen=True, slots=True)
class Move:
    """So many customers went from one segment to another; path in a 100 x 100 box."""

    start: Segment
    end: Segment
    customers: int
    path: str
    width_px: float
    hot: bool


@dataclass(frozen=True, slots=True)
class Movement:
    """Since the run came into use, and by its coming; from the run before it."""

    since: SegmentationRun
    at: datetime
    sizes: tuple[SegmentSize, ...]
    moves: tuple[Move, ...]
    # The segment that most customers moved into: the picture's one full colour.
    into: Segment | None


def movement(run: SegmentationRun) -> Movement | None:
    """By the run in use and since, from what is written down; None without one before.

    No membership is looked at. Who went on from where the run had put them has moved
    twice: so it is told month by month, too.
    """
    publication = run.publications.select_related("replaces").first()
    if publication is None or publication.replaces is None:
        return None
    segments = {segment.pk: segment for segment in Segment.objects.all()}
    then, now = (stated_sizes(one, segments) for one in (publication.replaces, run))
    moves, into = drawn(_moved_by(publication))
    return Movement(
        since=publication.replaces,
        at=publication.published_at,
        sizes=tuple(
            SegmentSize(segment, then.get(pk, 0), now.get(pk, 0))
            for pk, segment in segments.items()
        ),
        moves=moves,
        into=into,
    )


def _moved_by(publication: Publication) -> list[tuple[int, int, int]]:
    """Changes by a run that came into use, and by news and hand since; most first."""
    moved = add_up(publication.pairs, changes_since(publication))
    return sorted(
        ((start, end, n) for (start, end), n in moved.items() if start is not None),
        key=lambda one: (-one[2], one[0], one[1]),
    )


def changes_since(publication: Publication) -> QuerySet[Any]:
    """From where, to where, how many: by news and by hand since a run came into use."""
    # At that very moment pins end before it, and news is folded in after it.
    found = SegmentChange.objects.filter(
        Q(at__gt=publication.published_at) | Q(folded=True),
        publication=None,
        at__gte=publication.published_at,
        from_segment__isnull=False,
    )
    return by_pair(found)


def pairs_between(
    before: SegmentationRun, after: SegmentationRun
) -> list[tuple[int, int, int]]:
    """Of those in both runs: where they were, where they are, how many; most first."""
    return list(
        _in_both(before, after)
        .values_list("came_from", "segment_id")
        .annotate(n=Count("pk"))
        .order_by("-n", "came_from", "segment_id")
    )


def changed_places(before: SegmentationRun, after: SegmentationRun) -> QuerySet[Any]:
    """Memberships of the later run whose customer the earlier one had elsewhere."""
    return _in_both(before, after).exclude(came_from=F("segment_id"))


def _in_both(before: SegmentationRun, after: SegmentationRun) -> QuerySet[Any]:
    # Every id is above 0. Said so, SQLite goes by customer through both runs; else by
    # segment, to and fro: 1.7 s instead of 7.8 for a million customers.
    return Membership.objects.filter(
        run=after, customer_id__gt=0, customer__memberships__run=before
    ).annotate(came_from=F("customer__memberships__segment_id"))


def drawn(
    pairs: Sequence[tuple[int, int, int]],
) -> tuple[tuple[Move, ...], Segment | None]:
    """The largest movements as curves, and the segment that most of them lead to."""
    segments = {segment.pk: segment for segment in Segment.objects.all()}
    largest = pairs[:LARGEST]
    arrivals: Counter[int] = Counter()
    for _, end, count in largest:
        arrivals[end] += count
    hottest = arrivals.most_common(1)[0][0] if arrivals else None
    order = list(segments)
    most = max((count for *_, count in largest), default=1)

    def middle(pk: int) -> float:
        return 100 * (order.index(pk) + 0.5) / len(order)

    moves = tuple(
        Move(
            segments[start],
            segments[end],
            count,
            curve(middle(start), middle(end)),
            max(1.5, WIDEST_PX * count / most),
            end == hottest,
        )
        for start, end, count in largest
    )
    return moves, segments[hottest] if hottest else None


def stated_sizes(
    run: SegmentationRun, segments: Mapping[int, Segment]
) -> dict[int, int]:
    """Sizes as they are written down with the run; of one replaced, as it was then."""
    sizes = run.quality.get("sizes", {})
    return {pk: sizes.get(segment.key, 0) for pk, segment in segments.items()}


def sizes_of(run: SegmentationRun) -> dict[int, int]:
    """How many customers each segment of a run has."""
    return dict(
        Membership.objects.filter(run=run)
        .values_list("segment_id")
        .annotate(n=Count("pk"))
        .order_by()
    )
