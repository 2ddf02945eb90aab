"""What is done by itself about mail in doubt, as its campaign says: leave it, ask again
under its key, or send it again.

Sending again is the one exception of "nobody is mailed twice". It is for service
notices alone, never for promotions: somebody may get such a notice twice rather than
not at all. Half an hour after its attempt, what no report has proven and nobody has
decided about is let wait again as if a person had said so, once: of what is in doubt
then, too, only a person decides. That it was decided, and that it waits, is one commit,
so that no crash makes it twice. Source: sending.md 0.4, 3.3, 3.4.
"""

import logging
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from campaigns.audience import LEFT_OUT_REASONS, ineligible, reason_label
from campaigns.models import (
    Batch,
    Campaign,
    EmailTemplate,
    KeptCall,
    Message,
    SecondTry,
    Send,
)
from campaigns.resending import (
    close_settled,
    let_all_wait,
    lock_batches,
    others_of,
    reopen,
)
from campaigns.sending import breaker, crashpoints, keeping, ledger, trail
from campaigns.sending.frequency import SURELY_NOT_SENT
from campaigns.sending.guarding import trouble_stays_with
from campaigns.timing import expiry
from customers.templatetags.attune import moment_named

log = logging.getLogger(__name__)

# By then its reports are in (sending.md 3.3).
DOUBTED_FOR: Final = timedelta(minutes=30)
# Messages of a send in one transaction.
MOST_A_TURN: Final = 500
_SAID_AGAIN: Final = (
    "Sent again by itself, as its campaign says: the first attempt was still in doubt "
    "after half an hour."
)
CHOICES: Final = Campaign.IfInDoubt
# What a choice means, for who makes it and for who looks at a send.
IN_WORDS: Final = {
    CHOICES.LEAVE: "Nothing is handed over a second time by itself, not even where the "
    "provider would know it again: reports settle it, or you do.",
    CHOICES.ASK: "Where the provider knows a call by its key, the same call is made "
    "again under it, and nobody is mailed twice. Else it is left in doubt: reports "
    "settle it, or you do.",
    CHOICES.AGAIN: "What is in doubt half an hour after it was handed over is sent "
    "again by itself, once: somebody may get this notice twice.",
}


def in_words(chosen: str) -> tuple[str, str]:
    """A choice, and what it means."""
    choice = CHOICES(chosen)
    return str(choice.label), IN_WORDS[choice]


def sends_again(send: Send) -> bool:
    """Is what is in doubt of this send sent again by itself? Never a promotion.

    What was frozen decides, and what its template is for today may only forbid it:
    whoever calls it a promotion now does not want anybody to have it twice.
    """
    notice = EmailTemplate.Purpose.SERVICE
    return (
        send.if_in_doubt == CHOICES.AGAIN
        and send.frozen["plan"]["purpose"] == notice
        and send.campaign.template.purpose == notice
    )


def what_comes(message: Message) -> str:
    """What is done by itself about this message in doubt, in words; "": nothing."""
    second: SecondTry | None = getattr(message, "second_try", None)
    if second is not None and second.why_not:
        known = LEFT_OUT_REASONS.get(second.why_not)
        return f"Not sent again: {known.label if known else second.why_not}."
    if second is not None:
        return "It was sent again once, and is in doubt all the same: you decide."
    if message.handed_over_at is None or not sends_again(message.send):
        return ""
    again_at = message.handed_over_at + DOUBTED_FOR
    return f"Sent again from {moment_named(again_at)} on."


def mind_doubts(*, at: datetime) -> int:
    """A chore: let wait again what is to be sent again; how many messages.

    Whoever calls it twice, or several at once, does it once.
    """
    _end_second_tries()
    doubts = Message.objects.filter(state=Message.State.IN_DOUBT).order_by()
    # By the index of those in doubt: first which sends, of which there are few.
    ids = list(doubts.values_list("send", flat=True).distinct())
    chosen = Send.objects.filter(
        pk__in=ids, state__in=ledger.GOES_ON, frozen__if_in_doubt=CHOICES.AGAIN.value
    )
    again = 0
    for send_id in chosen.order_by("pk").values_list("pk", flat=True):
        with trouble_stays_with(send_id, at=at):
            count = _send_again(send_id, at=at)
            if count:
                crashpoints.reached(crashpoints.AFTER_AGAIN)
                log.info("send %s: %s in doubt are sent again", send_id, count)
            again += count
    return again


def _send_again(send_id: int, *, at: datetime) -> int:
    with transaction.atomic():
        # Of two who are at it, the later finds nothing left.
        send = Send.objects.select_for_update(no_key=True).get(pk=send_id)
        most = _most_now(send, at=at)
        ids = list(_due(send, at=at).values_list("pk", flat=True)[:most])
        if not ids:
            return 0
        lock_batches(_batches_of(ids))
        # As they are now: somebody may have decided meanwhile.
        found = list(_due(send, at=at).filter(pk__in=ids).select_for_update())
        kept_from = _kept_from(found, purpose=send.frozen["plan"]["purpose"], at=at)
        going = [one for one in found if one.pk not in kept_from]
        SecondTry.objects.bulk_create(
            SecondTry(
                message=one,
                at=at,
                why_not=kept_from.get(one.pk, ""),
                over=one.pk in kept_from,
            )
            for one in found
        )
        _let_all_wait(send, going, at=at)
        trail.note_each(
            send.pk,
            {one.pk: _said(kept_from.get(one.pk)) for one in found},
            at=at,
        )
        crashpoints.reached(crashpoints.INSIDE_AGAIN)
    return len(going)


def _kept_from(
    found: Iterable[Message], *, purpose: str, at: datetime
) -> dict[int, str]:
    """Which of these messages must not leave, and why."""
    out: dict[int, str] = {}
    rest = list(found)
    while rest:
        # A standing send may have several for one customer, each at an address of its
        # own: one of each customer at a time.
        asked = {one.customer_id: one for one in rest}
        people = [(pk, one.address_wire) for pk, one in asked.items()]
        for pk, (reason, _) in ineligible(people, purpose=purpose, at=at).items():
            out[asked[pk].pk] = reason
        rest = [one for one in rest if asked[one.customer_id] is not one]
    return out


def _said(why_not: str | None) -> str:
    if why_not is None:
        return _SAID_AGAIN
    return f"In doubt, and not sent again: {LEFT_OUT_REASONS[why_not].label}."


def _let_all_wait(send: Send, going: list[Message], *, at: datetime) -> None:
    if not going:
        return
    reopen(send)
    tones = [(one.pk, one.tone) for one in going]
    let_all_wait(send, tones, state=Message.State.IN_DOUBT, at=at)
    for batch_id in sorted({one.batch_id for one in going if one.batch_id}):
        close_settled(batch_id)


def _most_now(send: Send, *, at: datetime) -> int:
    """How many messages of this send may be let wait again now."""
    if send.state not in ledger.GOES_ON or not sends_again(send):
        return 0
    ends = expiry(send.frozen)
    if ends is not None and ends <= at:
        return 0
    way = breaker.Way(settings.PROVIDER, send.lane)
    gate = breaker.gate(breaker.row_of(way).row, now=at)
    if gate is breaker.Gate.CLOSED:
        return MOST_A_TURN
    if gate is breaker.Gate.SHUT or _somebody_asks(send.lane, at=at):
        return 0
    # A doubt opens the breaker, and where nothing else is to be sent nobody would ever
    # ask the provider: one of them does.
    return 1


def _somebody_asks(lane: str, *, at: datetime) -> bool:
    """Is there other mail on this lane that asks whether the provider answers again?"""
    theirs = Batch.objects.filter(lane=lane, paused=False)
    held = (Batch.State.CLAIMED, Batch.State.HANDING_OVER)
    waits = Q(state=Batch.State.WAITING, not_before__lte=at) | Q(state__in=held)
    return bool(theirs.filter(waits).exists() or keeping.due(lane, at=at))


def _due(send: Send, *, at: datetime) -> QuerySet[Message]:
    """Its messages that were in doubt for so long, undecided, and never sent again.

    Not while a call of their batch may be made again under its key: that is better.
    """
    return Message.objects.filter(
        ~Exists(SecondTry.objects.filter(message=OuterRef("pk"))),
        ~Exists(KeptCall.objects.filter(batch=OuterRef("batch"))),
        ~Exists(others_of(send)),
        send=send,
        state=Message.State.IN_DOUBT,
        settled_at=None,
        handed_over_at__lte=at - DOUBTED_FOR,
    ).order_by("pk")


def _batches_of(message_ids: Collection[int]) -> list[int]:
    theirs = Message.objects.filter(pk__in=message_ids).values("batch")
    return list(Batch.objects.filter(pk__in=theirs).values_list("pk", flat=True))


def _end_second_tries() -> None:
    """Whose second try surely did not leave is in doubt as before: the first may have
    arrived. And what is known, or in doubt again, is over."""
    tried = SecondTry.objects.filter(over=False)
    if not tried.exists():
        return
    not_sent = tried.filter(message__state__in=SURELY_NOT_SENT)
    _back_in_doubt(list(not_sent.values_list("message_id", flat=True)))
    with transaction.atomic():
        # Locked alone: a person who sends one again comes to it last.
        open_ones = dict(tried.select_for_update().values_list("message_id", "pk"))
        known = Message.objects.filter(
            pk__in=open_ones, state__in=(Message.State.ACCEPTED, Message.State.IN_DOUBT)
        )
        over = [open_ones[pk] for pk in known.values_list("pk", flat=True)]
        SecondTry.objects.filter(pk__in=over).update(over=True)


def _back_in_doubt(message_ids: list[int]) -> None:
    if not message_ids:
        return
    with transaction.atomic():
        batches = _batches_of(message_ids)
        lock_batches(batches)
        back = Message.objects.filter(pk__in=message_ids, state__in=SURELY_NOT_SENT)
        for message in back.order_by("pk").select_for_update():
            message.detail = f"the second try: {reason_label(message)}"[:200]
            message.state, message.reason = Message.State.IN_DOUBT, "in_doubt"
            message.settled_at = None
            message.save(update_fields=["state", "reason", "detail", "settled_at"])
        Batch.objects.filter(pk__in=batches, state=Batch.State.DONE).update(
            state=Batch.State.IN_DOUBT
        )
