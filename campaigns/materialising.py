"""From a dated send to one message per customer: resumable, harmless to repeat."""

from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime, timedelta
from time import monotonic
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from django.conf import settings
from django.db import transaction

from campaigns.audience import Audience, LeftOut, Place, Recipient
from campaigns.batching import Batching, Share
from campaigns.collecting import seldom_collected
from campaigns.deciding import Ranges
from campaigns.engaged import ranks
from campaigns.local_time import first_instant, local_instant
from campaigns.models import Batch, Message, Send, new_public_ids
from campaigns.sending import canary, crashpoints, instance, seeding, warmups
from campaigns.sending.channels import batch_size_of
from campaigns.timing import expiry, leave_times, zone_of
from customers.querysets import around
from customers.templatetags.attune import moment_named
from segmentation.bulk_rows import add_missing_rows, instant, refresh_statistics

# Rows of one transaction: SQLite's other writers wait about a fifth of a second.
CUSTOMERS_A_CHUNK: Final = 5000
# Later than this, a person decides: a stale offer must not go out by itself.
MISFIRE_GRACE: Final = timedelta(hours=6)
NEVER: Final = np.datetime64("NaT", "us")


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

    Doing it twice, or from two workers, is doing it once. Raises AnotherInstance.
    """
    instance.guard()
    with transaction.atomic():
        send = Send.objects.select_for_update().get(pk=send.pk)
        if send.state != Send.State.SCHEDULED or due_at(send) > at:
            return send
        if at - send.scheduled_at > MISFIRE_GRACE:
            send.state = Send.State.MISSED
            send.state_reason = (
                f"No sender was running on {moment_named(send.scheduled_at)} or "
                "in the six hours after. Resume it if it still makes sense."
            )
            send.save(update_fields=["state", "state_reason"])
            return send
        send.state, send.started_at = Send.State.PREPARING, at
        # Decided once: whoever goes on with an audience after a crash ranks as before.
        send.engaged_first = warmups.of_domain(send.sender_domain) is not None
        send.save(update_fields=["state", "started_at", "engaged_first"])
    return send


@seldom_collected()
def materialise(send: Send, *, at: datetime, until: float | None = None) -> bool:
    """Write the messages of the whole audience; True when it is complete.

    By ranges of customer ids, each range one transaction with its place in the send's
    row, so that a crash repeats nothing. until: stop at this time.monotonic().
    """
    batching, instants = Batching(batch_size_of(settings.PROVIDER)), _Instants(send)
    ranges = Ranges(send, size=CUSTOMERS_A_CHUNK, at=at, too_late=instants.too_late)
    with closing(ranges):
        while True:
            if _write_next(send.pk, ranges, batching, instants, at=at, until=until):
                send.refresh_from_db()
                return send.prepared_at is not None
            if _is_over(until):
                return False


def _is_over(until: float | None) -> bool:
    return until is not None and monotonic() >= until


def _write_next(
    send_id: int,
    ranges: Ranges,
    batching: Batching,
    instants: "_Instants",
    *,
    at: datetime,
    until: float | None,
) -> bool:
    """One range of customers; True when there is nothing (more) to do."""
    with transaction.atomic():
        send = Send.objects.select_for_update().get(pk=send_id)
        if send.state != Send.State.PREPARING:
            return True
        decided = ranges.take(after=send.prepared_up_to)
        if decided.last is None:
            _complete(send, at=at)
            return True
        if not _is_over(until):
            ranges.look_ahead(decided)
        batching.follow(send)
        batches = batching.place(send, _shares(send, decided.audience, instants))
        _write(send, decided.audience, batches, at=at)
        send.prepared_up_to = decided.last
        send.audience_size += len(decided.audience)
        send.save(update_fields=["prepared_up_to", "audience_size"])
        crashpoints.reached(crashpoints.INSIDE_RANGE)
    crashpoints.reached(crashpoints.AFTER_RANGE)
    batching.committed(send)
    return False


def _shares(
    send: Send, audience: Audience, instants: "_Instants"
) -> dict[Share, list[int]]:
    """The included by their tone and their hour of leaving; where the engaged come
    first, by how long ago they were, too."""
    ranked = ranks(audience.included, at=send.scheduled_at, wanted=send.engaged_first)
    variants = {tone: int(pk) for pk, tone in send.frozen["variants"].items()}
    shares: dict[Share, list[int]] = defaultdict(list)
    for pk, one in audience.included.items():
        share = Share(variants[one.tone], instants.of(one.timezone), ranked.get(pk, 0))
        shares[share].append(pk)
    return shares


def _write(
    send: Send, audience: Audience, batches: Mapping[int, int], *, at: datetime
) -> None:
    """A row for each; batches: customer → batch, of the included, in this order."""
    ins, outs = [audience.included[pk] for pk in batches], list(audience.outs.values())
    everybody: list[Recipient | LeftOut] = [*ins, *outs]
    ids, n = [*batches, *audience.outs], len(everybody)
    added = add_missing_rows(
        Message,
        {
            "send": [send.pk] * n,
            "customer": ids,
            "occasion": [""] * n,
            "public_id": new_public_ids(n),
            "state": [Message.State.WAITING.value] * len(ins)
            + [Message.State.LEFT_OUT.value] * len(outs),
            "reason": [""] * len(ins) + [one.reason for one in outs],
            "detail": [""] * len(ins) + [one.detail[:200] for one in outs],
            "address_wire": [one.address_wire for one in ins] + [""] * len(outs),
            "segment_key": [one.segment_key for one in everybody],
            "tone": [one.tone for one in everybody],
            "arm": [one.arm for one in everybody],
            "batch": [*batches.values()] + [None] * len(outs),
            "provider_message_id": [""] * n,
            "settled_at": np.array([NEVER] * len(ins) + [instant(at)] * len(outs)),
        },
    )
    if added < n:
        _write(send, _lost(send, audience), {}, at=at)


def _lost(send: Send, audience: Audience) -> Audience:
    """Whoever a constraint kept out is left out by name: nobody is lost."""
    ids = set(audience.included)
    there = set(
        Message.objects.filter(around(ids), send=send).values_list(
            "customer_id", flat=True
        )
    )
    lost = Audience()
    for pk in ids - there:
        one = audience.included[pk]
        place = Place(one.segment_key, one.tone, one.arm)
        lost.leave_out(pk, "duplicate_address", place)
    return lost


class _Instants:
    """When mail may leave to who lives in a zone: at once, or by the clock on her wall;
    and neither while she sleeps nor on a day of rest."""

    def __init__(self, send: Send) -> None:
        self._local = bool(send.frozen.get("local_time"))
        self._send, self._wall = send, _wall(send)
        self._times, self._expires = leave_times(send.frozen), expiry(send.frozen)
        self._known: dict[str, datetime] = {}

    def of(self, name: str) -> datetime:
        if name not in self._known:
            zone = zone_of(name)
            instant = self._send.scheduled_at
            if self._local:
                instant = local_instant(self._wall, zone)
            if self._times is not None:
                instant = self._times.ended(instant, zone)
            self._known[name] = instant
        return self._known[name]

    def too_late(self, name: str) -> bool:
        return self._expires is not None and self.of(name) >= self._expires


def _complete(send: Send, *, at: datetime) -> None:
    send.state, send.prepared_at = Send.State.SENDING, at
    send.save(update_fields=["state", "prepared_at"])
    if send.audience_size > CUSTOMERS_A_CHUNK:
        refresh_statistics(Message, Batch)
    canary.begin(send)
    seeding.begin(send, at=at)
