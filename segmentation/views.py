"""Doors: the segments side by side, one segment, its members, texts to check."""

from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
)
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_safe

from customers.doors import shown_page
from segmentation.clustering.wording import reads_as
from segmentation.emotion.families import FAMILIES
from segmentation.models import (
    EmergentGroup,
    EmotionScore,
    Membership,
    Segment,
    SegmentationRun,
)
from segmentation.panels import SEGMENT_PAGE
from segmentation.places import published_run
from segmentation.reading_mark import COUNTED, texts_waiting
from segmentation.run_decisions import deciding
from segmentation.showing import (
    MEMBERS_A_PAGE,
    MEMBERS_SHOWN,
    members_of,
    overview,
    sentences_of_segment,
    signature,
)

TEXTS_A_PAGE = 50


@require_safe
def segments(request: HttpRequest) -> HttpResponse:
    """All segments side by side."""
    run = published_run()
    lines = overview(run) if run else []
    named = [line for line in lines if line.segment.family and line.customers]
    undecided = sum(line.share for line in lines if not line.segment.family)
    return shown_page(
        request,
        "segmentation/segments.html",
        title="Segments",
        run=run,
        lines=lines,
        named=len(named),
        undecided=undecided,
        families=FAMILIES,
        waiting=SegmentationRun.objects.filter(state="waiting").first(),
        proposals=EmergentGroup.objects.filter(state="open").count(),
        **deciding(),
        unread=texts_waiting(),
        most_counted=COUNTED,
    )


@require_safe
def segment(request: HttpRequest, key: str) -> HttpResponse:
    """The segment page: what these people feel, who they are, what they get."""
    shown = get_object_or_404(Segment, key=key)
    run = published_run()
    if run is None:
        raise Http404("No run has been published yet: import a history first.")
    line = next(line for line in overview(run) if line.segment == shown)
    return shown_page(
        request,
        "segmentation/segment.html",
        title=shown.name,
        crumbs=[("Segments", reverse("segmentation:segments")), (shown.name, None)],
        segment=shown,
        finding=reads_as(
            shown.key, shown.name, line.subtitle if run.reportable else ""
        ),
        line=line,
        run=run,
        signature=signature(run, shown),
        sentences=sentences_of_segment(run, shown),
        members=members_of(run, shown, limit=MEMBERS_SHOWN),
        panels=SEGMENT_PAGE.fill(request, shown),
    )


@require_safe
def members(request: HttpRequest, key: str) -> HttpResponse:
    """Everybody in a segment, surest first, page by page."""
    shown = get_object_or_404(Segment, key=key)
    run = published_run()
    if run is None:
        raise Http404("No run has been published yet: import a history first.")
    page = members_of(run, shown, after=_after(request))
    last = page[-1].membership if len(page) == MEMBERS_A_PAGE else None
    may_take = request.user.has_perm("segmentation.view_membership")
    return shown_page(
        request,
        "segmentation/members.html",
        title=f"Who is in {shown.name}",
        crumbs=[
            ("Segments", reverse("segmentation:segments")),
            (shown.name, reverse("segmentation:segment", args=[key])),
            ("Members", None),
        ],
        segment=shown,
        members=page,
        to_download=(
            Membership.objects.filter(run=run, segment=shown).count() if may_take else 0
        ),
        following=f"{last.probability!r}_{last.pk}" if last else "",
    )


def _after(request: HttpRequest) -> tuple[float, int] | None:
    probability, _, pk = request.GET.get("after", "").partition("_")
    try:
        return float(probability), int(pk)
    except ValueError:
        return None


@require_safe
def disagreeing(request: HttpRequest) -> HttpResponse:
    """Texts whose stars and words disagree: a person reads them better."""
    scores = (
        EmotionScore.objects.filter(disagrees=True)
        .select_related("interaction", "customer")
        .order_by("-occurred_at")[:TEXTS_A_PAGE]
    )
    return shown_page(
        request,
        "segmentation/disagreeing.html",
        title="Stars and words disagree",
        crumbs=[("Home", reverse("admin:index")), ("Texts to check", None)],
        scores=scores,
    )
