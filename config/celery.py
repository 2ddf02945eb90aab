"""The Celery app. Beat ticks; the database knows what is due."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("attune")
app.config_from_object("config.celery_settings")
app.autodiscover_tasks()
