"""From a dated send to one message per customer: resumable, harmless to repeat."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby
from time import monotonic
from typing import Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction

from campaigns.audience import (
    Audience,
    Recipient,
    decide,
    next_chunk,
    plan_of_send,
)
from campaigns.local_time import first_instant, local_instant
from campaigns.models import Batch, Message, Send
from campaigns.sending import canary
from campaigns.sending.channels import batch_size_of
from campaigns.timing import expiry, quiet_hours, zone_of

# Rows of one transaction: SQLite's other writers wait about a fifth of a second.
CUSTOMERS_A_CHUNK: Final = 2000
# Later than this, a person decides: a stale offer must not go out by itself.
MISFIRE_GRACE: Final = timedelta(hours=6)
BULK: Final = "bulk"


def due_at(send: Send) -> datetime:
    """When work on this send begins: by local time, before anybody's clock is there."""
    if not send.frozen.get("local_time"):
        return send.scheduled_at
    return first_instant(_wall(send))


def _wall(send: Send) -> datetime:
    zone = ZoneInfo(settings.TIME_ZONE)
    return send.scheduled_at.astimezone(zone).replace(tzinfo=None)


def launch_send(send: Send, *, at: datetime) -> Send:
    """A send that is due: from scheduled to preparing, or to missed when too late.

    Doing it twice, or from two workers, is doing it once.
    """
    with transaction.atomic():
        send = Send.objects.select_for_update().get(pk=send.pk)
        if send.state != Send.State.SCHEDULED or due_at(send) > at:
            return send
        if at - send.scheduled_at > MISFIRE_GRACE:
            send.state = Send.State.MISSED
            send.state_reason = (
                f"No sender was running at {send.scheduled_at:%Y-%m-%d %H:%M} UTC or "
                "in the six hours after. Resume it if it still makes sense."
            )
            send.save(update_fields=["state", "state_reason"])
            return send
        send.state, send.started_at = Send.State.PREPARING, at
        send.save(update_fields=["state", "started_at"])
    return send


def materialise(send: Send, *, at: datetime, until: float | None = None) -> bool:
    """Write the messages of the whole audience; True when it is complete.

    By ranges of customer ids, each range one transaction with its place in the send's
    row, so that a crash repeats nothing. until: stop at this time.monotonic().
    """
    while True:
        if _prepare_chunk(send.pk, at=at):
            send.refresh_from_db()
            return send.prepared_at is not None
        if until is not None and monotonic() >= until:
            return False


def _prepare_chunk(send_id: int, *, at: datetime) -> bool:
    """One range of customers; True when there is nothing (more) to do."""
    with transaction.atomic():
        send = Send.objects.select_for_update().get(pk=send_id)
        if send.state != Send.State.PREPARING:
            return True
        customers = next_chunk(after=send.prepared_up_to, size=CUSTOMERS_A_CHUNK)
        if not customers:
            _complete(send, at=at)
            return True
        plan, instants = plan_of_send(send), _Instants(send)
        audience = decide(
            plan,
            customers,
            at=at,
            taken=lambda keys: _reached(send, keys),
            too_late=instants.too_late,
        )
        _write(send, audience, instants, at=at)
        send.prepared_up_to = customers[-1].pk
        send.audience_size += len(audience)
        send.save(update_fields=["prepared_up_to", "audience_size"])
    return False


def _reached(send: Send, keys: set[str]) -> set[str]:
    """Which of these mailboxes an earlier range reaches already."""
    return set(
        Message.objects.filter(send=send, customer__address_key__in=keys)
        .exclude(state=Message.State.LEFT_OUT)
        .values_list("customer__address_key", flat=True)
    )


def _write(
    send: Send, audience: Audience, instants: "_Instants", *, at: datetime
) -> None:
    rows = _left_out(send, audience, at=at)
    for batch, members in _batches(send, audience, instants):
        rows += [
            Message(
                send=send,
                customer_id=pk,
                batch=batch,
                address_wire=recipient.address_wire,
                segment_key=recipient.segment_key,
                tone=recipient.tone,
                arm=recipient.arm,
            )
            for pk, recipient in members
        ]
    Message.objects.bulk_create(rows, batch_size=500, ignore_conflicts=True)
    _keep_the_lost(send, audience, at=at)


def _left_out(send: Send, audience: Audience, *, at: datetime) -> list[Message]:
    return [
        Message(
            send=send,
            customer_id=pk,
            state=Message.State.LEFT_OUT,
            reason=out.reason,
            detail=out.detail[:200],
            segment_key=out.segment_key,
            tone=out.tone,
            arm=out.arm,
            settled_at=at,
        )
        for pk, out in audience.outs.items()
    ]


def _keep_the_lost(send: Send, audience: Audience, *, at: datetime) -> None:
    """Whoever a constraint kept out is left out by name: nobody is lost."""
    ids = [*audience.included, *audience.outs]
    there = set(
        Message.objects.filter(send=send, customer_id__in=ids).values_list(
            "customer_id", flat=True
        )
    )
    Message.objects.bulk_create(
        Message(
            send=send,
            customer_id=pk,
            state=Message.State.LEFT_OUT,
            reason="duplicate_address",
            segment_key=audience.included[pk].segment_key,
            tone=audience.included[pk].tone,
            arm=audience.included[pk].arm,
            settled_at=at,
        )
        for pk in ids
        if pk not in there
    )


def _batches(
    send: Send, audience: Audience, instants: "_Instants"
) -> Iterator[tuple[Batch, list[tuple[int, Recipient]]]]:
    """The included in batches of one tone and one hour of leaving."""
    variants = {tone: int(pk) for pk, tone in send.frozen["variants"].items()}
    size = batch_size_of(settings.PROVIDER)
    planned = []
    people = sorted(
        audience.included.items(),
        key=lambda one: (one[1].tone, instants.of(one[1].timezone), one[0]),
    )
    for (tone, when), same in groupby(
        people, key=lambda one: (one[1].tone, instants.of(one[1].timezone))
    ):
        members = list(same)
        for start in range(0, len(members), size):
            batch = Batch(
                send=send,
                variant_id=variants[tone],
                lane=BULK,
                # Nothing leaves before the audience is complete.
                paused=True,
                not_before=when,
            )
            planned.append((batch, members[start : start + size]))
    Batch.objects.bulk_create([batch for batch, _ in planned])
    yield from planned


class _Instants:
    """When mail may leave to who lives in a zone: at once, or by the clock on her wall;
    and not while she sleeps."""

    def __init__(self, send: Send) -> None:
        self._local = bool(send.frozen.get("local_time"))
        self._send, self._wall = send, _wall(send)
        self._quiet, self._expires = quiet_hours(send.frozen), expiry(send.frozen)
        self._known: dict[str, datetime] = {}

    def of(self, name: str) -> datetime:
        if name not in self._known:
            zone = zone_of(name)
            instant = self._send.scheduled_at
            if self._local:
                instant = local_instant(self._wall, zone)
            if self._quiet is not None:
                instant = self._quiet.ended(instant, zone)
            self._known[name] = instant
        return self._known[name]

    def too_late(self, name: str) -> bool:
        return self._expires is not None and self.of(name) >= self._expires


def _complete(send: Send, *, at: datetime) -> None:
    send.state, send.prepared_at = Send.State.SENDING, at
    send.save(update_fields=["state", "prepared_at"])
    canary.begin(send)
