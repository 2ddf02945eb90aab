"""Taking a batch so that nobody else takes it: one function, two databases.

A claim filters on its own row's columns only: a join becomes a subquery that two
workers can both pass. select_for_update(skip_locked=True) is silently nothing on
SQLite, hence the second way.
"""

import secrets
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, QuerySet

from campaigns.models import Batch, Send


class Claim(NamedTuple):
    """A batch is ours while its row still carries this fence."""

    batch_id: int
    fence: int
    send_id: int


def claim(
    lane: str,
    *,
    now: datetime,
    lease: timedelta,
    owner: str = "",
    send_id: int | None = None,
    engaged_first: bool = False,
) -> Claim | None:
    """Take the batch that has waited longest; None when nothing is due.

    send_id: only of this send. engaged_first: by rank before all else. The lease ends
    at now + lease: until then nobody else touches the batch.
    """
    # Unique per claim: on SQLite it is how the taken row is found again.
    token = f"{owner[:40]}/{secrets.token_hex(8)}"
    until = now + lease
    due = _due(lane, now, send_id)
    if engaged_first:
        # No index has this order, which only a send that warms up pays for: what is
        # due of it is sorted, and little of it leaves in a day.
        due = due.order_by("rank", "not_before", "pk")
    if connection.vendor == "postgresql":
        return _claim_row_lock(due, until, token)
    return _claim_conditional_update(due, until, token)


class Turn(NamedTuple):
    """A send of which something is due, and whether the engaged come first."""

    send_id: int
    engaged_first: bool


def in_turn(lane: str, *, now: datetime, after: int) -> list[Turn]:
    """The sends of which something is due, in turn: the first is whose turn it is.

    after: the send that this worker has served last.
    """
    theirs = Batch.objects.filter(
        send=OuterRef("pk"),
        lane=lane,
        state=Batch.State.WAITING,
        paused=False,
        not_before__lte=now,
    )
    due = Send.objects.filter(Exists(theirs), state=Send.State.SENDING).order_by("pk")
    turns = [Turn(*row) for row in due.values_list("pk", "engaged_first")]
    return [one for one in turns if one.send_id > after] + [
        one for one in turns if one.send_id <= after
    ]


def _due(lane: str, now: datetime, send_id: int | None) -> QuerySet[Batch]:
    due = Batch.objects.filter(
        lane=lane, state=Batch.State.WAITING, paused=False, not_before__lte=now
    )
    if send_id is not None:
        due = due.filter(send_id=send_id)
    return due.order_by("not_before", "pk")


def _claim_row_lock(due: QuerySet[Batch], until: datetime, token: str) -> Claim | None:
    with transaction.atomic():
        batch = due.select_for_update(skip_locked=True).first()
        if batch is None:
            return None
        batch.state, batch.owner, batch.lease_until = Batch.State.CLAIMED, token, until
        batch.fence += 1
        batch.save(update_fields=["state", "owner", "lease_until", "fence"])
    return Claim(batch.pk, batch.fence, batch.send_id)


def _claim_conditional_update(
    due: QuerySet[Batch], until: datetime, token: str
) -> Claim | None:
    # One statement, and the transaction began IMMEDIATE: no other writer in between.
    with transaction.atomic():
        taken = Batch.objects.filter(
            pk__in=due.values("pk")[:1], state=Batch.State.WAITING
        ).update(
            state=Batch.State.CLAIMED,
            owner=token,
            lease_until=until,
            fence=F("fence") + 1,
        )
        if not taken:
            return None
        return Claim(
            *Batch.objects.values_list("pk", "fence", "send_id").get(owner=token)
        )
