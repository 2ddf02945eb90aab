"""Opens are kept in memory for a moment and stored together.

A picture is asked for far more often than anything else and proves little, so it must
not cost a transaction each: hits are flushed together every half second or 200 hits.
A crash can lose half a second of opens, never a click, an unsubscribe or a person.
"""

import atexit
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from multiprocessing.util import Finalize

from django.conf import settings
from django.db import connections
from django.utils import timezone

from campaigns.models import Message
from engagement.services import OPENED, Event, record_events
from engagement.verdict import Hit, judge

HITS_TOGETHER = 200


@dataclass(frozen=True, slots=True)
class Open:
    """One request for a message's picture."""

    public_id: int
    occurred_at: datetime
    hit: Hit
    simulated: str = ""


class OpenBuffer:
    """Opens that wait to be stored; one per process, shared by its threads."""

    def __init__(self, store: Callable[[Sequence[Open]], None]) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._waiting: list[Open] = []
        self._timer: threading.Timer | None = None

    def keep(self, hit: Open) -> None:
        with self._lock:
            self._waiting.append(hit)
            full = len(self._waiting) >= HITS_TOGETHER
            if not full and self._timer is None and settings.OPENS_FLUSH_MS:
                self._timer = threading.Timer(
                    settings.OPENS_FLUSH_MS / 1000, self._flush_from_timer
                )
                self._timer.daemon = True
                self._timer.start()
        if full or not settings.OPENS_FLUSH_MS:
            self.flush()

    def flush(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        if waiting:
            self._store(waiting)

    def _flush_from_timer(self) -> None:
        try:
            self.flush()
        finally:
            connections.close_all()  # this thread ends here, and its connection too


def store_opens(opens: Sequence[Open]) -> None:
    """Judge and store opens, one transaction for all."""
    handed_over = dict(
        Message.objects.filter(public_id__in=[one.public_id for one in opens])
        .exclude(handed_over_at=None)
        .values_list("public_id", "handed_over_at")
    )
    events = []
    for one in opens:
        since = handed_over.get(one.public_id)
        waited = (one.occurred_at - since).total_seconds() if since else None
        verdict, reasons = judge(replace(one.hit, seconds_since_handover=waited))
        events.append(
            Event(
                event_type=OPENED,
                occurred_at=one.occurred_at,
                provider="attune",
                public_id=one.public_id,
                verdict=verdict,
                verdict_reasons=reasons,
                detail={"simulated": one.simulated} if one.simulated else {},
            )
        )
    record_events(events, at=timezone.now())


def flush_at_exit(buffer: OpenBuffer) -> None:
    """Store what waits when this process ends in order.

    A server's worker that was started through multiprocessing ends without running
    atexit; it runs its own finalizers instead.
    """
    atexit.register(buffer.flush)
    Finalize(None, buffer.flush, exitpriority=100)


OPENS = OpenBuffer(store_opens)
flush_at_exit(OPENS)
