"""What a large send came to is counted beside its pages, and kept.

A page counts a small send while it loads. A million messages take seconds: a worker
counts them when something has come back since, or somebody asks; pages say of when.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from time import monotonic
from typing import Final

from django.db.models import Max, Q

from campaigns.models import Message, Send
from engagement.models import SendFigures, TrackingEvent
from engagement.reporting import Report, gather, report, report_of

# Messages that a page counts while it loads: some tens of milliseconds.
COUNTED_AT_ONCE: Final = 5000
# Counted again no sooner than this, and at most a twentieth of the time.
RECOUNT_AFTER: Final = timedelta(minutes=1)
SHARE_OF_TIME: Final = 20
# A send that began longer ago is counted again when somebody asks.
FOLLOWED_FOR: Final = timedelta(days=60)
_STILL_MOVES: Final = (Send.State.PREPARING, Send.State.SENDING)


def report_for_page(send: Send) -> Report | None:
    """A small send as it is; a large one as it was counted last, None: never yet."""
    if send.audience_size <= COUNTED_AT_ONCE:
        return report(send)
    kept = SendFigures.objects.filter(send=send).first()
    if kept is None:
        return None
    return report_of(send, kept.figures, counted_at=kept.counted_at)


def reports_for_page(sends: Iterable[Send]) -> list[tuple[Send, Report | None]]:
    """Each send with its report."""
    return [(send, report_for_page(send)) for send in sends]


def count_send(send: Send, *, at: datetime) -> SendFigures:
    """Count it now and keep the figures. Of two at once the later one stays."""
    newest = TrackingEvent.objects.aggregate(newest=Max("pk"))["newest"] or 0
    began = monotonic()
    figures = gather(send)
    kept, _ = SendFigures.objects.update_or_create(
        send=send,
        defaults={
            "figures": figures,
            "counted_at": at,
            "took_seconds": monotonic() - began,
            "last_event": newest,
        },
    )
    return kept


def count_what_moved(*, at: datetime, until: float = float("inf")) -> int:
    """Count the large sends of which something is new since; returns how many.

    until: begin no further one after this time.monotonic().
    """
    followed = Send.objects.filter(
        # What stands open goes on, whenever it was opened.
        Q(scheduled_at__gte=at - FOLLOWED_FOR) | Q(standing=Send.Standing.OPEN),
        audience_size__gt=COUNTED_AT_ONCE,
    ).select_related("figures")
    counted = 0
    for send in followed.order_by("pk"):
        if monotonic() >= until:
            break
        kept: SendFigures | None = getattr(send, "figures", None)
        if kept is None or (_may_again(kept, at=at) and _has_moved(send, kept)):
            count_send(send, at=at)
            counted += 1
    return counted


def _may_again(kept: SendFigures, *, at: datetime) -> bool:
    wait = timedelta(seconds=SHARE_OF_TIME * kept.took_seconds)
    return at - kept.counted_at >= max(RECOUNT_AFTER, wait)


def _has_moved(send: Send, kept: SendFigures) -> bool:
    if send.state in _STILL_MOVES or (
        send.finished_at is not None and send.finished_at >= kept.counted_at
    ):
        return True
    # Settled by a person or by the provider.
    doubt = send.messages.filter(state=Message.State.IN_DOUBT).count()
    if doubt != sum(row["in_doubt"] for row in kept.figures["rows"]):
        return True
    newer = TrackingEvent.objects.filter(pk__gt=kept.last_event, message__send=send)
    return newer.exists()
