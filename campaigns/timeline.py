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
from campaigns.sending.warmups import forecast, of_domain
from campaigns.timing import awake, rest_days, shop_midnight, zone_of
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

    @property
    def to_come(self) -> int:
        """How many sends have something to come; of those that stand open who knows."""
        return sum(not one.send.is_open for one in self.planned)


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
        together = _by_warm_up(send, together, at=at)
        for hour, count in together.items():
            at_hour[hour].append((send, count, not exact))
    times, zone = LeaveTimes(settings.QUIET_HOURS, rest_days()), zone_of("")
    hours = tuple(
        Hour(one, tuple(at_hour.pop(one, ())), rests=times.ended(one, zone) > one)
        for one in (now + n * ONE_HOUR for n in range(HOURS_SHOWN))
    )
    later = tuple(Hour(one, tuple(at_hour[one])) for one in sorted(at_hour))
    return Timeline(tuple(planned), hours, later)


def _by_warm_up(
    send: Send, together: Counter[datetime], *, at: datetime
) -> Counter[datetime]:
    """The same, and of no day more than its sender's domain is allowed then: the rest
    leaves from the morning after on, at the earliest."""
    days = forecast(of_domain(send.sender_domain), together.total(), now=at)
    if not days:
        return together
    spread, waiting = Counter[datetime](), sorted(together.items())
    for day, may in days:
        # Nothing leaves before its day begins; what is planned for later stays so.
        begins = _hour(max(at, awake(send.frozen, shop_midnight(day))))
        while may and waiting:
            hour, count = waiting.pop(0)
            part = min(count, may)
            spread[max(hour, begins)] += part
            may -= part
            if count > part:
                waiting.insert(0, (hour, count - part))
    return spread


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
