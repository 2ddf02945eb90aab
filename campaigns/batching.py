"""Which batch each message of a send leaves in: as few as will hold them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from django.db.models import Count, Max

from campaigns.models import Batch, Message, Send


class Share(NamedTuple):
    """What the messages of one batch have in common: words, an hour of leaving, and a
    rank where the engaged come first."""

    variant_id: int
    not_before: datetime
    rank: int = 0


class Batching:
    """Batches of a send while its audience is written, one range after the other.

    The last batch of a share is filled up before another one begins, whatever range its
    messages come from: a provider that takes many in one call is called seldom.
    """

    def __init__(self, size: int) -> None:
        """size: messages of one batch at most."""
        self._size = size
        # The ranges that this knows of, by the send's own place; None: of nothing.
        self._up_to: int | None = None
        self._last: dict[Share, tuple[Batch, int]] = {}

    def place(
        self, send: Send, members: Mapping[Share, Sequence[int]]
    ) -> dict[int, int]:
        """Customer → batch, batch by batch; the new ones are written. Rolled back with
        the caller's transaction: follow() then starts anew."""
        new: list[Batch] = []
        parts: list[tuple[Batch, Sequence[int]]] = []
        for share, ids in members.items():
            batch, room = self._last.get(share, (None, 0))
            begin = 0
            while begin < len(ids):
                if batch is None or not room:
                    batch, room = _new(send, share), self._size
                    new.append(batch)
                part = ids[begin : begin + room]
                parts.append((batch, part))
                begin, room = begin + len(part), room - len(part)
            if batch is not None:
                self._last[share] = batch, room
        Batch.objects.bulk_create(new)
        return {pk: batch.pk for batch, part in parts for pk in part}

    def follow(self, send: Send) -> None:
        """Know what is written so far: by this process, or another before it died."""
        if self._up_to != send.prepared_up_to:
            self._last = _begun(send, self._size) if send.prepared_up_to else {}
        # Known again only once this range is committed.
        self._up_to = None

    def committed(self, send: Send) -> None:
        self._up_to = send.prepared_up_to


def _new(send: Send, share: Share) -> Batch:
    return Batch(
        send=send,
        variant_id=share.variant_id,
        lane=send.lane,
        # Nothing leaves before the audience is complete.
        paused=True,
        not_before=share.not_before,
        rank=share.rank,
    )


def _begun(send: Send, size: int) -> dict[Share, tuple[Batch, int]]:
    """The last batch of each share and for how many it has room."""
    newest = (
        Batch.objects.filter(send=send, lane=send.lane, state=Batch.State.WAITING)
        .values("variant", "not_before", "rank")
        .annotate(newest=Max("pk"))
        .order_by()
        .values_list("newest", flat=True)
    )
    batches = Batch.objects.in_bulk(list(newest))
    full = dict(
        Message.objects.filter(batch__in=batches)
        .order_by()
        .values_list("batch")
        .annotate(n=Count("pk"))
    )
    return {
        Share(one.variant_id, one.not_before, one.rank): (
            one,
            max(0, size - full.get(pk, 0)),
        )
        for pk, one in batches.items()
    }
