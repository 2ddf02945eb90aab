"""Places in a run, and how many there are: the figures that pages read."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import Count, Q, QuerySet

from segmentation.models import Membership, Segment, SegmentationRun


def published_run() -> SegmentationRun | None:
    """The run in use."""
    return SegmentationRun.objects.filter(state=SegmentationRun.State.PUBLISHED).first()


def segment_called(key: str) -> Segment | None:
    """The segment of a key that somebody sent: compared here, since PostgreSQL takes
    none with a NUL in it."""
    return next((one for one in Segment.objects.all() if one.key == key), None)


def surest_members(
    run: SegmentationRun | None, segment: Segment
) -> QuerySet[Membership]:
    """Members of a segment whom the run itself has put there, the surest first.

    Only run and segment by their ids, and this order, are one range of an index: of
    300,000 members PostgreSQL sorts them all for a question put in another way.
    """
    return Membership.objects.filter(
        run=run, segment=segment, run_segment=None
    ).order_by("-probability", "pk")


def nowhere(unknown: Segment, *, since: datetime) -> dict[str, Any]:
    """What a membership says of a customer of whom nothing is known."""
    return {
        "segment": unknown,
        "run_segment": None,
        "probability": 0.0,
        "next_best": None,
        "next_probability": 0.0,
        "evidence": 0.0,
        "since": since,
        "ahead_in_a_row": 0,
        "folded_at": None,
    }


def count_places(run: SegmentationRun) -> None:
    """Sizes of a run, and how many of each a person has placed; not saved."""
    rows = (
        Membership.objects.filter(run=run)
        .values_list("segment__key")
        .annotate(n=Count("pk"), by_hand=Count("pk", Q(run_segment__isnull=False)))
        .order_by()
    )
    counted = {key: (n, by_hand) for key, n, by_hand in rows}
    # In the order they had, so that words made of them keep theirs.
    known = list(run.quality.get("sizes", {}))
    keys = known + [key for key in counted if key not in known]
    run.quality["sizes"] = {key: counted.get(key, (0, 0))[0] for key in keys}
    run.quality["by_hand"] = {key: some for key, (_, some) in counted.items() if some}


def recount(
    run: SegmentationRun, *, sizes: Mapping[int, int], by_hand: Mapping[int, int]
) -> None:
    """Add to the figures of a run; each maps a segment's id to a difference."""
    keys = dict(Segment.objects.values_list("pk", "key"))
    for name, differences in (("sizes", sizes), ("by_hand", by_hand)):
        figures = run.quality.setdefault(name, {})
        for pk, difference in differences.items():
            figures[keys[pk]] = figures.get(keys[pk], 0) + difference
    run.save(update_fields=["quality"])
