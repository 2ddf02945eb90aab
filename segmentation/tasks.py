"""Doors for Celery: the timetable's part of this room, and what a person decided."""

from functools import partial
from typing import Final

from celery import shared_task
from django.utils import timezone

from customers import waking
from segmentation.diagnosing import carry_out_diagnosis
from segmentation.publishing import carry_out
from segmentation.services import refresh_if_needed

# Later the person has been told that nobody came, and may have done it themselves.
EXPIRES_SECONDS: Final = 600

wake = partial(
    waking.wake, expires=EXPIRES_SECONDS, otherwise="its page or the timetable does it"
)


@shared_task(ignore_result=True, time_limit=3600, soft_time_limit=3500)
def refresh() -> None:
    """Read what is new and sort customers."""
    refresh_if_needed(at=timezone.now())


@shared_task(ignore_result=True)
def carry_out_decision(decision_id: int) -> None:
    """Put the run into use that a person decided on."""
    carry_out(decision_id, at=timezone.now())


@shared_task(ignore_result=True)
def diagnose(diagnosis_id: int) -> None:
    """Hold free clusters against the segments, as somebody asked."""
    carry_out_diagnosis(diagnosis_id, at=timezone.now())
