"""Two runs side by side: sizes, who moved from where to where, figures.

The database adds up; a million memberships come back as at most 72 rows. That takes a
second, so of large runs the counts are kept with their moment: a fit counts itself
beside the run in use, the rest a person asks for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from customers.models import Customer
from segmentation.models import RunComparison, Segment, SegmentationRun
from segmentation.movement import (
    Move,
    changed_places,
    drawn,
    pairs_between,
    sizes_of,
    stated_sizes,
)

MOVERS_SHOWN = 50
# Customers of a run that are counted while the page waits, 1 to 2 µs each.
LIVE_UP_TO = 50_000


@dataclass(frozen=True, slots=True)
class ComparedSegment:
    """One segment in both runs: now = then - left - gone + came + joined."""

    segment: Segment
    then: int
    now: int
    then_share: float
    now_share: float
    left: int
    came: int
    # In one of the two runs only: erased since, or not known yet.
    gone: int
    joined: int

    @property
    def difference(self) -> float:
        return self.now_share - self.then_share


@dataclass(frozen=True, slots=True)
class Pair:
    start: Segment
    end: Segment
    customers: int


@dataclass(frozen=True, slots=True)
class Mover:
    """Somebody who is elsewhere now."""

    customer: Customer
    came_from: Segment
    segment: Segment


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of both runs: a name, the values, and how they are written."""

    name: str
    then: Any
    now: Any
    written: str


@dataclass(frozen=True, slots=True)
class Counts:
    """Sizes by segment, and [from, to, customers] of those in both runs, most first.

    movers: [customer, from, to] of the first who moved. at: when they were counted,
    where that was not now.
    """

    then: dict[int, int]
    now: dict[int, int]
    both: list[tuple[int, int, int]]
    movers: list[tuple[int, int, int]]
    at: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "then": list(self.then.items()),
            "now": list(self.now.items()),
            "both": self.both,
            "movers": self.movers,
        }

    @classmethod
    def kept(cls, found: RunComparison) -> "Counts":
        return cls(
            then=dict(found.counts["then"]),
            now=dict(found.counts["now"]),
            both=[(start, end, n) for start, end, n in found.counts["both"]],
            movers=[(pk, start, end) for pk, start, end in found.counts["movers"]],
            at=found.counted_at,
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    before: SegmentationRun
    after: SegmentationRun
    rows: tuple[ComparedSegment, ...]
    pairs: tuple[Pair, ...]
    moves: tuple[Move, ...]
    into: Segment | None
    # It is known who moved from where to where; since when, if not from now.
    counted: bool
    counted_at: datetime | None
    # It is still kept of both who was in which segment, but counting takes its time.
    may_count: bool
    movers: tuple[Mover, ...]
    figures: tuple[Figure, ...]

    @property
    def moved(self) -> int:
        return sum(pair.customers for pair in self.pairs)

    @property
    def reportable(self) -> bool:
        return self.before.reportable and self.after.reportable


def compare(before: SegmentationRun, after: SegmentationRun) -> Comparison:
    """What the later run does otherwise than the earlier one."""
    segments = {segment.pk: segment for segment in Segment.objects.all()}
    there = _places_kept(before, after)
    counts = _counts(before, after)
    then, now = (stated_sizes(one, segments) for one in (before, after))
    if counts is not None:
        then, now = counts.then, counts.now
    both = counts.both if counts is not None else []
    moved = [pair for pair in both if pair[0] != pair[1]]
    moves, into = drawn(moved)
    return Comparison(
        before=before,
        after=after,
        counted=counts is not None,
        counted_at=counts.at if counts is not None else None,
        may_count=there and (counts is None or counts.at is not None),
        rows=tuple(
            _row(segment, then, now, both if counts is not None else None)
            for segment in segments.values()
        ),
        pairs=tuple(
            Pair(segments[start], segments[end], count) for start, end, count in moved
        ),
        moves=moves,
        into=into,
        movers=_named(counts.movers, segments) if counts is not None else (),
        figures=_figures(before, after),
    )


def keep_counts(
    before: SegmentationRun, after: SegmentationRun, *, at: datetime
) -> None:
    """Count two large runs side by side and keep that; of others nothing is kept.

    What is folded in between two of its questions may make a line not add up by one.
    """
    if _is_large(before, after) and _places_kept(before, after):
        RunComparison.objects.update_or_create(
            before=before,
            after=after,
            defaults={"counts": _count(before, after).to_json(), "counted_at": at},
        )


def _counts(before: SegmentationRun, after: SegmentationRun) -> Counts | None:
    if not _is_large(before, after):
        return _count(before, after) if _places_kept(before, after) else None
    found = RunComparison.objects.filter(before=before, after=after).first()
    return Counts.kept(found) if found else None


def _count(before: SegmentationRun, after: SegmentationRun) -> Counts:
    moved = (
        changed_places(before, after)
        .order_by("customer_id")
        .values_list("customer_id", "came_from", "segment_id")
    )
    return Counts(
        sizes_of(before),
        sizes_of(after),
        pairs_between(before, after),
        list(moved[:MOVERS_SHOWN]),
    )


def _is_large(before: SegmentationRun, after: SegmentationRun) -> bool:
    return max(before.customers, after.customers) > LIVE_UP_TO


def _places_kept(before: SegmentationRun, after: SegmentationRun) -> bool:
    return not (before.thinned_at or after.thinned_at)


def _row(
    segment: Segment,
    then: dict[int, int],
    now: dict[int, int],
    both: list[tuple[int, int, int]] | None,
) -> ComparedSegment:
    pk = segment.pk
    left = came = stayed = 0
    for start, end, count in both or ():
        stayed += count if start == end == pk else 0
        left += count if start == pk != end else 0
        came += count if end == pk != start else 0
    was, is_ = then.get(pk, 0), now.get(pk, 0)
    return ComparedSegment(
        segment=segment,
        then=was,
        now=is_,
        then_share=was / (sum(then.values()) or 1),
        now_share=is_ / (sum(now.values()) or 1),
        left=left,
        came=came,
        gone=was - left - stayed if both is not None else 0,
        joined=is_ - came - stayed if both is not None else 0,
    )


def _named(
    movers: list[tuple[int, int, int]], segments: dict[int, Segment]
) -> tuple[Mover, ...]:
    """Those of them who are there still."""
    there = Customer.objects.in_bulk([pk for pk, *_ in movers])
    return tuple(
        Mover(there[pk], segments[start], segments[end])
        for pk, start, end in movers
        if pk in there
    )


def _figures(before: SegmentationRun, after: SegmentationRun) -> tuple[Figure, ...]:
    """What is written down of a run's fit, and by which it can be judged."""

    def figure(name: str, written: str, of: Callable[[SegmentationRun], Any]) -> Figure:
        return Figure(name, of(before), of(after), written)

    return (
        figure("Customers", "number", lambda run: run.customers),
        figure("Of these with a text that was read", "number", lambda run: run.scored),
        figure(
            "Got another name than in the run before",
            "share",
            lambda run: run.quality.get("renamed_share"),
        ),
        figure(
            "Largest shift of a share, in points",
            "points",
            lambda run: run.quality.get("largest_shift"),
        ),
        figure("Texts that everybody is worth", "decimal", _of_model("kappa")),
        figure("How far evidence is believed", "decimal", _of_model("temper")),
        figure(
            "Segments learned from this shop",
            "yes",
            lambda run: not run.too_few_to_learn,
        ),
        figure("Seed", "plain", _of_model("seed")),
    )


def _of_model(name: str) -> Callable[[SegmentationRun], Any]:
    return lambda run: run.model.get(name)
