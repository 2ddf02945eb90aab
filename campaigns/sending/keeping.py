"""Calls kept before they leave, where a provider takes one call under one key once.

What came of a call deletes it. A call in doubt is kept, to be repeated (repeating.py).
After its process died, who is in no kept call surely was not sent. Source: sending.md
3.3.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import transaction

from campaigns.errors import LostLease
from campaigns.models import Batch, KeptCall, Message
from campaigns.sending.channels import Channel, InDoubt, LeavingCall, Outgoing, Result
from campaigns.sending.channels.calls import KEY_SECONDS
from campaigns.sending.claims import Claim
from campaigns.sending.lanes import Lane

# Of the time a provider knows a key: a clock may be wrong, a call on its way for long.
ALIVE_SHARE: Final = 2 / 3
LONGEST: Final = timedelta(seconds=max(KEY_SECONDS.values()) * ALIVE_SHARE)


def keeps(channel: Channel) -> bool:
    """Can a call of this channel be repeated?"""
    return bool(getattr(channel, "key_seconds", 0.0))


def due(lane: str, *, at: datetime) -> int:
    """How many calls of this lane are to be repeated now."""
    if settings.PROVIDER not in KEY_SECONDS:
        return 0
    return KeptCall.objects.filter(
        provider=settings.PROVIDER, lane=lane, due_at__lte=at
    ).count()


@contextmanager
def kept_calls(
    lane: Lane, claim: Claim, *, wanted: bool, now: Callable[[], datetime]
) -> Iterator[None]:
    """Within, a call of this batch leaves only after it was kept. Raises LostLease.

    wanted: of a channel that keeps; else nothing is done.
    """
    channel: Any = lane.channel
    if not wanted:
        yield
        return

    def keep(call: LeavingCall) -> None:
        with transaction.atomic():
            _still_ours(claim)
            _replace(claim.batch_id, call)
            KeptCall.objects.create(
                batch_id=claim.batch_id,
                provider=lane.provider,
                lane=lane.name,
                messages=list(call.public_ids),
                key=call.key,
                body=zlib.compress(call.body) if call.body else b"",
                left_at=now(),
            )

    channel.keep = keep
    try:
        yield
    finally:
        channel.keep = None


def settle(
    lane: Lane,
    claim: Claim,
    group: Sequence[Outgoing],
    results: Sequence[Result],
    *,
    now: datetime,
    wait_seconds: float,
) -> None:
    """In the transaction of a group's outcome: only calls in doubt are kept on."""
    if not keeps(lane.channel):
        return
    doubtful = {
        mail.public_id
        for mail, result in zip(group, results, strict=True)
        if isinstance(result, InDoubt)
    }
    for call in _on_their_way(claim.batch_id):
        if call.body and doubtful.issuperset(call.messages):
            call.due_at = now + timedelta(seconds=wait_seconds)
            call.save(update_fields=["due_at"])
        else:
            call.delete()


def take_up(batch: Batch, *, now: datetime) -> None:
    """After whoever held this batch died: its calls are repeated at once, and who was
    in none waits again."""
    if not (batch.intent or {}).get("kept"):
        return
    left = set[int]()
    for call in _on_their_way(batch.pk):
        left.update(call.messages)
        if call.body:
            call.due_at = now
            call.save(update_fields=["due_at"])
        else:
            call.delete()
    batch.messages.filter(state=Message.State.HANDING_OVER).exclude(
        public_id__in=left
    ).update(state=Message.State.WAITING, handed_over_at=None)


def forget_old(*, at: datetime) -> None:
    """No key lives so long, whoever the provider was."""
    KeptCall.objects.filter(left_at__lt=at - LONGEST).delete()


def _on_their_way(batch_id: int) -> list[KeptCall]:
    return list(KeptCall.objects.filter(batch_id=batch_id, due_at=None))


def _still_ours(claim: Claim) -> None:
    ours = Batch.objects.select_for_update().filter(
        pk=claim.batch_id, fence=claim.fence, state=Batch.State.HANDING_OVER
    )
    if ours.values_list("pk").first() is None:
        raise LostLease(
            f"Batch {claim.batch_id} is no longer held with fence {claim.fence}: its "
            "lease ran out, so the call does not leave."
        )


def _replace(batch_id: int, call: LeavingCall) -> None:
    """A call that was refused is halved: none of it is to be repeated whole."""
    for older in _on_their_way(batch_id):
        if set(older.messages) & set(call.public_ids):
            older.delete()
