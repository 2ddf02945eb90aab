"""How far a send is: five buckets that sum to the audience, and what it waits for."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db.models import Count, Min

from campaigns.models import Batch, Message, Send
from campaigns.planning import NOBODY_SENDS, sender_is_running
from campaigns.sending import breaker, canary, instance, limits
from campaigns.sending.frequency import SURELY_NOT_SENT
from customers.templatetags.attune import moment_named

RATE_OVER: Final = timedelta(seconds=60)
# Below this many seconds a rate is only noise.
RATE_NEEDS_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Progress:
    """accepted + handing_over + in_doubt + not_sent + waiting = audience.

    reasons: not_sent by reason. rate: messages a second over the last minute; None
    while there is nothing to go by. binds: what it waits for, in words; "" if nothing.
    """

    state: str
    audience: int
    accepted: int
    handing_over: int
    in_doubt: int
    not_sent: int
    waiting: int
    reasons: dict[str, int]
    rate: float | None
    time_left: timedelta | None
    binds: str
    # Of those in doubt, the ones nobody has decided about yet.
    unsettled: int


def send_progress(send: Send, *, at: datetime) -> Progress:
    """Count this send's messages now."""
    states, reasons = Counter[str](), Counter[str]()
    for state, reason, count in (
        Message.objects.filter(send=send)
        .order_by()
        .values_list("state", "reason")
        .annotate(count=Count("*"))
    ):
        states[state] += count
        if state in SURELY_NOT_SENT:
            reasons[reason or state] += count
    rate = _rate(send, at=at)
    waiting = states[Message.State.WAITING]
    return Progress(
        state=send.state,
        audience=states.total(),
        accepted=states[Message.State.ACCEPTED],
        handing_over=states[Message.State.HANDING_OVER],
        in_doubt=states[Message.State.IN_DOUBT],
        not_sent=reasons.total(),
        waiting=waiting,
        reasons=dict(reasons),
        rate=rate,
        time_left=_time_left(send, waiting, rate, at=at),
        binds=what_binds(send, waiting, at=at),
        unsettled=Message.objects.filter(
            send=send, state=Message.State.IN_DOUBT, settled_at=None
        ).count(),
    )


def _time_left(
    send: Send, waiting: int, rate: float | None, *, at: datetime
) -> timedelta | None:
    """By how fast it goes, or by what limits allow where that takes longer."""
    way = breaker.Way(settings.PROVIDER, send.lane)
    kept = limits.seconds_for(waiting, way, send, now=at)
    seconds = max(kept, waiting / rate if rate else 0.0)
    return timedelta(seconds=round(seconds)) if rate or kept else None


def _rate(send: Send, *, at: datetime) -> float | None:
    if send.state != Send.State.SENDING:
        return None
    recent = Message.objects.filter(
        send=send, state=Message.State.ACCEPTED, handed_over_at__gt=at - RATE_OVER
    ).aggregate(count=Count("pk"), first=Min("handed_over_at"))
    if not recent["count"]:
        return None
    seconds = (at - recent["first"]).total_seconds()
    count: int = recent["count"]
    return count / seconds if seconds >= RATE_NEEDS_SECONDS else None


def what_binds(send: Send, waiting: int, *, at: datetime) -> str:
    """Why nothing of it leaves at this moment, in words; "" if something does."""
    if send.state in (Send.State.PAUSED, Send.State.MISSED, Send.State.FAILED):
        return send.state_reason
    if send.state in (Send.State.SENT, Send.State.CANCELLED):
        return ""
    if copied := instance.what_stands():
        return copied
    if not sender_is_running(at=at):
        return NOBODY_SENDS
    if send.state == Send.State.SCHEDULED:
        return f"It begins on {moment_named(send.scheduled_at)}."
    if send.state == Send.State.PREPARING:
        return "The audience is being written down."
    open_batches = Batch.objects.filter(send=send, state=Batch.State.WAITING)
    shut = _shut(open_batches.first(), at=at) or canary.in_words(send)
    shut = shut or (_warms_up(send, at=at) if waiting else "")
    if shut:
        return shut
    # None waits, whatever was counted: of a large send that may be of some time ago.
    if send.is_open and not open_batches.exists():
        return "It is open: mail leaves as it is added."
    ready = open_batches.filter(not_before__lte=at).exists()
    busy = Batch.objects.filter(
        send=send, state__in=(Batch.State.CLAIMED, Batch.State.HANDING_OVER)
    ).exists()
    if waiting and not ready and not busy:
        return _rests(open_batches.order_by("not_before").first())
    return ""


def _shut(batch: Batch | None, *, at: datetime) -> str:
    if batch is None:
        return ""
    way = breaker.Way(settings.PROVIDER, batch.lane)
    row = breaker.found(way)
    words = breaker.in_words(row, now=at) if row else ""
    if words:
        return words
    seconds, limit = limits.shut_for(way, now=at)
    if not seconds:
        return ""
    when = at + timedelta(seconds=seconds)
    return f"It goes on from {moment_named(when)}: {limit}."


def _warms_up(send: Send, *, at: datetime) -> str:
    seconds, limit = limits.shut_for_domain(send, now=at)
    if not seconds:
        return ""
    when = at + timedelta(seconds=seconds)
    return f"It goes on from {moment_named(when)}: {limit}."


def _rests(batch: Batch | None) -> str:
    if batch is None:
        return ""
    when = moment_named(batch.not_before)
    if batch.outcome_detail:
        return f"It goes on from {when}: {batch.outcome_detail}."
    return f"The next mails leave on {when}."
