"""Door: the map of customers by emotion."""

from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from customers.doors import shown_page
from customers.templatetags.attune import css
from segmentation.clustering.layout import Frame
from segmentation.clustering.wording import how_sure
from segmentation.mapping import CustomerMap, MappedSegment, map_of
from segmentation.pictures import outline, place_tags
from segmentation.places import published_run

# A name tag on a phone, in per cent of the picture.
TAG_WIDTH, TAG_HEIGHT = 38.0, 7.0
MIXED: Final = "mixed"


@dataclass(frozen=True, slots=True)
class ShownRegion:
    """A region's outline in a 100 x 100 box, and the middle of its name tag."""

    of: MappedSegment
    path: str
    left: float
    top: float


@dataclass(frozen=True, slots=True)
class ShownDot:
    """x, y: in per cent of the picture, as CSS has them. page: the customer's."""

    x: str
    y: str
    label: str
    page: str


@dataclass(frozen=True, slots=True)
class ShownDots:
    """A segment's dots; pale ones are no links while another one is looked at."""

    of: MappedSegment
    dots: list[ShownDot]
    pale: bool


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A line of the table; 0 to 100 of the picture from left and from the bottom."""

    of: MappedSegment
    pleasant: float | None
    stirred: float | None


@require_safe
def customer_map(request: HttpRequest) -> HttpResponse:
    """Customers placed by what their texts read as; ?segment=anxious for one group."""
    run = published_run()
    found = map_of(run) if run and run.reportable else None
    keys = {one.segment.key for one in found.segments} if found else set()
    asked = request.GET.get("segment", "")
    only = asked if asked in keys else ""
    return shown_page(
        request,
        "segmentation/map.html",
        title="Map of customers",
        crumbs=[("Segments", reverse("segmentation:segments")), ("Map", None)],
        run=run,
        found=found,
        only=next((one for one in found.segments if one.segment.key == only), None)
        if found
        else None,
        regions=_regions(found) if found else [],
        table=[_row(one, found.frame) for one in found.segments] if found else [],
        groups=[
            ShownDots(
                one,
                _shown(one),
                bool(only) and one.segment.key != only,
            )
            # Mixed ones lie beneath, as they are everywhere; who is looked at, on top.
            for one in sorted(
                found.segments,
                key=lambda one: (one.segment.key == only, one.segment.key != MIXED),
            )
        ]
        if found
        else [],
    )


def _shown(one: MappedSegment) -> list[ShownDot]:
    # Looked up once: of six hundred dots each look-up is most of the work.
    page = reverse("admin:customers_customer_change", args=[0])
    before, _, after = page.rpartition("0")
    segment = str(one.segment)
    shown = []
    for dot in one.dots:
        place = dot.membership
        by_hand = place.run_segment_id is not None
        sure = "placed by hand" if by_hand else how_sure(place.probability)
        label = f"{place.customer}: {segment}, {sure}"
        address = f"{before}{place.customer_id}{after}"
        shown.append(ShownDot(css(dot.x), css(dot.y), label, address))
    return shown


def _regions(found: CustomerMap) -> list[ShownRegion]:
    known = [one for one in found.segments if one.region is not None]
    edges = [_edge(one, found.frame) for one in known]
    tags = place_tags(
        [_tag_wanted(edge, middle=found.middle[1]) for edge in edges],
        width=TAG_WIDTH,
        height=TAG_HEIGHT,
    )
    return [
        ShownRegion(one, outline(edge), left, top)
        for one, edge, (left, top) in zip(known, edges, tags, strict=True)
    ]


def _tag_wanted(
    edge: list[tuple[float, float]], *, middle: float
) -> tuple[float, float]:
    """On the outer edge: at the top of a region above everyone, else at its bottom."""
    across = sum(x for x, _ in edge) / len(edge)
    down = [y for _, y in edge]
    return across, min(down) if sum(down) / len(down) < middle else max(down)


def _row(one: MappedSegment, frame: Frame) -> ShownRow:
    if one.region is None:
        return ShownRow(one, None, None)
    x, y = frame.percent(float(one.region.centre[0]), float(one.region.centre[1]))
    return ShownRow(one, x, 100 - y)


def _edge(one: MappedSegment, frame: Frame) -> list[tuple[float, float]]:
    if one.region is None:
        return []
    return [frame.percent(float(x), float(y)) for x, y in one.region.edge()]
