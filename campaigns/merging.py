"""Mails of two customers who are one person: never a second one in the same send on the
same occasion."""

from django.db.models import F, Q

from campaigns.models import Message, Send
from campaigns.sending.frequency import move_places
from customers.errors import MergeRefused
from customers.merges import Merging
from customers.models import Customer

LEFT_OUT = Message.State.LEFT_OUT


def lock(kept: Customer, other: Customer) -> None:
    """Whoever draws up an audience, or adds to a standing send, locks that first.

    Raises MergeRefused while one is being drawn up, or where both got, or are to get, a
    mail of the same send on the same occasion: a message is one fact, and can't become
    part of another.
    """
    coming = Send.objects.filter(
        Q(state__in=[Send.State.SCHEDULED, Send.State.PREPARING])
        | Q(
            standing=Send.Standing.OPEN,
            state__in=[Send.State.SENDING, Send.State.PAUSED],
        )
    )
    # With its key left free: who writes a batch of it holds that one's lock already.
    locked = coming.select_for_update(of=("self",), no_key=True)
    for send in locked.order_by("pk"):
        if send.state == Send.State.PREPARING:
            raise MergeRefused(
                f"The audience of “{send}” is being drawn up at this moment: merge the "
                "two when that is done."
            )
    for ours, theirs in _of_the_same_send(kept, other):
        if LEFT_OUT not in (ours.state, theirs.state):
            raise MergeRefused(
                f"Both are written to in “{ours.send}”. Two mails can't become one: "
                "these customers stay two."
            )
    for one, another in ((kept, other), (other, kept)):
        _refuse_a_second_mail(one, another)


def _refuse_a_second_mail(waits: Customer, mailed: Customer) -> None:
    """A send and its top-ups are one mail: while it is on its way to one of two, and
    the other has it or is to get it, they can't become one who gets it twice."""
    for message in waits.messages.filter(
        state__in=(Message.State.WAITING, Message.State.HANDING_OVER)
    ).select_related("send__campaign"):
        first = message.send.tops_up_id or message.send_id
        family = Send.objects.filter(Q(pk=first) | Q(tops_up=first)).values("pk")
        theirs = mailed.messages.filter(
            send__in=family, occasion=message.occasion
        ).exclude(state=LEFT_OUT)
        if theirs.exists():
            raise MergeRefused(
                f"Both are written to in “{message.send}” or what tops it up, and one "
                "mail is still on its way: merge them when that send has ended."
            )


def move(merging: Merging) -> None:
    """Messages go to the kept one; of a send that left one of the two out, the mail."""
    for ours, theirs in _of_the_same_send(merging.kept, merging.other):
        dropped = theirs if theirs.state == LEFT_OUT else ours
        dropped.delete()
        Send.objects.filter(pk=dropped.send_id).update(
            audience_size=F("audience_size") - 1
        )
    Message.objects.filter(customer=merging.other).update(customer=merging.kept)
    move_places(merging.kept.pk, merging.other.pk)


def _of_the_same_send(kept: Customer, other: Customer) -> list[tuple[Message, Message]]:
    """Locked: what is about to leave is decided before or after."""
    ours = {_about(message): message for message in _locked(kept)}
    return [
        (ours[_about(message)], message)
        for message in _locked(other)
        if _about(message) in ours
    ]


def _about(message: Message) -> tuple[int, str]:
    return message.send_id, message.occasion


def _locked(customer: Customer) -> list[Message]:
    return list(
        Message.objects.filter(customer=customer)
        .select_related("send__campaign")
        .order_by("pk")
        .select_for_update(of=("self",))
    )
