"""Doors: who moved between segments and when, who is in them, as pages and files."""

from typing import cast

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from customers.doors import download, shown_page
from segmentation.exports import changes_as_csv, members_as_csv, profiles_as_csv
from segmentation.history import Flow, Month, flows, months_until
from segmentation.history_panels import comings_context
from segmentation.models import Segment, SegmentChange
from segmentation.movement import drawn
from segmentation.pictures import month_bars
from segmentation.places import published_run

MAY_TAKE_CHANGES = "segmentation.view_segmentchange"


@require_safe
def changes(request: HttpRequest) -> HttpResponse:
    """Who moved between segments, month by month; ?month=2026-03 for one of them."""
    months = months_until(timezone.now())
    moved = [flow for flow in flows(months) if flow.start is not None]
    chosen = _chosen(request, months, moved)
    shown = [flow for flow in moved if flow.month == chosen]
    counts = [
        sum(flow.changes for flow in moved if flow.month == index)
        for index in range(len(months))
    ]
    pictured, into = drawn(
        [(cast(int, flow.start), flow.end, flow.changes) for flow in shown]
    )
    segments = {segment.pk: segment for segment in Segment.objects.all()}
    in_use = published_run()
    may_take = request.user.has_perm(MAY_TAKE_CHANGES)
    return shown_page(
        request,
        "segmentation/changes.html",
        title="Who moved, month by month",
        crumbs=[
            ("Segments", reverse("segmentation:segments")),
            ("Who moved", None),
        ],
        reportable=in_use is None or in_use.reportable,
        run=in_use,
        months=list(
            zip(months, counts, month_bars(counts, [0] * len(counts)), strict=True)
        ),
        chosen=months[chosen],
        count=counts[chosen],
        sizes=[
            (
                segment,
                sum(flow.changes for flow in shown if flow.start == pk),
                sum(flow.changes for flow in shown if flow.end == pk),
            )
            for pk, segment in segments.items()
        ],
        moves=pictured,
        into=into,
        pairs=[
            (segments[cast(int, flow.start)], segments[flow.end], flow.changes)
            for flow in shown
        ],
        has_changes=may_take and SegmentChange.objects.exists(),
    )


def _chosen(request: HttpRequest, months: list[Month], moved: list[Flow]) -> int:
    """The month asked for, else the newest in which somebody moved."""
    asked = request.GET.get("month", "")
    for index, month in enumerate(months):
        if f"{month.start:%Y-%m}" == asked:
            return index
    return max((flow.month for flow in moved), default=len(months) - 1)


@require_safe
def segment_changes(request: HttpRequest, key: str) -> HttpResponse:
    """Who came into a segment and who left it, page by page."""
    shown = get_object_or_404(Segment, key=key)
    return shown_page(
        request,
        "segmentation/segment_changes.html",
        title=f"Who came to {shown.name}, and who left",
        crumbs=[
            ("Segments", reverse("segmentation:segments")),
            (shown.name, reverse("segmentation:segment", args=[key])),
            ("Came and left", None),
        ],
        segment=shown,
        panel=comings_context(
            shown,
            at=timezone.now(),
            came_after=request.GET.get("came", ""),
            left_after=request.GET.get("left", ""),
        ),
    )


@require_safe
def members_csv(request: HttpRequest, key: str) -> HttpResponseBase:
    """Who is in a segment, as a file."""
    shown = get_object_or_404(Segment, key=key)
    in_use = published_run()
    if in_use is None:
        raise Http404("No run has been published yet: import a history first.")
    return download(members_as_csv(in_use, shown), f"members_{key}.csv", "text/csv")


@require_safe
def profiles_csv(request: HttpRequest) -> HttpResponseBase:
    """Everybody's profile, as a file."""
    return download(profiles_as_csv(), "profiles.csv", "text/csv")


@require_safe
def changes_csv(request: HttpRequest) -> HttpResponseBase:
    """The whole history of changes, as a file."""
    return download(changes_as_csv(), "segment_changes.csv", "text/csv")
