"""What is written about batches and messages, each inside its caller's transaction.

A batch row is always locked before its messages, everywhere in this house: two workers
can wait for each other, never in a circle.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q

from campaigns.assignment import unit_interval
from campaigns.audience import NEUTRAL_TONE, UNKNOWN
from campaigns.errors import LostLease
from campaigns.models import Batch, Message, Send
from campaigns.sending import keeping, trail
from campaigns.sending.breaker import Way, bars
from campaigns.sending.channels import (
    InDoubt,
    Later,
    Outgoing,
    Receipt,
    Refused,
    Result,
)
from campaigns.sending.claims import Claim
from campaigns.sending.composing import Composed
from campaigns.timing import expiry, leave_times, zone_of
from customers.models import Customer, Suppression
from customers.prepared import Prepared
from customers.services import suppress

# Retries of what surely was not sent: 30 s doubling, an hour at most (sending.md 3.6).
FIRST_WAIT_SECONDS: Final = 30.0
LONGEST_WAIT_SECONDS: Final = 3600.0
MOST_ATTEMPTS: Final = 6
OPEN_BATCHES: Final = (
    Batch.State.WAITING,
    Batch.State.CLAIMED,
    Batch.State.HANDING_OVER,
)
# A send of which something may still leave; one that was sent has copies and calls in
# doubt left.
GOES_ON: Final = (Send.State.SENDING, Send.State.SENT)
DIED: Final = "the process ended while handing over"
CAN_PAUSE: Final = (Send.State.SCHEDULED, Send.State.PREPARING, Send.State.SENDING)
OPEN_MESSAGES: Final = (Message.State.WAITING, Message.State.HANDING_OVER)


def claimed(claim: Claim) -> Batch:
    """The batch of this claim, locked. Raises LostLease if it is no longer ours."""
    batch = (
        Batch.objects.select_for_update()
        .filter(pk=claim.batch_id, fence=claim.fence, state=Batch.State.CLAIMED)
        .first()
    )
    if batch is None:
        raise _lost(claim)
    return batch


def may_leave(claim: Claim, *, way: Way, now: datetime) -> bool:
    """The last look before bytes leave: still ours, nobody pressed pause, and no
    breaker opened meanwhile."""
    return bool(
        _MAY_LEAVE(
            batch=claim.batch_id,
            fence=claim.fence,
            provider=way.provider,
            lane=way.lane,
            now=now,
        )
    )


_MAY_LEAVE: Final = Prepared(
    lambda batch, fence, provider, lane, now: Batch.objects.filter(
        ~Exists(bars(Way(provider, lane), batch, now=now)),
        pk=batch,
        fence=fence,
        state=Batch.State.HANDING_OVER,
        paused=False,
    ).values_list("pk")
)


def renew(claim: Claim, *, until: datetime, attempts: int) -> bool:
    """Lock the batch and lengthen its lease; False when it was paused meanwhile.

    Raises LostLease if it was swept.
    """
    at = connection.ops.adapt_datetimefield_value(until)
    ours = (claim.batch_id, claim.fence, Batch.State.HANDING_OVER.value)
    with connection.cursor() as cursor:
        cursor.execute(_RENEW, (at, attempts, *ours))
        if not cursor.rowcount:
            raise _lost(claim)
    [(paused,)] = _PAUSED(batch=claim.batch_id)
    return not paused


_RENEW: Final = (
    "UPDATE campaigns_batch SET lease_until = %s, attempts = %s "
    "WHERE id = %s AND fence = %s AND state = %s"
)
_PAUSED: Final = Prepared(
    lambda batch: Batch.objects.filter(pk=batch).values_list("paused")
)


def wait_again(message_ids: Sequence[int]) -> None:
    """Messages that were refused for what is not their fault wait for a person.

    Their batches, closed or in doubt about others, wait with them.
    """
    if not message_ids:
        return
    refused = Message.objects.filter(
        pk__in=message_ids, state=Message.State.FAILED, reason="not_sent_bad"
    )
    batches = set(refused.values_list("batch_id", flat=True))
    closed = (Batch.State.DONE, Batch.State.IN_DOUBT)
    Batch.objects.filter(pk__in=batches, state__in=closed).update(
        state=Batch.State.WAITING, paused=True
    )
    refused.update(
        state=Message.State.WAITING,
        reason="",
        detail="",
        settled_at=None,
        handed_over_at=None,
    )


def _lost(claim: Claim) -> LostLease:
    return LostLease(
        f"Batch {claim.batch_id} is no longer held with fence {claim.fence}: its lease "
        "ran out, so nothing is written about it."
    )


def hand_over(mails: Sequence[Outgoing], *, now: datetime) -> None:
    """The intent of one group: after this commit its bytes may leave.

    Raises LostLease if one of them does not wait any more.
    """
    if not mails:
        return
    at = connection.ops.adapt_datetimefield_value(now)
    ids = [mail.message_id for mail in mails]
    waiting, leaving = (Message.State.WAITING.value, Message.State.HANDING_OVER.value)
    marks = ", ".join(["%s"] * len(ids))
    with connection.cursor() as cursor:
        cursor.execute(f"{_HAND_OVER} ({marks})", (leaving, at, waiting, *ids))
        changed = cursor.rowcount
    if changed != len(ids):
        raise LostLease(
            f"{len(ids) - changed} messages of batch {mails[0].batch_id} no longer "
            "wait: the group is given up before anything left."
        )


_HAND_OVER: Final = (
    "UPDATE campaigns_message SET state = %s, handed_over_at = %s "
    "WHERE state = %s AND id IN"
)
_RECORD: Final = (
    "UPDATE campaigns_message SET state = %s, reason = %s, detail = %s, "
    "provider_message_id = %s, settled_at = %s, handed_over_at = %s "
    "WHERE id = %s AND state = %s"
)


_NAME: Final = (
    "UPDATE campaigns_message SET provider_message_id = %s "
    "WHERE id = %s AND state = 'accepted' AND provider_message_id = ''"
)


def record(
    mails: Sequence[Outgoing],
    results: Sequence[Result],
    *,
    attempts: int,
    now: datetime,
) -> None:
    """Write what came of each mail; one prepared statement for all of them."""
    at = connection.ops.adapt_datetimefield_value(now)
    rows = []
    for mail, result in zip(mails, results, strict=True):
        state, reason, detail = _written(result, attempts)
        waits = state == Message.State.WAITING
        settled = None if waits or state == Message.State.IN_DOUBT else at
        left = None if waits else at
        provider_id = result.provider_message_id if isinstance(result, Receipt) else ""
        rows.append(
            (
                state,
                reason,
                detail[:200],
                provider_id[:200],
                settled,
                left,
                mail.message_id,
                Message.State.HANDING_OVER.value,
            )
        )
    with connection.cursor() as cursor:
        cursor.executemany(_RECORD, rows)
        if cursor.rowcount < len(rows):
            # A report was quicker than the answer: what is left to learn is its name.
            cursor.executemany(
                _NAME,
                [
                    (result.provider_message_id[:200], mail.message_id)
                    for mail, result in zip(mails, results, strict=True)
                    if isinstance(result, Receipt)
                ],
            )


def heed_dead_addresses(
    mails: Sequence[Outgoing], results: Sequence[Result], *, now: datetime
) -> None:
    """Nobody writes again to where there is nobody, as after a hard bounce.

    Only beside mails that were taken: a server that was set up wrongly knows nobody.
    """
    if not any(isinstance(one, Receipt) for one in results):
        return
    for mail, result in zip(mails, results, strict=True):
        if isinstance(result, Refused) and result.no_mailbox:
            source = f"refused at hand-over ({result.detail})"
            suppress(
                mail.address, reason=Suppression.Reason.BOUNCED, at=now, source=source
            )


def _written(result: Result, attempts: int) -> tuple[str, str, str]:
    states = Message.State
    if isinstance(result, Receipt):
        return states.ACCEPTED.value, "", ""
    if isinstance(result, Refused):
        return states.FAILED.value, result.reason, result.detail
    if isinstance(result, InDoubt):
        return states.IN_DOUBT.value, result.reason, result.detail
    if isinstance(result, Later) and attempts >= MOST_ATTEMPTS:
        return states.FAILED.value, "gave_up", result.detail
    return states.WAITING.value, "", ""


def leave_out(reasons: Mapping[int, tuple[str, str]], *, now: datetime) -> None:
    """Take messages out that still wait, each for its reason."""
    by_reason: dict[tuple[str, str], list[int]] = {}
    for message_id, why in reasons.items():
        by_reason.setdefault(why, []).append(message_id)
    for (reason, detail), ids in by_reason.items():
        Message.objects.filter(pk__in=ids, state=Message.State.WAITING).update(
            state=Message.State.LEFT_OUT,
            reason=reason,
            detail=detail[:200],
            settled_at=now,
            batch=None,
        )


def move_objectors(batch: Batch, composed: Composed) -> set[int]:
    """Whoever objected to profiling since gets the neutral words, in a batch of theirs.

    The offer stays the same; what was inferred of them is forgotten here too.
    """
    if composed.tone == NEUTRAL_TONE:
        return set()
    customers = {one.customer_id: pk for pk, one in composed.people.items()}
    objectors = Customer.objects.filter(
        pk__in=customers, profiling_objected_at__isnull=False
    ).values_list("pk", flat=True)
    ids = {customers[pk] for pk in objectors}
    if not ids:
        return set()
    variant = batch.send.variants.get(tone=NEUTRAL_TONE)
    other = Batch.objects.create(
        send_id=batch.send_id,
        variant=variant,
        lane=batch.lane,
        not_before=batch.not_before,
        rank=batch.rank,
    )
    Message.objects.filter(pk__in=ids, state=Message.State.WAITING).update(
        batch=other,
        tone=NEUTRAL_TONE,
        segment_key=UNKNOWN,
        arm=Message.Arm.FITTING,
    )
    return ids


class Waits(NamedTuple):
    """later: messages of a batch that must not leave now, by when they may; None:
    never. until: from then on this is to be asked anew, of those who may."""

    later: dict[datetime | None, list[int]]
    until: datetime | None


def who_waits(
    claim: Claim,
    *,
    now: datetime,
    state: Message.State = Message.State.WAITING,
) -> Waits:
    """Who of a batch sleeps or rests now, and for whom it is too late."""
    frozen = Send.objects.values_list("frozen", flat=True).get(pk=claim.send_id)
    times, expires = leave_times(frozen), expiry(frozen)
    later: dict[datetime | None, list[int]] = defaultdict(list)
    if times is None and expires is None:
        return Waits(later, None)
    waiting = Message.objects.filter(batch=claim.batch_id, state=state).values_list(
        "pk", "customer__timezone"
    )
    by_zone: dict[str, list[int]] = defaultdict(list)
    for pk, name in waiting:
        by_zone[name].append(pk)
    limits = [expires] if expires is not None else []
    for name, ids in by_zone.items():
        zone = zone_of(name)
        instant = times.ended(now, zone) if times else now
        if expires is not None and instant >= expires:
            later[None] += ids
        elif instant > now:
            later[instant] += ids
        elif times is not None:
            limits.append(times.next_begin(now, zone))
    return Waits(later, min(limits, default=None))


def put_off(
    batch: Batch, later: Mapping[datetime | None, Sequence[int]], *, now: datetime
) -> int:
    """Move these messages to batches of their own hour; how many it is too late for."""
    for instant, ids in later.items():
        if instant is None:
            leave_out(dict.fromkeys(ids, ("expired", "")), now=now)
            continue
        other = Batch.objects.create(
            send_id=batch.send_id,
            variant_id=batch.variant_id,
            lane=batch.lane,
            not_before=instant,
            rank=batch.rank,
        )
        Message.objects.filter(pk__in=ids, state=Message.State.WAITING).update(
            batch=other
        )
    return len(later.get(None, ()))


def give_back(batch: Batch, send: Send, *, now: datetime) -> None:
    """A claimed batch nothing of which has left, of a send that does not go on."""
    batch.state, batch.owner, batch.lease_until = Batch.State.WAITING, "", None
    batch.paused = send.state == Send.State.PAUSED
    batch.save(update_fields=["state", "owner", "lease_until", "paused"])
    if send.state == Send.State.CANCELLED:
        cancel_waiting(batch, now=now)


def cancel_waiting(batch: Batch, *, now: datetime) -> int:
    """Cancel what still waits in this batch."""
    cancelled = batch.messages.filter(state=Message.State.WAITING).update(
        state=Message.State.CANCELLED, reason="cancelled", settled_at=now
    )
    batch.state = Batch.State.CANCELLED
    batch.save(update_fields=["state"])
    return cancelled


def close_batch(batch: Batch, *, now: datetime, wait_seconds: float = 0.0) -> None:
    """Put the batch where its messages say: waiting, in doubt or done."""
    batch.owner, batch.lease_until, batch.outcome_at = "", None, now
    state = Send.objects.values_list("state", flat=True).get(pk=batch.send_id)
    states = batch.states()
    waits = Message.State.WAITING in states
    if waits and state == Send.State.CANCELLED:
        batch.save()
        cancel_waiting(batch, now=now)
        waits = False
    if waits:
        batch.state = Batch.State.WAITING
        batch.not_before = now + timedelta(seconds=wait_seconds)
    elif Message.State.IN_DOUBT in states:
        batch.state = Batch.State.IN_DOUBT
    elif batch.state != Batch.State.CANCELLED:
        batch.state = Batch.State.DONE
    batch.save()


def patience(batch_id: int, attempts: int, asked_seconds: float) -> float:
    """Seconds until the next try: doubling, spread by up to half, or what was asked."""
    steps = min(max(attempts, 1) - 1, 10)
    longest = min(FIRST_WAIT_SECONDS * 2.0**steps, LONGEST_WAIT_SECONDS)
    # Spread, or all batches would come back in the same second.
    spread = 0.5 + unit_interval("wait", str(attempts), batch_id) / 2
    return max(longest * spread, asked_seconds)


def next_due_in(lane: str, *, now: datetime) -> float:
    """Seconds until the next batch of this lane is due; 0 if none waits."""
    waiting = Batch.objects.filter(lane=lane, state=Batch.State.WAITING, paused=False)
    due = waiting.order_by("not_before").values_list("not_before", flat=True).first()
    return max(0.0, (due - now).total_seconds()) if due is not None else 0.0


def pause_for(send_id: int, reason: str, *, at: datetime) -> None:
    """Stop a send that needs a person, and say why."""
    with transaction.atomic():
        stopped = Send.objects.filter(pk=send_id, state__in=CAN_PAUSE).update(
            state=Send.State.PAUSED, state_reason=reason[:500]
        )
        if stopped:
            Batch.objects.filter(send_id=send_id, state__in=OPEN_BATCHES).update(
                paused=True
            )
    if stopped:
        trail.note(send_id, f"Paused: {reason}", at=at)


def sweep(*, now: datetime) -> tuple[int, int]:
    """Take up what died: (batches back to waiting, messages now in doubt).

    A batch only claimed goes back whole, nothing of it was sent. Of one being handed
    over, the group whose intent stands is in doubt; the rest goes back.
    """
    given_back = doubts = 0
    died: list[tuple[Batch, int]] = []
    with transaction.atomic():
        expired = Batch.objects.filter(
            state__in=(Batch.State.CLAIMED, Batch.State.HANDING_OVER),
            lease_until__lt=now,
        ).order_by("pk")
        skip = connection.vendor == "postgresql"
        for batch in expired.select_for_update(skip_locked=skip):
            # Whoever held it finds the fence gone and writes nothing.
            batch.fence += 1
            keeping.take_up(batch, now=now)
            lost = batch.messages.filter(state=Message.State.HANDING_OVER).update(
                state=Message.State.IN_DOUBT, reason="died", detail=""
            )
            if lost:
                batch.outcome = "in_doubt"
                batch.outcome_detail = DIED
                died.append((batch, lost))
            close_batch(batch, now=now)
            doubts += lost
            given_back += batch.state == Batch.State.WAITING
        # Whoever was moved to another batch while the send was being cancelled.
        left = Batch.objects.filter(
            send__state=Send.State.CANCELLED, state=Batch.State.WAITING
        ).order_by("pk")
        for batch in left.select_for_update(skip_locked=skip, of=("self",)):
            cancel_waiting(batch, now=now)
    for batch, lost in died:
        trail.died(batch, mails=lost, now=now)
    return given_back, doubts


def finish_sends(*, now: datetime) -> list[int]:
    """End the sends of which nothing waits and nothing is on its way; their ids.

    A standing send ends only once it is closed; then also while it is paused, since
    there is nothing to resume.
    """
    closed = Q(standing=Send.Standing.CLOSED, state=Send.State.PAUSED)
    over = Q(~Q(standing=Send.Standing.OPEN), state=Send.State.SENDING) | closed
    open_batches = Batch.objects.filter(send=OuterRef("pk"), state__in=OPEN_BATCHES)
    open_messages = Message.objects.filter(send=OuterRef("pk"), state__in=OPEN_MESSAGES)
    ended = list(
        Send.objects.filter(over, ~Exists(open_batches), ~Exists(open_messages))
        .order_by()
        .values_list("pk", flat=True)
    )
    if ended:
        Send.objects.filter(over, pk__in=ended).update(
            state=Send.State.SENT, finished_at=now, state_reason=""
        )
    return ended
