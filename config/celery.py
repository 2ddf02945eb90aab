"""The Celery app. Beat ticks; the database knows what is due."""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_shutting_down

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("attune")
app.config_from_object("config.celery_settings")
app.autodiscover_tasks()


@worker_shutting_down.connect
def _stop_between_batches(**_: Any) -> None:
    """A warm shutdown waits for tasks, and a pump would go on for a minute."""
    from campaigns.tasks import shut_down

    shut_down()
