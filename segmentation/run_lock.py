"""One at a time decides which run is in use, and who is where in it."""

from segmentation.models import SegmentationRun


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
