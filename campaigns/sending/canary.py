"""A large send begins with a few: the rest waits until it is known how they fared.

Source: sending.md 3.4, "canary slice": 50 mails, ten minutes, above 10,000 people.
"""

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Max

from campaigns.models import Batch, Canary, Message, Send
from campaigns.sending.ledger import OPEN_BATCHES, OPEN_MESSAGES
from customers.templatetags.attune import moment_named

FROM: Final = 10_000
HELD_FOR: Final = timedelta(minutes=10)


def begin(send: Send) -> None:
    """The audience is complete: let all of a small send go, of a large one a few."""
    waiting = Batch.objects.filter(send=send, state=Batch.State.WAITING)
    first = waiting.order_by("not_before", "rank", "pk").first()
    if first is None or not settings.CANARY or send.audience_size <= FROM:
        waiting.update(paused=False)
        return
    ids = list(first.messages.order_by("pk").values_list("pk", flat=True))
    few, others = ids[: settings.CANARY], ids[settings.CANARY :]
    if others:
        rest = Batch.objects.create(
            send=send,
            variant_id=first.variant_id,
            lane=first.lane,
            paused=True,
            not_before=first.not_before,
            rank=first.rank,
        )
        Message.objects.filter(pk__in=others).update(batch=rest)
    Canary.objects.create(send=send, batch=first, messages=few)
    Batch.objects.filter(pk=first.pk).update(paused=False)


def unpause(send: Send) -> None:
    """A person resumes it: all of it, or its canary where that is still out."""
    going = Batch.objects.filter(send=send, state__in=OPEN_BATCHES)
    canary = out(send)
    if canary is not None:
        # Some may have been put off until the morning, in batches of their own.
        theirs = Message.objects.filter(pk__in=canary.messages)
        going = going.filter(pk__in=theirs.values("batch"))
    going.update(paused=False)


def out(send: Send) -> Canary | None:
    """The canary of this send, while the rest waits for it."""
    return Canary.objects.filter(send=send, judged_at=None).first()


def waits_until(canary: Canary) -> datetime | None:
    """When what came back is to be looked at; None while some have not left."""
    theirs = Message.objects.filter(pk__in=canary.messages)
    if theirs.filter(state__in=OPEN_MESSAGES).exists():
        return None
    last = theirs.aggregate(last=Max("settled_at"), left=Max("handed_over_at"))
    times = [one for one in last.values() if one is not None]
    return max(times) + HELD_FOR if times else None


def due(*, at: datetime) -> list[Canary]:
    """Those of which it is time to look at what came back."""
    still = Canary.objects.filter(judged_at=None, send__state=Send.State.SENDING)
    return [
        one
        for one in still.select_related("send").order_by("pk")
        if (until := waits_until(one)) is not None and until <= at
    ]


def release(canary: Canary, *, at: datetime) -> None:
    """They fared well: the rest goes, from now on."""
    with transaction.atomic():
        send = Send.objects.select_for_update(no_key=True).get(pk=canary.send_id)
        judged(canary, at=at)
        if send.state != Send.State.SENDING:
            return  # a person stopped it in this moment; resuming lets all of it go
        rest = Batch.objects.filter(send=send, state=Batch.State.WAITING, paused=True)
        rest.filter(not_before__lt=at).update(not_before=at)
        rest.update(paused=False)


def judged(canary: Canary, *, at: datetime) -> None:
    Canary.objects.filter(pk=canary.pk).update(judged_at=at)


def in_words(send: Send) -> str:
    """What the rest waits for; nothing where none is held."""
    canary = out(send)
    if canary is None:
        return ""
    until = waits_until(canary)
    few = f"The first {len(canary.messages)} go ahead"
    if until is None:
        return f"{few}; the rest waits until it is known how they fare."
    return f"{few}: what comes back is looked at from {moment_named(until)} on."
