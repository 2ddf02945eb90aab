"""What will be sent when, as far as it is written down: by hour, and what holds it."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.conf import settings
from django.db.models import Count, Q
from django.db.models.functions import TruncHour

from campaigns.materialising import due_at
from campaigns.models import Batch, Message, Send
from campaigns.progress import what_binds
from campaigns.rest_days import LeaveTimes
from campaigns.timing import rest_days, zone_of
from campaigns.under_way import UNDER_WAY, how_far

SENDS_SHOWN: Final = 50
HOURS_SHOWN: Final = 48
ONE_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Planned:
    """One send that is not over. waiting: messages; None before they are written.

    binds: why nothing of it leaves at this moment, in words.
    """

    send: Send
    begins: datetime
    waiting: int | None
    binds: str
    # Of when the number is, for a large send that is counted beside the page.
    counted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Hour:
    """What may leave from then on, at the earliest. sends: send, messages, and whether
    that is no count but its batches' share of what waits."""

    begins: datetime
    sends: tuple[tuple[Send, int, bool], ...]
    # By the clock and calendar of the shop no promotion leaves then.
    rests: bool = False

    @property
    def messages(self) -> int:
        return sum(count for _, count, _ in self.sends)


@dataclass(frozen=True, slots=True)
class Timeline:
    """hours: each of the next ones, empty too; later: those with mail after them."""

    planned: tuple[Planned, ...]
    hours: tuple[Hour, ...]
    later: tuple[Hour, ...]


def timeline(*, at: datetime) -> Timeline:
    """What is known now; limits, breakers and people may still move it."""
    sends = Send.objects.filter(state__in=UNDER_WAY).select_related("campaign")
    counted = how_far(sends.order_by("scheduled_at", "pk")[:SENDS_SHOWN])
    planned, at_hour = [], defaultdict[datetime, list[tuple[Send, int, bool]]](list)
    now = _hour(at)
    for send, far in counted:
        waiting = far.states[Message.State.WAITING] if far else None
        written = send.prepared_at is not None
        planned.append(
            Planned(
                send,
                due_at(send),
                waiting if written else None,
                what_binds(send, waiting or 0, at=at),
                far.counted_at if far else None,
            )
        )
        exact = far is not None and far.counted_at is None
        together = Counter[datetime]()
        for hour, count in _by_hour(send, waiting or 0, exact=exact):
            # What is overdue goes as soon as something lets it.
            together[max(now, hour)] += count
        for hour, count in together.items():
            at_hour[hour].append((send, count, not exact))
    times, zone = LeaveTimes(settings.QUIET_HOURS, rest_days()), zone_of("")
    hours = tuple(
        Hour(one, tuple(at_hour.pop(one, ())), rests=times.ended(one, zone) > one)
        for one in (now + n * ONE_HOUR for n in range(HOURS_SHOWN))
    )
    later = tuple(Hour(one, tuple(at_hour[one])) for one in sorted(at_hour))
    return Timeline(tuple(planned), hours, later)


def _by_hour(send: Send, waiting: int, *, exact: bool) -> list[tuple[datetime, int]]:
    batches = Batch.objects.filter(send=send, state=Batch.State.WAITING)
    if exact:
        found = batches.annotate(hour=TruncHour("not_before", tzinfo=UTC)).values_list(
            "hour"
        )
        counts = found.annotate(
            n=Count("messages", filter=Q(messages__state=Message.State.WAITING))
        ).order_by("hour")
        return [(hour, n) for hour, n in counts if n]
    shares = list(
        batches.annotate(hour=TruncHour("not_before", tzinfo=UTC))
        .values_list("hour")
        .annotate(n=Count("pk"))
        .order_by("hour")
    )
    together = sum(n for _, n in shares) or 1
    return [(hour, round(waiting * n / together)) for hour, n in shares]


def _hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
