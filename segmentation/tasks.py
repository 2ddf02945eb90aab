"""Doors for Celery: the timetable's part of this room, and what a person decided."""

import logging
from functools import partial
from typing import Any, Final

from celery import Task, shared_task
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import KombuError
from kombu.exceptions import OperationalError as BrokerDown

from segmentation.diagnosing import carry_out_diagnosis
from segmentation.publishing import carry_out
from segmentation.services import refresh_if_needed

log = logging.getLogger(__name__)

# Later the person has been told that nobody came, and may have done it themselves.
EXPIRES_SECONDS: Final = 600


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


def wake(task: Task, *ids: int) -> None:
    """Publish once the transaction stands; a broker that is down changes nothing."""
    transaction.on_commit(partial(_publish, task, ids))


def _publish(task: Task, ids: tuple[Any, ...]) -> None:
    try:
        task.apply_async(args=ids, expires=EXPIRES_SECONDS)
    except (BrokerDown, KombuError, OSError) as problem:
        log.warning(
            "%s%s was not published (%s): its page or the timetable does it",
            task.name,
            ids,
            type(problem).__name__,
        )
