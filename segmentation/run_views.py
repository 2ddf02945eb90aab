"""Doors: runs as versions, the way back to one, two side by side."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Prefetch
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from customers.doors import shown_page
from segmentation.clustering.anchors import SEGMENTS
from segmentation.comparing import compare, keep_counts
from segmentation.emotion.families import FAMILIES
from segmentation.keeping import KEPT_BEFORE
from segmentation.models import Publication, Segment, SegmentationRun
from segmentation.places import published_run
from segmentation.run_decisions import deciding

RUNS_A_PAGE = 20
PUBLICATIONS_SHOWN = 20
MAY_CHANGE = "segmentation.change_segmentationrun"


@require_safe
def runs(request: HttpRequest) -> HttpResponse:
    """Every run, newest first: what it did, who let it through, the way back."""
    found = SegmentationRun.objects.order_by("-pk")
    before = request.GET.get("before", "")
    if before.isdecimal():
        found = found.filter(pk__lt=int(before[:18]))
    page = list(
        found.select_related("approved_by", "declined_by").prefetch_related(
            Prefetch(
                "publications",
                Publication.objects.select_related("published_by"),
                to_attr="known_publications",
            )
        )[:RUNS_A_PAGE]
    )
    segments = list(Segment.objects.all())
    return shown_page(
        request,
        "segmentation/runs.html",
        title="Runs",
        crumbs=[("Segments", reverse("segmentation:segments")), ("Runs", None)],
        lines=[_line(run, segments) for run in page],
        segments=segments,
        in_use=published_run(),
        kept=KEPT_BEFORE,
        following=page[-1].pk if len(page) == RUNS_A_PAGE else None,
        publications=Publication.objects.select_related(
            "run", "replaces", "published_by"
        )[:PUBLICATIONS_SHOWN],
        may_change=request.user.has_perm(MAY_CHANGE),
        **deciding(),
    )


def _line(run: SegmentationRun, segments: Iterable[Segment]) -> dict[str, Any]:
    known: list[Publication] = getattr(run, "known_publications", [])
    return {
        "run": run,
        "shares": _shares(run, segments) if run.reportable else [],
        "publication": known[0] if known else None,
        "may_go_back": _may_go_back(run),
    }


def _may_go_back(run: SegmentationRun) -> bool:
    return (
        run.state == SegmentationRun.State.SUPERSEDED
        and run.published_at is not None
        and run.thinned_at is None
    )


def _shares(
    run: SegmentationRun, segments: Iterable[Segment]
) -> list[tuple[Segment, int, float]]:
    """Each segment with its customers and their share, in the fixed order."""
    sizes = run.quality.get("sizes", {})
    total = sum(sizes.values()) or 1
    return [
        (segment, sizes.get(segment.key, 0), sizes.get(segment.key, 0) / total)
        for segment in segments
    ]


@require_safe
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """One run: its cut-off, anchors, base mix, figures, and when it was in use."""
    shown = get_object_or_404(
        SegmentationRun.objects.select_related("approved_by", "declined_by"), pk=pk
    )
    model = shown.model
    in_use = published_run()
    return shown_page(
        request,
        "segmentation/run.html",
        title=f"Run {shown.pk}",
        crumbs=[
            ("Segments", reverse("segmentation:segments")),
            ("Runs", reverse("segmentation:runs")),
            (f"Run {shown.pk}", None),
        ],
        run=shown,
        in_use=in_use if in_use != shown else None,
        shares=[
            (*line, shown.quality.get("by_hand", {}).get(line[0].key, 0))
            for line in _shares(shown, Segment.objects.all())
        ]
        if shown.reportable
        else [],
        families=FAMILIES,
        anchors=list(zip(SEGMENTS, model.get("anchors", []), strict=False)),
        mix=model.get("mix", []),
        renamed=shown.quality.get("renamed_share"),
        shift=shown.quality.get("largest_shift"),
        kappa=model.get("kappa"),
        temper=model.get("temper"),
        seed=model.get("seed"),
        publications=shown.publications.select_related("replaces", "published_by"),
        may_change=request.user.has_perm(MAY_CHANGE),
        may_go_back=_may_go_back(shown),
        **deciding(),
    )


@require_safe
def compare_runs(request: HttpRequest) -> HttpResponse:
    """Two runs side by side: ?then=3&now=4."""
    then, now = (_asked_run(request.GET.get(name)) for name in ("then", "now"))
    return shown_page(
        request,
        "segmentation/compare.html",
        title=f"Run {then.pk} and run {now.pk}",
        crumbs=[
            ("Segments", reverse("segmentation:segments")),
            ("Runs", reverse("segmentation:runs")),
            ("Side by side", None),
        ],
        found=compare(then, now),
    )


@require_POST
def count_compared(request: HttpRequest) -> HttpResponse:
    """Count how many moved between two large runs, and show them."""
    then, now = (_asked_run(request.POST.get(name)) for name in ("then", "now"))
    keep_counts(then, now, at=timezone.now())
    return redirect(f"{reverse('segmentation:compare')}?then={then.pk}&now={now.pk}")


def _asked_run(asked: str | None) -> SegmentationRun:
    if asked is None or not asked.isdecimal():
        raise Http404("Two runs are needed to compare: ?then=3&now=4.")
    return get_object_or_404(SegmentationRun, pk=int(asked[:18]))
