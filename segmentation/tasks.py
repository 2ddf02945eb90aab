"""Doors for Celery: the timetable's part of this room."""

from celery import shared_task
from django.utils import timezone

from segmentation.services import refresh_if_needed


@shared_task(ignore_result=True, time_limit=3600, soft_time_limit=3500)
def refresh() -> None:
    """Read what is new and sort customers."""
    refresh_if_needed(at=timezone.now())
