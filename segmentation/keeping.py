"""For how long it is kept who was in which segment: the last runs, and no more."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from segmentation.models import MapDot, Membership, Publication, SegmentationRun

State = SegmentationRun.State

# Runs whose memberships stay: the one in use, and so many that were in use before it.
KEPT_BEFORE = 6
# Rows a transaction: the writer is free in between.
CHUNK = 5000
# Longer than a fit may take: what is still being sorted then was interrupted.
INTERRUPTED_AFTER = timedelta(days=1)

# Rooms to the right still need the memberships of these runs (ids): each puts its
# question here when it starts (AppConfig.ready).
NEEDED: list[Callable[[], Iterable[int]]] = []


def thin_runs(*, at: datetime) -> int:
    """Delete the memberships of runs to which there is no way back any more.

    The runs stay, with their models and figures, and so does the history of changes.
    Returns how many memberships were deleted.
    """
    deleted = 0
    for pk in list(_too_old(at=at).values_list("pk", flat=True)):
        if _mark(pk, at=at):
            deleted += _delete_memberships(pk)
    return deleted


def _too_old(*, at: datetime) -> QuerySet[SegmentationRun]:
    in_use_before = SegmentationRun.objects.filter(
        state=State.SUPERSEDED, published_at__isnull=False
    ).order_by("-published_at", "-pk")
    kept = set(in_use_before.values_list("pk", flat=True)[:KEPT_BEFORE])
    for run, replaces in Publication.objects.filter(written=False).values_list(
        "run", "replaces"
    ):
        kept |= {run, replaces}
    for needed in NEEDED:
        kept |= set(needed())
    return (
        SegmentationRun.objects.filter(
            Q(state__in=[State.SUPERSEDED, State.DECLINED])
            | Q(
                state__in=[State.SORTING, State.FITTED],
                fitted_at__lt=at - INTERRUPTED_AFTER,
            )
        )
        .filter(Exists(Membership.objects.filter(run=OuterRef("pk"))))
        .exclude(pk__in=kept - {None})
    )


@transaction.atomic
def _mark(pk: int, *, at: datetime) -> bool:
    """From here on nobody goes back to this run; False when somebody just has."""
    run = SegmentationRun.objects.select_for_update(no_key=True).get(pk=pk)
    if run.state == State.PUBLISHED:
        return False
    if run.state != State.DECLINED:
        run.state = State.SUPERSEDED
    run.thinned_at = run.thinned_at or at
    run.save(update_fields=["state", "thinned_at"])
    return True


def _delete_memberships(run_id: int) -> int:
    deleted = 0
    MapDot.objects.filter(run=run_id).delete()
    memberships = Membership.objects.filter(run=run_id)
    while ids := list(memberships.values_list("pk", flat=True)[:CHUNK]):
        deleted += Membership.objects.filter(pk__in=ids).delete()[0]
    return deleted
