"""Doors for Celery: the timetable's part of this room, and what a provider reported."""

import logging
import time
from functools import partial
from typing import Final

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from customers import waking
from engagement import inbox
from engagement.beside import mind_harm, mind_webhooks
from engagement.bounce_mailbox import MailboxTrouble, take_mailbox
from engagement.figures import count_what_moved

log = logging.getLogger(__name__)

# Later the timetable has done it.
EXPIRES_SECONDS: Final = 60
SECONDS_A_TASK: Final = 60.0

wake = partial(waking.wake, expires=EXPIRES_SECONDS, otherwise="the timetable does it")


@shared_task(ignore_result=True)
def count_reports() -> None:
    """Count large sends again of which something has come back."""
    count_what_moved(at=timezone.now())


@shared_task(ignore_result=True)
def take_in(call_id: int) -> None:
    """Take in what a provider reported."""
    inbox.take_in(call_id, at=timezone.now(), until=time.monotonic() + SECONDS_A_TASK)


@shared_task(ignore_result=True)
def take_in_open() -> None:
    """What a broker lost, or waits for its message; and whether a send does harm."""
    until = time.monotonic() + SECONDS_A_TASK
    mind_webhooks(timezone.now(), until)
    mind_harm(timezone.now(), until)


@shared_task(ignore_result=True)
def take_bounces() -> None:
    """Take mail that came back from its mailbox; the next look goes on."""
    if settings.BOUNCE_MAILBOX is None:
        return
    until = time.monotonic() + SECONDS_A_TASK
    try:
        take_mailbox(settings.BOUNCE_MAILBOX, at=timezone.now(), until=until)
    except MailboxTrouble as trouble:
        log.warning("%s", trouble)
