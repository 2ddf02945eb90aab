"""A Celery app whose broker hands a task out again while it still runs.

Redis does so after its visibility timeout: here five seconds instead of ten minutes,
and tasks are acknowledged late, as none of ours is.
"""

from typing import Any

from kombu.transport import redis

from config.celery import app as app

VISIBILITY_SECONDS = 5
_restore = redis.QoS.restore_visible


def _restore_at_once(self: Any, **how: Any) -> Any:
    # Kombu looks at every tenth opportunity only.
    return _restore(self, **how | {"interval": 1})


redis.QoS.restore_visible = _restore_at_once
app.conf.broker_transport_options = {"visibility_timeout": VISIBILITY_SECONDS}
app.conf.task_acks_late = True
app.conf.visibility_timeout = VISIBILITY_SECONDS
