"""The Celery app. Beat ticks; the database knows what is due."""

import logging.config
import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_init, worker_shutting_down

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("attune")
app.config_from_object("config.celery_settings")
app.autodiscover_tasks()


@setup_logging.connect
def _log_as_the_pages_do(**_: Any) -> None:
    """Celery's own handlers would write what ours leave out."""
    from django.conf import settings

    logging.config.dictConfig(settings.LOGGING)


@worker_init.connect
def _begin_in_order(**_: Any) -> None:
    """Before it forks; where the database is away it starts and waits for it."""
    from django.db import connection

    from campaigns.clocks import ClocksApart, refuse_other_clocks
    from campaigns.tables import OldTables, refuse_old_tables

    try:
        refuse_old_tables()
        refuse_other_clocks()
    except (ClocksApart, OldTables) as problem:
        raise SystemExit(str(problem)) from None
    finally:
        connection.close()


@worker_shutting_down.connect
def _stop_between_batches(**_: Any) -> None:
    """A warm shutdown waits for tasks, and a pump would go on for a minute."""
    from campaigns.tasks import shut_down

    shut_down()
