"""One at a time decides which run is in use, and who is where in it."""

from collections.abc import Callable
from typing import TypeVar

from django.db import transaction

from segmentation.history import finish_publications
from segmentation.models import Publication, SegmentationRun

Result = TypeVar("Result")


def lock_runs() -> None:
    """Wait until nobody else decides; holds to the end of the transaction.

    Everybody locks the oldest run: with a lock on their own run alone, two who publish
    different ones would both find the place free.
    """
    SegmentationRun.objects.order_by("pk").select_for_update(no_key=True).first()


def locked(run: SegmentationRun) -> SegmentationRun:
    """The run as it is now, once nobody else decides."""
    lock_runs()
    return SegmentationRun.objects.select_for_update(no_key=True).get(pk=run.pk)


def between_publications(act: Callable[[], Result]) -> Result:
    """Do it while no run comes into use and the history of changes is whole.

    The history compares two runs; were a customer moved in between, it would tell of a
    move that was none.
    """
    while True:
        finish_publications()
        with transaction.atomic():
            lock_runs()
            if not Publication.objects.filter(written=False).exists():
                return act()
