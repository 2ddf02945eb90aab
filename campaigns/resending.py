"""Once more, because a person says so.

Who was refused for what is not their address's fault waits again; who is in doubt only
one by one, by somebody who knows that it may arrive twice. Consent, suppressions, holds
and the hour are asked again when it is their turn. What is sent again by itself, and
when, stands in doubts.py.
"""

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from campaigns.errors import CannotSettle, WrongState
from campaigns.models import Batch, Message, SecondTry, Send
from campaigns.sending import trail
from campaigns.sending.channels import batch_size_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User

log = logging.getLogger(__name__)

# Refusals that say nothing of the address.
WORTH_ANOTHER_TRY: Final = ("not_sent_bad", "gave_up")
_MAY_HAVE_IT: Final = (
    Message.State.WAITING,
    Message.State.HANDING_OVER,
    Message.State.ACCEPTED,
    Message.State.IN_DOUBT,
)
_OPEN_TO_IT: Final = (Send.State.SENT, Send.State.SENDING, Send.State.PAUSED)


def refused_by_mistake(send: Send) -> QuerySet[Message]:
    """Messages that were refused, and not because of their address."""
    if send.state not in _OPEN_TO_IT:
        return Message.objects.none()
    return Message.objects.filter(
        ~Exists(others_of(send)),
        # In doubt before: it may have arrived, whatever was said the second time.
        ~Exists(SecondTry.objects.filter(message=OuterRef("pk"))),
        send=send,
        state=Message.State.FAILED,
        reason__in=WORTH_ANOTHER_TRY,
    )


def others_of(send: Send) -> QuerySet[Message]:
    """What else a message's customer has, or may have, of this send and its top-ups on
    the same occasion: they were merged since with somebody whom it reached."""
    first = send.tops_up_id or send.pk
    return Message.objects.filter(
        ~Q(pk=OuterRef("pk")),
        Q(send=first) | Q(send__tops_up=first),
        customer=OuterRef("customer"),
        occasion=OuterRef("occasion"),
        state__in=_MAY_HAVE_IT,
    )


def send_failed_again(send: Send, *, by: "User", at: datetime) -> int:
    """Let wait again who was refused by mistake; returns how many.

    Nobody who was mailed, or may have been, is among them. Raises WrongState.
    """
    with transaction.atomic():
        send = _reopened(send.pk)
        again = list(refused_by_mistake(send).values_list("pk", "tone", "batch_id"))
        lock_batches({batch for *_, batch in again})
        tones = [(pk, tone) for pk, tone, _ in again]
        count = let_all_wait(send, tones, state=Message.State.FAILED, at=at)
        trail.note(send.pk, f"{count:,} that were refused wait again.", at=at, by=by)
    log.info("send %s: %s messages wait again, by user %s", send.pk, count, by.pk)
    return count


def send_doubtful_again(message: Message, *, by: "User", at: datetime) -> None:
    """Send one message in doubt again: it may arrive twice, and somebody wants that.

    A report that proves the first attempt takes it out again, until the next begins.
    Raises CannotSettle unless it is in doubt, WrongState.
    """
    with transaction.atomic():
        send = _reopened(message.send_id)
        found = Message.objects.get(pk=message.pk)
        lock_batches({found.batch_id})
        alone = [(found.pk, found.tone)]
        if not let_all_wait(send, alone, state=Message.State.IN_DOUBT, at=at):
            raise CannotSettle(
                f"Message {found.public_id} is {found.get_state_display()}: only one "
                "in doubt can be sent again in spite of that."
            )
        if found.batch_id is not None:
            close_settled(found.batch_id)
        SecondTry.objects.update_or_create(
            message=found, defaults={"at": at, "why_not": "", "over": False}
        )
        said = "Sent again although the first attempt is in doubt."
        trail.note(send.pk, said, at=at, by=by, message=found)
    log.info("message %s is sent again, by user %s", found.public_id, by.pk)


def _reopened(send_id: int) -> Send:
    """The send, locked and under way. Raises WrongState."""
    send = Send.objects.select_for_update(no_key=True).get(pk=send_id)
    if send.state not in _OPEN_TO_IT:
        raise WrongState(
            f"{send} is {send.get_state_display()}: nothing of it is sent again."
        )
    reopen(send)
    return send


def reopen(send: Send) -> None:
    """A send that has ended, and is locked, goes on."""
    if send.state == Send.State.SENT:
        send.state, send.finished_at = Send.State.SENDING, None
        send.save(update_fields=["state", "finished_at"])


def lock_batches(ids: Collection[int | None]) -> None:
    """Batches before messages, as everywhere."""
    wanted = Batch.objects.filter(pk__in=[pk for pk in ids if pk is not None])
    list(wanted.order_by("pk").select_for_update().values_list("pk"))


def let_all_wait(
    send: Send,
    tones: Iterable[tuple[int, str]],
    *,
    state: Message.State,
    at: datetime,
) -> int:
    """Put messages that are still in this state into batches of their own; how many.

    tones: of each message its id and its tone.
    """
    by_tone: dict[str, list[int]] = defaultdict(list)
    for pk, tone in tones:
        by_tone[tone].append(pk)
    return sum(
        _let_wait(send, tone, ids, state=state, at=at)
        for tone, ids in sorted(by_tone.items())
    )


def _let_wait(
    send: Send, tone: str, ids: list[int], *, state: Message.State, at: datetime
) -> int:
    variant = send.variants.get(tone=tone)
    # A standing send may have several for one customer: never in one batch.
    size = 1 if send.standing else batch_size_of(settings.PROVIDER)
    moved = 0
    for start in range(0, len(ids), size):
        batch = Batch.objects.create(
            send=send,
            variant=variant,
            lane=send.lane,
            paused=send.state == Send.State.PAUSED,
            not_before=at,
        )
        moved += Message.objects.filter(
            pk__in=ids[start : start + size], state=state
        ).update(
            state=Message.State.WAITING,
            batch=batch,
            reason="",
            detail="",
            settled_at=None,
            # Of a doubt it stays, to be known by: it may have arrived.
            **({"handed_over_at": None} if state == Message.State.FAILED else {}),
        )
    return moved


def close_settled(batch_id: int) -> None:
    """A batch nothing of which is in doubt any more is done."""
    done = Batch.objects.filter(pk=batch_id, state=Batch.State.IN_DOUBT)
    doubts = Message.objects.filter(batch_id=batch_id, state=Message.State.IN_DOUBT)
    if not doubts.exists():
        done.update(state=Batch.State.DONE)
