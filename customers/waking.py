"""Waking a Celery worker: what is to be done stands in the database, in any case."""

import logging
from functools import partial
from typing import Any

from celery import Task
from django.db import transaction
from kombu.exceptions import KombuError
from kombu.exceptions import OperationalError as BrokerDown

log = logging.getLogger(__name__)


def wake(task: Task, *ids: int | str, expires: int, otherwise: str) -> None:
    """Publish once the transaction stands; a broker that is down changes nothing.

    expires: seconds after which nobody needs the task any more. otherwise: who does
    the work where it was not published, for the log.
    """
    transaction.on_commit(partial(_publish, task, ids, expires, otherwise))


def _publish(task: Task, ids: tuple[Any, ...], expires: int, otherwise: str) -> None:
    try:
        task.apply_async(args=ids, expires=expires)
    except (BrokerDown, KombuError, OSError) as problem:
        log.warning(
            "%s%s was not published (%s): %s",
            task.name,
            ids,
            type(problem).__name__,
            otherwise,
        )
