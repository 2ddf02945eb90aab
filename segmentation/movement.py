"""Who moved between segments from one published run to the next."""

from collections import Counter
from dataclasses import dataclass

from django.db.models import Count, F, OuterRef, Subquery

from segmentation.models import Membership, Segment, SegmentationRun
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
    since: SegmentationRun
    sizes: tuple[SegmentSize, ...]
    moves: tuple[Move, ...]
    # The segment that most customers moved into: the picture's one full colour.
    into: Segment | None


def movement(run: SegmentationRun) -> Movement | None:
    """From the run before to this one; None when there was none."""
    before = (
        SegmentationRun.objects.filter(
            state=SegmentationRun.State.SUPERSEDED, published_at__lt=run.published_at
        )
        .order_by("-published_at")
        .first()
    )
    if before is None:
        return None
    segments = {segment.pk: segment for segment in Segment.objects.all()}
    then, now = _sizes(before), _sizes(run)
    moved = (
        Membership.objects.filter(run=run)
        .annotate(
            came_from=Subquery(
                Membership.objects.filter(
                    run=before, customer=OuterRef("customer")
                ).values("segment_id")[:1]
            )
        )
        .exclude(came_from=F("segment_id"))
        .exclude(came_from=None)
        .values_list("came_from", "segment_id")
        .annotate(n=Count("pk"))
        .order_by("-n")
    )
    pairs = list(moved[:LARGEST])
    arrivals: Counter[int] = Counter()
    for _, end, count in pairs:
        arrivals[end] += count
    hottest = arrivals.most_common(1)[0][0] if arrivals else None
    order = list(segments)
    most = max((count for *_, count in pairs), default=1)

    def middle(pk: int) -> float:
        return 100 * (order.index(pk) + 0.5) / len(order)

    return Movement(
        since=before,
        sizes=tuple(
            SegmentSize(segment, then.get(pk, 0), now.get(pk, 0))
            for pk, segment in segments.items()
        ),
        moves=tuple(
            Move(
                segments[start],
                segments[end],
                count,
                curve(middle(start), middle(end)),
                max(1.5, WIDEST_PX * count / most),
                end == hottest,
            )
            for start, end, count in pairs
        ),
        into=segments[hottest] if hottest else None,
    )


def _sizes(run: SegmentationRun) -> dict[int, int]:
    return dict(
        Membership.objects.filter(run=run)
        .values_list("segment_id")
        .annotate(n=Count("pk"))
        .order_by()
    )
