"""How far the sends under way are: counted at once, or for large ones beside the page.

A page counts some thousand messages while it loads. The time grows with them:
whoever drives the sends counts them every few seconds, and the page says of when.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Final

from django.db.models import Count, QuerySet

from campaigns.models import Message, Send, SendCount

# They wait for a sender; a paused one waits for a person.
NEED_A_SENDER: Final = (
    Send.State.SCHEDULED,
    Send.State.PREPARING,
    Send.State.SENDING,
)
UNDER_WAY: Final = (*NEED_A_SENDER, Send.State.PAUSED)
# Messages that a page counts while it loads: some milliseconds.
COUNTED_AT_ONCE: Final = 5000
# Counted again no sooner than this, and at most a fiftieth of the time.
RECOUNT_AFTER: Final = timedelta(seconds=10)
SHARE_OF_TIME: Final = 50
# Where nothing leaves, only what the provider reports or a person decides changes.
RESTING_RECOUNT_AFTER: Final = timedelta(minutes=1)
_STILL_MOVES: Final = (Send.State.PREPARING, Send.State.SENDING)


@dataclass(frozen=True, slots=True)
class HowFar:
    """states: state → messages, every state. counted_at: nothing where it is of now."""

    states: dict[str, int]
    counted_at: datetime | None = None

    @property
    def all(self) -> int:
        return sum(self.states.values())


def how_far(sends: Iterable[Send]) -> list[tuple[Send, HowFar | None]]:
    """Small sends as they are, large ones as they were counted last; None: never."""
    found = list(sends)
    small = [send for send in found if send.audience_size <= COUNTED_AT_ONCE]
    counted = {send.pk: HowFar(_none()) for send in small}
    for pk, state, n in messages_by_state(small):
        counted[pk].states[state] = n
    large = [send.pk for send in found if send.pk not in counted]
    for kept in SendCount.objects.filter(send__in=large):
        counted[kept.send_id] = HowFar({**_none(), **kept.states}, kept.counted_at)
    return [(send, counted.get(send.pk)) for send in found]


def count_under_way(*, at: datetime) -> int:
    """Count the large sends under way anew where it is time; returns how many."""
    counted = 0
    for send in Send.objects.filter(
        state__in=UNDER_WAY, audience_size__gt=COUNTED_AT_ONCE
    ).select_related("count"):
        kept: SendCount | None = getattr(send, "count", None)
        if kept is None or _may_again(send, kept, at=at):
            _count(send, at=at)
            counted += 1
    return counted


def messages_by_state(sends: list[Send]) -> QuerySet[Any]:
    """Send, state, how many: by an index that has both, no message is looked at."""
    found = Message.objects.filter(send__in=sends)
    return found.values_list("send", "state").annotate(n=Count("*")).order_by()


def _count(send: Send, *, at: datetime) -> None:
    began = monotonic()
    states = {state: n for _, state, n in messages_by_state([send])}
    SendCount.objects.update_or_create(
        send=send,
        defaults={
            "states": states,
            "counted_at": at,
            "took_seconds": monotonic() - began,
        },
    )


def _may_again(send: Send, kept: SendCount, *, at: datetime) -> bool:
    least = RECOUNT_AFTER if send.state in _STILL_MOVES else RESTING_RECOUNT_AFTER
    wait = timedelta(seconds=SHARE_OF_TIME * kept.took_seconds)
    return at - kept.counted_at >= max(least, wait)


def _none() -> dict[str, int]:
    return dict.fromkeys(Message.State.values, 0)
