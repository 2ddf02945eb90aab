"""Doors for Celery: the timetable's part of this room."""

from celery import shared_task
from django.utils import timezone

from engagement.figures import count_what_moved


@shared_task(ignore_result=True)
def count_reports() -> None:
    """Count large sends again of which something has come back."""
    count_what_moved(at=timezone.now())
