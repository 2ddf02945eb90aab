"""The map of customers: drawn when a run is fitted, kept with it, read by a page.

Regions and figures are numbers in the run's quality; the customers that are drawn are
rows of their own, so that an objection or erasure takes them off at once.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from django.db import transaction

from customers.models import Customer
from segmentation.clustering.layout import (
    Frame,
    Region,
    chosen,
    frame_for,
    in_words,
    nearest,
    places,
    region,
)
from segmentation.clustering.model import LABELS, UNKNOWN_LABEL
from segmentation.clustering.quality import PEOPLE_NEEDED
from segmentation.frames import People
from segmentation.models import MapDot, Membership, Segment, SegmentationRun
from segmentation.profile.events import BoolArray, FloatArray, IntArray

TYPICAL: Final = 3
DIGITS: Final = 5


@dataclass(frozen=True, slots=True)
class Drawn:
    """A customer on the map; x, y in per cent of the picture."""

    membership: Membership
    x: float
    y: float
    # From the middle of the segment's region; none where the segment has no region.
    distance: float | None


@dataclass(frozen=True, slots=True)
class MappedSegment:
    """A segment on the map: its region, who is drawn of it, who is most like it."""

    segment: Segment
    customers: int
    region: Region | None
    words: str
    dots: tuple[Drawn, ...]

    @property
    def typical(self) -> list[Drawn]:
        """Those drawn who are nearest to the middle of the region."""
        near = [dot for dot in self.dots if dot.distance is not None]
        return sorted(near, key=lambda dot: dot.distance or 0.0)[:TYPICAL]


@dataclass(frozen=True, slots=True)
class CustomerMap:
    frame: Frame
    # Everyone's middle, in per cent of the picture.
    middle: tuple[float, float]
    segments: tuple[MappedSegment, ...]
    drawn: int
    placed: int
    # Of those in a segment with a region, the share nearest to their own.
    at_home: float | None
    unknown: int
    objected: int
    # In a segment by what they did alone: no text, no place.
    wordless: int


def draw_map(
    run: SegmentationRun,
    people: People,
    composition: FloatArray,
    wrote: BoolArray,
    label: IntArray,
    *,
    before: SegmentationRun | None,
) -> None:
    """Lay out everybody, and keep regions and a sample; run.quality is not saved.

    composition: (n, 9); wrote: (n,) who has a text that was read; label: (n,) indices
    into LABELS as the run itself has them. before: the run in use, whose frame stays.
    """
    sorted_in = (label != UNKNOWN_LABEL) & ~people.objected
    on_map = np.flatnonzero(sorted_in & wrote)
    MapDot.objects.filter(run=run).delete()
    kept: dict[str, Any] = {
        "placed": len(on_map),
        "objected": int(people.objected.sum()),
        "wordless": int((sorted_in & ~wrote).sum()),
    }
    run.quality["map"] = kept
    if not len(on_map):
        return
    where, labels = places(composition[on_map]), label[on_map]
    frame = frame_for(where, before=_frame(before.quality) if before else None)
    regions = {
        LABELS[one]: region(where[labels == one])
        for one in range(len(LABELS) - 2)
        if (labels == one).sum() >= PEOPLE_NEEDED
    }
    kept |= {
        "frame": [frame.left, frame.right, frame.bottom, frame.top],
        "middle": _rounded(where.mean(axis=0)),
        "deviation": _rounded(where.std(axis=0)),
        "regions": {
            key: {
                "centre": _rounded(one.centre),
                "spread": one.spread.tolist(),
                "customers": one.customers,
            }
            for key, one in regions.items()
        },
        "at_home": _at_home(where, labels, regions),
    }
    rows = chosen(people.ids[on_map], labels)
    _write_dots(run, people.ids[on_map[rows]], where[rows])


@transaction.atomic
def _write_dots(run: SegmentationRun, ids: IntArray, where: FloatArray) -> None:
    # Who was erased or objected while this was being computed is left out.
    there = set(
        Customer.objects.filter(
            pk__in=ids.tolist(), profiling_objected_at=None
        ).values_list("pk", flat=True)
    )
    MapDot.objects.bulk_create(
        MapDot(run=run, customer_id=pk, x=x, y=y)
        for pk, (x, y) in zip(ids.tolist(), where.tolist(), strict=True)
        if pk in there
    )


def _rounded(values: FloatArray) -> list[float]:
    return [round(float(value), DIGITS) for value in values]


def _at_home(
    where: FloatArray, labels: IntArray, regions: dict[str, Region]
) -> float | None:
    if len(regions) < 2:
        return None
    of = np.array([LABELS.index(key) for key in regions])
    some = np.isin(labels, of)
    found = of[nearest(where[some], list(regions.values()))]
    return round(float((found == labels[some]).mean()), 4)


def _frame(quality: dict[str, Any]) -> Frame | None:
    kept = quality.get("map", {}).get("frame")
    return Frame(*kept) if kept else None


def map_of(run: SegmentationRun) -> CustomerMap | None:
    """The map as it was drawn, without whoever objected since; None without a map."""
    frame = _frame(run.quality)
    if frame is None:
        return None
    kept = run.quality["map"]
    middle, deviation = np.array(kept["middle"]), np.array(kept["deviation"])
    regions = {
        key: Region(np.array(one["centre"]), np.array(one["spread"]), one["customers"])
        for key, one in kept["regions"].items()
    }
    dots = _dots(run, frame, regions)
    segments = []
    sizes = run.quality.get("sizes", {})
    for segment in Segment.objects.exclude(key="unknown"):
        found = regions.get(segment.key)
        segments.append(
            MappedSegment(
                segment=segment,
                customers=sizes.get(segment.key, 0),
                region=found,
                words=in_words(found.centre - middle, deviation) if found else "",
                dots=tuple(dots.get(segment.pk, ())),
            )
        )
    return CustomerMap(
        frame=frame,
        middle=frame.percent(*middle),
        segments=tuple(segments),
        drawn=sum(len(one.dots) for one in segments),
        placed=kept["placed"],
        at_home=kept["at_home"],
        unknown=sizes.get("unknown", 0),
        objected=kept["objected"],
        wordless=kept["wordless"],
    )


def _dots(
    run: SegmentationRun, frame: Frame, regions: dict[str, Region]
) -> dict[int, list[Drawn]]:
    """Who is drawn of each segment, by its id; nobody unknown, nobody who objected."""
    dots = {
        dot.customer_id: dot
        for dot in MapDot.objects.filter(
            run=run, customer__profiling_objected_at__isnull=True
        )
    }
    found: dict[int, list[Drawn]] = {}
    memberships = (
        Membership.objects.filter(run=run, customer_id__in=list(dots))
        .exclude(segment__key="unknown")
        .select_related("customer", "segment")
        .order_by("customer_id")
    )
    for membership in memberships:
        dot = dots[membership.customer_id]
        its = regions.get(membership.segment.key)
        distance = its.distance(np.array([[dot.x, dot.y]]))[0] if its else None
        x, y = frame.percent(dot.x, dot.y)
        if 0 <= x <= 100 and 0 <= y <= 100:
            found.setdefault(membership.segment_id, []).append(
                Drawn(
                    membership, x, y, float(distance) if distance is not None else None
                )
            )
    return found
