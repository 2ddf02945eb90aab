"""Which run is in use: published, approved, or gone back to, one at a time."""

from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Exists, OuterRef

from customers.models import Customer
from segmentation import news
from segmentation.clustering.anchors import UNKNOWN
from segmentation.errors import RunNotPublishable
from segmentation.history import finish_publications
from segmentation.models import (
    MapDot,
    Membership,
    Publication,
    RunDecision,
    Segment,
    SegmentationRun,
)
from segmentation.pins import end_expired_pins, place_by_hand
from segmentation.places import count_places, nowhere, published_run
from segmentation.reasons import tidy_reason
from segmentation.run_lock import locked

State = SegmentationRun.State
CHUNK = 5000


def publish_run(
    run: SegmentationRun, *, at: datetime, approved_by: Any | None = None
) -> SegmentationRun:
    """Put a run into use, in one step; then write who changed segment by it.

    Publishing it twice is publishing it once. Where a person has gone back to an
    earlier run, the next one waits instead. News that came since it was begun is folded
    into it from now on. Raises RunNotPublishable for one that is
    still being sorted, waits and nobody approves, was declined, or was replaced.
    """
    end_expired_pins(at=at)
    found = _publish(run, at=at, approved_by=approved_by)
    finish_publications()
    return found


@transaction.atomic
def _publish(
    run: SegmentationRun, *, at: datetime, approved_by: Any | None
) -> SegmentationRun:
    found = locked(run)
    if found.state == State.SORTING:
        raise RunNotPublishable(f"{found} is still being sorted: wait for its end.")
    if found.state == State.SUPERSEDED:
        raise RunNotPublishable(f"{found} was replaced by a later one.")
    if found.state == State.DECLINED:
        raise RunNotPublishable(
            f"{found} was declined: {found.declined_because} It never comes into use."
        )
    if found.state == State.WAITING and approved_by is None:
        raise RunNotPublishable(f"{found} waits for approval: {found.waits_because}")
    went_back = _went_back() if approved_by is None else None
    if found.state == State.FITTED and went_back is not None:
        # Else the timetable would undo within minutes what a person has decided.
        found.state = State.WAITING
        found.waits_because = (
            f"A person went back to {went_back.run} on "
            f"{went_back.published_at:%Y-%m-%d}."
        )
        found.save(update_fields=["state", "waits_because"])
        return found
    if found.state != State.PUBLISHED:
        kind = Publication.Kind.BY_ITSELF
        if approved_by is not None:
            kind = Publication.Kind.APPROVED
        if isinstance(approved_by, AbstractBaseUser):
            found.approved_by = approved_by  # type: ignore[assignment]
        in_use = published_run()
        if in_use is not None:
            news.carry_over(found, in_use)
        news.fold_again(found)
        _put_into_use(found, kind=kind, at=at, by=approved_by)
        # An older version that still waits would undo this one.
        SegmentationRun.objects.filter(
            state__in=[State.SORTING, State.FITTED, State.WAITING], pk__lt=run.pk
        ).update(state=State.SUPERSEDED)
    return found


def roll_back_to(
    run: SegmentationRun, *, at: datetime, by: AbstractBaseUser
) -> SegmentationRun:
    """Put a run that was in use before into use again, in one step.

    Who objected meanwhile gets no segment back; who joined meanwhile is unknown until
    the next run, which waits for approval. News that the run before this had not read
    is folded into this one from now on. Raises RunNotPublishable for a run that is
    in use, never was, or of which it is not kept who was in which segment.
    """
    end_expired_pins(at=at)
    found = _roll_back(run, at=at, by=by)
    finish_publications()
    return found


@transaction.atomic
def _roll_back(
    run: SegmentationRun, *, at: datetime, by: Any | None
) -> SegmentationRun:
    found = locked(run)
    if found.state == State.PUBLISHED:
        raise RunNotPublishable(f"{found} is in use already.")
    if found.state != State.SUPERSEDED or found.published_at is None:
        raise RunNotPublishable(f"{found} was never in use: there is no way back.")
    if found.thinned_at is not None:
        raise RunNotPublishable(
            f"Of {found} it is no longer kept who was in which segment. "
            "Go back to a later one."
        )
    _place_newcomers(found, at=at)
    news.forget_signatures()
    _put_into_use(found, kind=Publication.Kind.ROLLED_BACK, at=at, by=by)
    return found


@transaction.atomic
def decline_run(
    run: SegmentationRun, *, because: str, at: datetime, by: Any
) -> SegmentationRun:
    """Say no to a run that waits: it never comes into use, and stays listed with why.

    Raises RunNotPublishable for a run that does not wait, DecisionRefused without a
    reason.
    """
    why = tidy_reason(because, why="Declining a run")
    found = locked(run)
    if found.state != State.WAITING:
        raise RunNotPublishable(
            f"{found} does not wait for approval: it is {found.get_state_display()}. "
            "Nothing was changed."
        )
    found.state = State.DECLINED
    found.declined_by, found.declined_at, found.declined_because = by, at, why
    found.save(
        update_fields=["state", "declined_by", "declined_at", "declined_because"]
    )
    return found


def decide_run(
    run: SegmentationRun, *, kind: RunDecision.Kind, by: Any, at: datetime
) -> RunDecision:
    """Write down that a person approved a run or goes back to it; nothing more yet.

    Whoever gets to it first carries it out. Raises RunNotPublishable while another
    decision is under way, or for a run of which it can be seen that it would be
    refused.
    """
    waiting = RunDecision.objects.filter(done_at=None).first()
    if waiting is not None:
        raise RunNotPublishable(
            f"{waiting.run} is being put into use at this moment: wait for its end."
        )
    run.refresh_from_db()
    needed = State.WAITING if kind == RunDecision.Kind.APPROVE else State.SUPERSEDED
    if run.state != needed:
        raise RunNotPublishable(
            f"{run} is {run.get_state_display()}"
            f"{' already' if run.state == State.PUBLISHED else ''}. "
            "Nothing was changed."
        )
    return RunDecision.objects.create(run=run, kind=kind, asked_by=by, asked_at=at)


def carry_out(decision_id: int, *, at: datetime) -> RunDecision:
    """Do what a person decided about a run; twice, or by two at once, is once.

    The decision and what it does are one transaction: a crash leaves both undone.
    """
    end_expired_pins(at=at)
    with transaction.atomic():
        decision = (
            RunDecision.objects.select_for_update(of=("self",))
            .select_related("run", "asked_by")
            .get(pk=decision_id)
        )
        if decision.done_at is not None:
            return decision
        by: Any = decision.asked_by or "somebody who is gone"
        try:
            if decision.kind == RunDecision.Kind.APPROVE:
                _publish(decision.run, at=at, approved_by=by)
            else:
                _roll_back(decision.run, at=at, by=by)
        except RunNotPublishable as problem:
            decision.refused = str(problem)
        decision.done_at = at
        decision.save(update_fields=["refused", "done_at"])
    finish_publications()
    return decision


def carry_out_open(*, at: datetime) -> None:
    """What a broker lost, or a worker left when it died, is done now."""
    for pk in list(
        RunDecision.objects.filter(done_at=None)
        .order_by("pk")
        .values_list("pk", flat=True)
    ):
        carry_out(pk, at=at)


def _went_back() -> Publication | None:
    """The newest publication, where it was a way back."""
    newest = Publication.objects.select_related("run").first()
    if newest is not None and newest.kind == Publication.Kind.ROLLED_BACK:
        return newest
    return None


def _put_into_use(
    run: SegmentationRun, *, kind: Publication.Kind, at: datetime, by: Any
) -> None:
    place_by_hand(run, at=at)
    _heed_objections(run, at=at)
    before = published_run()
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
    MapDot.objects.filter(run=run, customer__in=objected.values("pk")).delete()
    count_places(run)


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
