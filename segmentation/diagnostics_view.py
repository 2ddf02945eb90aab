"""Doors: free clusters beside the segments, and the button that asks for them."""

from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from customers.doors import shown_page
from segmentation.clustering.diagnostics import (
    CUSTOMERS_NEEDED,
    Clustering,
    Diagnosis,
    FreeCluster,
)
from segmentation.diagnosing import ask_diagnosis, carry_out_diagnosis
from segmentation.models import RunDiagnosis, Segment
from segmentation.pictures import LevelBar, level_bars
from segmentation.places import published_run
from segmentation.showing import tint

MAY_ASK = "segmentation.add_rundiagnosis"
# Longer than a worker takes for 5,000 customers.
STUCK_AFTER: Final = timedelta(seconds=60)
# What each small picture is of: a figure, its title, what it says.
PICTURES: Final = (
    ("silhouette", "How far apart", "1: each group by itself; 0: they run together."),
    ("stability", "Found again", "1: samples give the same groups; 0: as by chance."),
    (
        "agreement",
        "Are they the segments?",
        "1: the clusters are the segments; 0: as by chance.",
    ),
)


@require_safe
def diagnostics(request: HttpRequest) -> HttpResponse:
    """What k-means would find on its own, against the segments in use."""
    run = published_run()
    asked = RunDiagnosis.objects.filter(run=run).first() if run else None
    found = Diagnosis.from_json(asked.figures) if asked and asked.figures else None
    return shown_page(
        request,
        "segmentation/diagnostics.html",
        title="Why not free clusters?",
        crumbs=[
            ("Segments", reverse("segmentation:segments")),
            ("Diagnostics", None),
        ],
        run=run,
        found=found,
        needed=CUSTOMERS_NEEDED,
        **_part(request, asked),
        **(_shown(found) if found else {}),
    )


def _part(request: HttpRequest, asked: RunDiagnosis | None) -> dict[str, Any]:
    """What the part that says how far it is must know."""
    return {
        "asked": asked,
        "may_ask": request.user.has_perm(MAY_ASK),
        "stuck": asked is not None
        and asked.done_at is None
        and asked.asked_at < timezone.now() - STUCK_AFTER,
    }


def _shown(found: Diagnosis) -> dict[str, Any]:
    segments = list(Segment.objects.exclude(key="unknown"))
    by_key = {segment.key: segment for segment in segments}
    return {
        "segments": segments,
        "pictures": [
            (
                title,
                words,
                _bars(found.free, name),
                getattr(found.segments, name),
                # That the segments agree with themselves is no news.
                90 * getattr(found.segments, name) if name != "agreement" else None,
            )
            for name, title, words in PICTURES
        ],
        "lowest": min(one.silhouette for one in found.free),
        "clusters": [
            (cluster, by_key[cluster.segment], _cells(cluster))
            for cluster in found.clusters
        ],
        "homeless": [by_key[key] for key in found.without_a_cluster],
    }


def _bars(
    free: tuple[Clustering, ...], name: str
) -> list[tuple[Clustering, float, LevelBar]]:
    values = [float(getattr(one, name)) for one in free]
    # One line above them all at 1: every picture has the whole scale.
    bars = level_bars([(max(0.0, value), 1 / 1.3, 1.0) for value in values])
    return list(zip(free, values, bars, strict=True))


def _cells(cluster: FreeCluster) -> list[tuple[int, int]]:
    """How many of it are in each segment, and the tint of the cell."""
    return [(count, tint(count, cluster.customers)) for count in cluster.in_segments]


@require_POST
def ask(request: HttpRequest) -> HttpResponseBase:
    """Have it measured: by a worker where there is one, else here."""
    run = published_run()
    if run is not None:
        asked = ask_diagnosis(run, by=request.user, at=timezone.now())
        if settings.BROKER_URL:
            # Here and not above: without a broker no page needs Celery.
            from segmentation import tasks

            tasks.wake(tasks.diagnose, asked.pk)
        else:
            carry_out_diagnosis(asked.pk, at=timezone.now())
    return redirect("segmentation:diagnostics")


@require_POST
def do_here(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Do here what no worker has taken up."""
    asked = get_object_or_404(RunDiagnosis, pk=pk)
    carry_out_diagnosis(asked.pk, at=timezone.now())
    return redirect("segmentation:diagnostics")


@require_safe
def progress(request: HttpRequest, pk: int) -> HttpResponse:
    """The part of the page that says how far it is."""
    asked = get_object_or_404(RunDiagnosis.objects.select_related("asked_by"), pk=pk)
    return render(request, "segmentation/diagnosis_part.html", _part(request, asked))
