"""Door: what moved in customers' texts and between segments, in words."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from customers.doors import shown_page
from segmentation.clustering.anchors import SEGMENTS
from segmentation.clustering.drift import Verdict
from segmentation.clustering.drift_words import advice, family_moves
from segmentation.drift_watch import Step, Watched, drift_of
from segmentation.emotion.families import FAMILIES
from segmentation.models import Segment
from segmentation.pictures import LevelBar, level_bars
from segmentation.places import published_run

IN_WORDS = {
    Verdict.TOO_FEW: "too few to tell",
    Verdict.STEADY: "as usual",
    Verdict.WARNING: "moved",
    Verdict.ALARM: "moved far",
}


@dataclass(frozen=True, slots=True)
class ShownStep:
    step: Step
    # What it is called by: the day a week begins, or that a run is of.
    day: datetime
    bar: LevelBar
    words: str


@require_safe
def drift(request: HttpRequest) -> HttpResponse:
    """Weeks of texts and runs of segments, each against what is usual."""
    run = published_run()
    found = drift_of(run) if run else None
    names = {segment.key: segment for segment in Segment.objects.all()}
    segments = found.segments if found else None
    return shown_page(
        request,
        "segmentation/drift.html",
        title="What has moved",
        crumbs=[("Segments", reverse("segmentation:segments")), ("Drift", None)],
        run=run,
        found=found,
        moves=family_moves(found.families.parts) if found else "",
        family_steps=_shown(found.families, lambda step: step.starts) if found else [],
        family_rows=found.families.rows(FAMILIES) if found else [],
        family_advice=advice(found.families.parts, FAMILIES) if found else None,
        segment_steps=_shown(segments, lambda step: step.ends) if segments else [],
        segment_rows=[
            (names[key], *rest)
            for key, *rest in (segments.rows(SEGMENTS) if segments else [])
        ],
        segment_advice=advice(segments.parts, SEGMENTS) if segments else None,
        segment_moves=[(names[SEGMENTS[part.part]], part) for part in segments.parts]
        if segments
        else [],
        unit="week" if found and found.step_days == 7 else "step of four weeks",
    )


def _shown(watched: Watched, day: Callable[[Step], datetime]) -> list[ShownStep]:
    bars = level_bars(
        [
            (step.drift.index, step.drift.warning, step.drift.alarm)
            for step in watched.steps
        ]
    )
    return [
        ShownStep(step, day(step), bar, IN_WORDS[step.drift.verdict])
        for step, bar in zip(watched.steps, bars, strict=True)
    ]
