"""Celery's settings: small idempotent tasks; the broker keeps nothing that matters."""

from collections.abc import Sequence

from django.conf import settings

broker_url = settings.BROKER_URL or "memory://"
task_ignore_result = True
task_serializer = "json"
accept_content = ["json"]
worker_prefetch_multiplier = 1
task_time_limit = 120
task_soft_time_limit = 90
broker_connection_retry_on_startup = True
broker_transport_options = {"visibility_timeout": 600}
worker_soft_shutdown_timeout = 30
timezone = settings.TIME_ZONE
# Two deployments may share a broker: each has queues of its own name.
_prefix = f"{settings.QUEUE_PREFIX}." if settings.QUEUE_PREFIX else ""
task_default_queue = f"{_prefix}control"


def _pump_of_lane(
    name: str, args: Sequence[object], *_: object, **__: object
) -> dict[str, str] | None:
    """Mail about an order has a queue of its own: workers of it take nothing else."""
    if name != "campaigns.tasks.pump":
        return None
    queue = "orders" if tuple(args[:1]) == ("transactional",) else "send"
    return {"queue": f"{_prefix}{queue}"}


_QUEUES = {
    "campaigns.tasks.materialise": {"queue": f"{_prefix}audience"},
    # A person waits for it, and sorting may keep the other queue busy for an hour.
    "segmentation.tasks.carry_out_decision": {"queue": f"{_prefix}control"},
    "segmentation.tasks.*": {"queue": f"{_prefix}ml"},
    "engagement.tasks.count_reports": {"queue": f"{_prefix}ml"},
    # Somebody may have said no: not behind a long sorting.
    "engagement.tasks.take_in": {"queue": f"{_prefix}control"},
    "engagement.tasks.take_in_open": {"queue": f"{_prefix}control"},
    "engagement.tasks.take_bounces": {"queue": f"{_prefix}control"},
}
task_routes = (_pump_of_lane, _QUEUES)
TICK_SECONDS = 5
beat_schedule = {
    "tick": {
        "task": "campaigns.tasks.tick",
        "schedule": TICK_SECONDS,
        "options": {"expires": TICK_SECONDS},
    },
    "count-reports": {
        "task": "engagement.tasks.count_reports",
        "schedule": 60,
        "options": {"expires": 60},
    },
    "take-in-webhooks": {
        "task": "engagement.tasks.take_in_open",
        "schedule": 30,
        "options": {"expires": 30},
    },
    "refresh-segments": {
        "task": "segmentation.tasks.refresh",
        "schedule": 3600,
        "options": {"expires": 3600},
    },
}
if settings.BOUNCE_MAILBOX is not None:
    beat_schedule["take-bounces"] = {
        "task": "engagement.tasks.take_bounces",
        "schedule": 60,
        "options": {"expires": 60},
    }
