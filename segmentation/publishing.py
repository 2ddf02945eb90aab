"""Which run is in use: published, approved, or gone back to, one at a time."""

from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Count, Exists, OuterRef

from customers.models import Customer
from segmentation.clustering.anchors import UNKNOWN
from segmentation.errors import RunNotPublishable
from segmentation.history import finish_publications
from segmentation.models import Membership, Publication, Segment, SegmentationRun

State = SegmentationRun.State
CHUNK = 5000


def publish_run(
    run: SegmentationRun, *, at: datetime, approved_by: Any | None = None
) -> SegmentationRun:
    """Put a run into use, in one step; then write who changed segment by it.

    Publishing it twice is publishing it once. Where a person has gone back to an
    earlier run, the next one waits instead. Raises RunNotPublishable for one that is
    still being sorted, waits and nobody approves, or was replaced.
    """
    with transaction.atomic():
        locked = _locked(run)
        if locked.state == State.SORTING:
            raise RunNotPublishable(
                f"{locked} is still being sorted: wait for its end."
            )
        if locked.state == State.SUPERSEDED:
            raise RunNotPublishable(f"{locked} was replaced by a later one.")
        if locked.state == State.WAITING and approved_by is None:
            raise RunNotPublishable(
                f"{locked} waits for approval: {locked.waits_because}"
            )
        went_back = _went_back() if approved_by is None else None
        if locked.state == State.FITTED and went_back is not None:
            # Else the timetable would undo within minutes what a person has decided.
            locked.state = State.WAITING
            locked.waits_because = (
                f"A person went back to {went_back.run} on "
                f"{went_back.published_at:%Y-%m-%d}."
            )
            locked.save(update_fields=["state", "waits_because"])
            return locked
        if locked.state != State.PUBLISHED:
            kind = Publication.Kind.BY_ITSELF
            if approved_by is not None:
                kind = Publication.Kind.APPROVED
            if isinstance(approved_by, AbstractBaseUser):
                locked.approved_by = approved_by  # type: ignore[assignment]
            _put_into_use(locked, kind=kind, at=at, by=approved_by)
            # An older version that still waits would undo this one.
            SegmentationRun.objects.filter(
                state__in=[State.SORTING, State.FITTED, State.WAITING], pk__lt=run.pk
            ).update(state=State.SUPERSEDED)
    finish_publications()
    return locked


def roll_back_to(
    run: SegmentationRun, *, at: datetime, by: AbstractBaseUser
) -> SegmentationRun:
    """Put a run that was in use before into use again, in one step.

    Who objected meanwhile gets no segment back; who joined meanwhile is unknown until
    the next run, which waits for approval. Raises RunNotPublishable for a run that is
    in use, never was, or of which it is not kept who was in which segment.
    """
    with transaction.atomic():
        locked = _locked(run)
        if locked.state == State.PUBLISHED:
            raise RunNotPublishable(f"{locked} is in use already.")
        if locked.state != State.SUPERSEDED or locked.published_at is None:
            raise RunNotPublishable(f"{locked} was never in use: there is no way back.")
        if locked.thinned_at is not None:
            raise RunNotPublishable(
                f"Of {locked} it is no longer kept who was in which segment. "
                "Go back to a later one."
            )
        _place_newcomers(locked, at=at)
        _put_into_use(locked, kind=Publication.Kind.ROLLED_BACK, at=at, by=by)
    finish_publications()
    return locked


def nowhere(unknown: Segment, *, since: datetime) -> dict[str, Any]:
    """What a membership says of a customer of whom nothing is known."""
    return {
        "segment": unknown,
        "probability": 0.0,
        "next_best": None,
        "next_probability": 0.0,
        "evidence": 0.0,
        "since": since,
        "ahead_in_a_row": 0,
    }


def _went_back() -> Publication | None:
    """The newest publication, where it was a way back."""
    newest = Publication.objects.select_related("run").first()
    if newest is not None and newest.kind == Publication.Kind.ROLLED_BACK:
        return newest
    return None


def _locked(run: SegmentationRun) -> SegmentationRun:
    """The run, once nobody else decides which one is in use.

    Everybody locks the oldest run: with a lock on their own run alone, two who publish
    different ones would both find the place free.
    """
    SegmentationRun.objects.order_by("pk").select_for_update(no_key=True).first()
    return SegmentationRun.objects.select_for_update(no_key=True).get(pk=run.pk)


def _put_into_use(
    run: SegmentationRun, *, kind: Publication.Kind, at: datetime, by: Any
) -> None:
    _heed_objections(run, at=at)
    before = SegmentationRun.objects.filter(state=State.PUBLISHED).first()
    if before is not None:
        SegmentationRun.objects.filter(pk=before.pk).update(state=State.SUPERSEDED)
    run.state = State.PUBLISHED
    run.published_at = at
    run.save(update_fields=["state", "published_at", "approved_by", "quality"])
    Publication.objects.create(
        run=run,
        replaces=before,
        kind=kind,
        published_at=at,
        published_by=by if isinstance(by, AbstractBaseUser) else None,  # type: ignore[misc]
    )


def _heed_objections(run: SegmentationRun, *, at: datetime) -> None:
    """Whoever objected since the run was fitted has no segment in it; sizes say so."""
    unknown = Segment.objects.get(key=UNKNOWN)
    objected = Customer.objects.filter(profiling_objected_at__isnull=False)
    Membership.objects.filter(run=run, customer__in=objected.values("pk")).exclude(
        segment=unknown
    ).update(**nowhere(unknown, since=at))
    sizes = dict(
        Membership.objects.filter(run=run)
        .values_list("segment__key")
        .annotate(n=Count("pk"))
        .order_by()
    )
    run.quality["sizes"] = {key: sizes.get(key, 0) for key in _keys(run, sizes)}


def _keys(run: SegmentationRun, sizes: dict[str, int]) -> list[str]:
    """Keys in the order they had, so that words made of them keep theirs."""
    known = list(run.quality.get("sizes", {}))
    return known + [key for key in sizes if key not in known]


def _place_newcomers(run: SegmentationRun, *, at: datetime) -> None:
    """Everybody has a place: those whom this run has never seen are unknown."""
    unknown = Segment.objects.get(key=UNKNOWN)
    seen = Membership.objects.filter(run=run, customer=OuterRef("pk"))
    newcomers = Customer.objects.filter(~Exists(seen)).values_list("pk", flat=True)
    Membership.objects.bulk_create(
        (
            Membership(run=run, customer_id=pk, **nowhere(unknown, since=at))
            for pk in newcomers.iterator(chunk_size=CHUNK)
        ),
        batch_size=CHUNK,
        # Two who go back at once: the other has placed them.
        ignore_conflicts=True,
    )
