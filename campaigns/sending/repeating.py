"""A call in doubt is made once more under the key it had: nobody is mailed twice.

The same bytes, while the key is young and everybody in it may still be mailed. If one
of them said no since, the list can't change under the same key: it stays in doubt, and
the provider's reports tell. All that a repetition can do is turn doubt into accepted.
Source: sending.md 3.3, 3.4.
"""

import logging
import time
import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final

from django.db import transaction
from django.db.models import F

from campaigns.audience import ineligible
from campaigns.models import Batch, KeptCall, Message, Send
from campaigns.sending import breaker, keeping, ledger, trail
from campaigns.sending.channels import (
    STOPS,
    Busy,
    InDoubt,
    LeavingCall,
    Receipt,
    Refused,
    Result,
)
from campaigns.sending.channels.calls import KEY_SECONDS
from campaigns.sending.claims import Claim
from campaigns.sending.lanes import Lane, Outcome

log = logging.getLogger(__name__)

MOST_TRIES: Final = 6
# From looking at it to its bytes.
SPARE_SECONDS: Final = 5.0


class _May(Enum):
    GO = "it may be repeated"
    LATER = "not now"
    OLD = "its key is too old"
    NO = "somebody in its call must not be mailed any more"
    SETTLED = "what came of it is known, or a person has decided"


def repeat_next(lane: Lane, *, now: datetime) -> Outcome | None:
    """Repeat one call that is due; None when there is none, or none may leave."""
    if not keeping.keeps(lane.channel):
        return None
    began = time.monotonic()
    call, asks = _take(lane, now=now)
    if call is None:
        return None
    outcome = Outcome(call.batch_id)
    may = _may(call, now=now, seconds=lane.channel.timeout_seconds)
    if may is _May.GO and time.monotonic() - began < SPARE_SECONDS:
        left = time.monotonic()
        results = _repeat(lane, call)
        _write(lane, call, results, now=now, seconds=time.monotonic() - left)
        outcome.count([one for one in results if isinstance(one, Receipt)])
    elif may in (_May.GO, _May.LATER):
        _wait(call, now=now)
    else:
        _let_go(call, may.value)
    if asks:
        breaker.end_probe(lane.way, call.batch_id, now=now)
    return outcome


def _take(lane: Lane, *, now: datetime) -> tuple[KeptCall | None, bool]:
    """The call that is due longest, nobody else's for a while; does it ask for the
    breaker?"""
    due = KeptCall.objects.filter(
        provider=lane.provider, lane=lane.name, due_at__lte=now
    )
    call = due.order_by("due_at", "pk").first()
    if call is None:
        return None, False
    gate = breaker.gate(breaker.row_of(lane.way).row, now=now)
    asks = gate is breaker.Gate.PROBE
    until = now + timedelta(seconds=2 * lane.channel.timeout_seconds + SPARE_SECONDS)
    with transaction.atomic():
        taken = gate is not breaker.Gate.SHUT and due.filter(
            pk=call.pk, due_at=call.due_at
        ).update(due_at=until, tries=F("tries") + 1)
        if taken and (
            not asks or breaker.half_open(lane.way, call.batch_id, now=now, until=until)
        ):
            call.tries += 1
            return call, asks
        transaction.set_rollback(True)
    return None, False


def _may(call: KeptCall, *, now: datetime, seconds: float) -> _May:
    """seconds: an answer may take so long."""
    alive = timedelta(seconds=KEY_SECONDS[call.provider] * keeping.ALIVE_SHARE)
    if now + timedelta(seconds=seconds) > call.left_at + alive:
        return _May.OLD
    with transaction.atomic():
        batch = Batch.objects.select_for_update().get(pk=call.batch_id)
        people = list(
            batch.messages.filter(
                public_id__in=call.messages,
                state=Message.State.IN_DOUBT,
                settled_at=None,
            ).values_list("customer_id", "address_wire")
        )
        if len(people) != len(call.messages):
            return _May.SETTLED
        send = Send.objects.only("state", "frozen").get(pk=batch.send_id)
        purpose = send.frozen["plan"]["purpose"]
        if send.state == Send.State.CANCELLED or ineligible(
            people, purpose=purpose, at=now
        ):
            return _May.NO
        if send.state not in ledger.GOES_ON:
            return _May.LATER
        later, _ = ledger.who_waits(
            Claim(batch.pk, batch.fence, send.pk),
            now=now,
            state=Message.State.IN_DOUBT,
        )
    if None in later:
        return _May.OLD
    return _May.LATER if later else _May.GO


def _repeat(lane: Lane, call: KeptCall) -> list[Result]:
    channel: Any = lane.channel
    body = zlib.decompress(call.body)
    results: list[Result] = channel.repeat(
        LeavingCall(tuple(call.messages), call.key, body)
    )
    return results


def _write(
    lane: Lane,
    call: KeptCall,
    results: Sequence[Result],
    *,
    now: datetime,
    seconds: float,
) -> None:
    """seconds: until it was answered."""
    taken = all(isinstance(one, Receipt) for one in results)
    found = next((one for one in results if isinstance(one, STOPS)), None)
    stop = found if isinstance(found, Busy | InDoubt) else None
    asked = getattr(found, "wait_seconds", 0.0)
    with transaction.atomic():
        batch = Batch.objects.select_for_update().get(pk=call.batch_id)
        if taken:
            _accept(batch, call, results, now=now)
        elif any(isinstance(one, Refused) for one in results):
            # Of the first time it says nothing: the provider may know the key.
            _let_go(call, "the provider did not take its call a second time")
        else:
            _wait(call, now=now, asked_seconds=asked)
        breaker.heard(
            lane.way,
            results,
            stop,
            batch_id=call.batch_id,
            now=now,
            patience=ledger.patience(call.batch_id, call.tries, asked),
        )
    trail.attempted(
        Claim(batch.pk, batch.fence, batch.send_id),
        lane.way,
        results,
        began_at=now,
        seconds=seconds,
    )
    log.info(
        "batch %s: %s mails in doubt were asked for again under their key: %s",
        call.batch_id,
        len(results),
        "accepted" if taken else getattr(found, "reason", "refused"),
    )


def _accept(
    batch: Batch, call: KeptCall, results: Sequence[Any], *, now: datetime
) -> None:
    for public_id, receipt in zip(call.messages, results, strict=True):
        batch.messages.filter(public_id=public_id, state=Message.State.IN_DOUBT).update(
            state=Message.State.ACCEPTED,
            reason="",
            detail="asked for again under the same key",
            provider_message_id=receipt.provider_message_id[:200],
            settled_at=now,
        )
    doubts = batch.messages.filter(state=Message.State.IN_DOUBT)
    if batch.state == Batch.State.IN_DOUBT and not doubts.exists():
        batch.state = Batch.State.DONE
        batch.save(update_fields=["state"])
    call.delete()


def _wait(call: KeptCall, *, now: datetime, asked_seconds: float = 0.0) -> None:
    if call.tries >= MOST_TRIES:
        _let_go(call, f"asked {call.tries} times under its key")
        return
    seconds = ledger.patience(call.batch_id, call.tries, asked_seconds)
    call.due_at = now + timedelta(seconds=seconds)
    call.save(update_fields=["due_at"])


def _let_go(call: KeptCall, why: str) -> None:
    """Its mails stay in doubt; only reports or a person settle them now."""
    Message.objects.filter(
        public_id__in=call.messages, state=Message.State.IN_DOUBT, settled_at=None
    ).update(detail=f"not asked for again: {why}"[:200])
    call.delete()
