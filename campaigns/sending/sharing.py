"""A day's mail of a domain that warms up is shared by the sends that wait for it.

A day may allow less than one batch holds: whoever claimed first would have it all.
"""

from collections.abc import Collection, Mapping
from datetime import datetime

from django.db.models import Exists, OuterRef

from campaigns.models import Batch, RateLimit, Send
from campaigns.sending import counters


def fair_part(
    left: int, taken: Mapping[str, int], mine: int, others: Collection[int]
) -> int:
    """How many of what is left one send may take, so that all who wait come to the
    same: what they have taken is shared anew.

    taken: {send: mails} of today; mine: the send that asks; others: those that wait.
    """
    waiting = {mine, *others}
    pool = left + sum(taken.get(str(one), 0) for one in waiting)
    level = -(-pool // len(waiting))
    return max(0, min(left, level - taken.get(str(mine), 0)))


def who_else_waits(send: Send, domain: str, *, now: datetime) -> list[int]:
    """Other sends from this domain of which something could leave now."""
    due = Batch.objects.filter(
        send=OuterRef("pk"),
        lane=send.lane,
        state=Batch.State.WAITING,
        paused=False,
        not_before__lte=now,
    )
    others = Send.objects.filter(Exists(due), state=Send.State.SENDING)
    return [
        one.pk
        for one in others.exclude(pk=send.pk).only("frozen").order_by("pk")
        if one.sender_domain == domain
    ]


def left(limit: RateLimit, most: int, send: Send, *, now: datetime) -> int:
    """What is left of it for this send: of a warm-up a fair part."""
    all_left = counters.left(limit, most, now=now)
    if limit.warm_up is None or not all_left:
        return all_left
    others = who_else_waits(send, limit.warm_up.domain, now=now)
    if not others:
        return all_left
    taken = counters.taken_by(limit, now=now)
    return fair_part(all_left, taken, send.pk, others)


def note_taken(limit: RateLimit, send_id: int, mails: int, *, now: datetime) -> None:
    """Keep what this send has of a warm-up's day; before that is counted."""
    taken, key = counters.taken_by(limit, now=now), str(send_id)
    taken[key] = max(0, taken.get(key, 0) + mails)
    limit.lines = taken
