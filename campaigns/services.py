"""The decisions about campaigns and sends: what doors and other rooms call."""

import logging
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from django.db import transaction
from django.db.models import QuerySet

from campaigns.audience import resolve_audience
from campaigns.content.links import InertLinks
from campaigns.content.render import RecipientContext
from campaigns.errors import CannotSettle, WrongState
from campaigns.materialising import launch_send, materialise
from campaigns.models import (
    Batch,
    EmailTemplate,
    Message,
    Send,
    Sender,
)
from campaigns.planning import (
    Preflight,
    Step,
    newest_send,
    preflight,
    schedule_send,
    sender_is_running,
)
from campaigns.progress import Progress, send_progress
from campaigns.rendering import (
    compile_template,
    facts_about,
    link_count,
    link_destination,
    preview_message,
    rendered_message,
    starter_template,
    web_view_of,
)
from campaigns.resending import (
    WORTH_ANOTHER_TRY,
    refused_by_mistake,
    send_doubtful_again,
    send_failed_again,
)
from campaigns.sending import canary, trail
from campaigns.sending.ledger import CAN_PAUSE, OPEN_BATCHES, pause_for
from campaigns.sending.settling import confirm_accepted
from campaigns.sending.trial import send_test_mail
from campaigns.topping_up import count_newcomers, first_of, top_up
from campaigns.topping_up import why_not as why_no_top_up
from customers.models import Customer

if TYPE_CHECKING:
    from django.contrib.auth.models import User

__all__ = [
    "WORTH_ANOTHER_TRY",
    "Preflight",
    "Progress",
    "Step",
    "cancel_send",
    "compile_template",
    "confirm_accepted",
    "count_newcomers",
    "first_of",
    "launch_send",
    "link_count",
    "link_destination",
    "materialise",
    "newest_send",
    "pause_send",
    "preflight",
    "preview_message",
    "refused_by_mistake",
    "rendered_message",
    "resolve_audience",
    "resume_send",
    "schedule_send",
    "send_doubtful_again",
    "send_failed_again",
    "send_progress",
    "send_test",
    "sender_is_running",
    "settle_in_doubt",
    "something_is_handed_over",
    "starter_template",
    "stop_send",
    "top_up",
    "web_view_of",
    "why_no_top_up",
]

log = logging.getLogger(__name__)

_DECIDED = {"accepted": "Marked as sent.", "left": "Left in doubt."}
CAN_CANCEL = (*CAN_PAUSE, Send.State.PAUSED, Send.State.MISSED)


def pause_send(send: Send, *, at: datetime, by: "User | None" = None) -> Send:
    """No new batch begins; what is being handed over stops at the next group.

    Raises WrongState if there is nothing to pause.
    """
    with transaction.atomic():
        send = _locked(send, CAN_PAUSE, "paused")
        send.state = Send.State.PAUSED
        send.state_reason = f"Paused by {by.get_username()}." if by else "Paused."
        send.save(update_fields=["state", "state_reason"])
        _open_batches(send).update(paused=True)
        trail.note(send.pk, "Paused.", at=at, by=by)
    log.info("send %s paused", send.pk)
    return send


def stop_send(send_id: int, because: str, *, at: datetime) -> None:
    """Pause a send that needs a person, with the reason as a sentence."""
    pause_for(send_id, because, at=at)
    log.warning("send %s stopped: %s", send_id, because)


def resume_send(send: Send, *, at: datetime, by: "User | None" = None) -> Send:
    """Go on where it stopped: the audience is never read again.

    A send that was missed is taken up too, since a person has decided so. Raises
    WrongState.
    """
    with transaction.atomic():
        send = _locked(send, (Send.State.PAUSED, Send.State.MISSED), "resumed")
        if send.state == Send.State.MISSED:
            send.scheduled_at = at
        if send.started_at is None:
            send.state = Send.State.SCHEDULED
        elif send.prepared_at is None:
            send.state = Send.State.PREPARING
        else:
            send.state = Send.State.SENDING
        send.state_reason, send.resumed_at = "", at
        send.save(update_fields=["state", "state_reason", "scheduled_at", "resumed_at"])
        if send.state == Send.State.SENDING:
            canary.unpause(send)
            # From now on, however long it was due: else it would be stale at once.
            _open_batches(send).filter(
                state=Batch.State.WAITING, not_before__lt=at
            ).update(not_before=at)
            # A person has looked at what was wrong: the waits start anew, at once.
            _open_batches(send).filter(
                state=Batch.State.WAITING, outcome__gt=""
            ).update(attempts=0, not_before=at)
        trail.note(send.pk, "Resumed.", at=at, by=by)
    log.info("send %s resumed", send.pk)
    return send


def cancel_send(send: Send, *, at: datetime, by: "User | None" = None) -> Send:
    """Whoever still waits gets nothing; what is on its way can't be called back.

    Raises WrongState.
    """
    with transaction.atomic():
        send = _locked(send, CAN_CANCEL, "cancelled")
        send.state, send.finished_at = Send.State.CANCELLED, at
        send.state_reason = f"Cancelled by {by.get_username()}." if by else "Cancelled."
        send.save(update_fields=["state", "state_reason", "finished_at"])
        # Batches before messages, as everywhere: nobody waits in a circle.
        held = list(_open_batches(send).order_by("pk").select_for_update())
        waiting = [one.pk for one in held if one.state == Batch.State.WAITING]
        Batch.objects.filter(send=send, state__in=OPEN_BATCHES).update(paused=True)
        Batch.objects.filter(pk__in=waiting).update(state=Batch.State.CANCELLED)
        Message.objects.filter(
            send=send, state=Message.State.WAITING, batch__state=Batch.State.CANCELLED
        ).update(state=Message.State.CANCELLED, reason="cancelled", settled_at=at)
        trail.note(send.pk, "Cancelled.", at=at, by=by)
    log.info("send %s cancelled", send.pk)
    return send


def _locked(send: Send, states: tuple[Send.State, ...], done: str) -> Send:
    # With its key left free: who writes a batch of it holds that one's lock already.
    found = Send.objects.select_for_update(no_key=True).get(pk=send.pk)
    if found.state not in states:
        raise WrongState(
            f"{found} is {found.get_state_display()}: it can't be {done} now."
        )
    return found


def _open_batches(send: Send) -> QuerySet[Batch]:
    return Batch.objects.filter(send=send, state__in=OPEN_BATCHES)


def something_is_handed_over() -> bool:
    """Is a mail on its way at this moment, so that its provider's name for it is not
    known yet?"""
    return Batch.objects.filter(state=Batch.State.HANDING_OVER).exists()


def settle_in_doubt(
    message: Message,
    *,
    as_: Literal["accepted", "left"],
    by: "User",
    at: datetime,
) -> Message:
    """A person decides about a message in doubt: it was taken, or stays as it is.

    It is never sent again by itself. Raises CannotSettle unless it is in doubt.
    """
    with transaction.atomic():
        found = Message.objects.get(pk=message.pk)
        if found.state != Message.State.IN_DOUBT:
            raise CannotSettle(
                f"Message {found.public_id} is {found.get_state_display()}: only one "
                "in doubt can be settled."
            )
        if as_ == "accepted":
            who = f"marked as sent by {by.get_username()}"
            confirm_accepted(found.public_id, at=at, detail=who)
        else:
            Message.objects.filter(pk=found.pk, state=Message.State.IN_DOUBT).update(
                settled_at=at, detail=f"left in doubt by {by.get_username()}"
            )
        trail.note(found.send_id, _DECIDED[as_], at=at, by=by, message=found)
    log.info("message %s settled as %s", found.public_id, as_)
    found.refresh_from_db()
    return found


def send_test(
    template: EmailTemplate,
    tone: str,
    *,
    customer: Customer,
    to: str,
    sender: Sender,
    at: datetime,
) -> str:
    """Send one mail as this customer would get it to an address of one's own.

    Its links lead nowhere and nothing of it is counted. Returns what the provider
    calls it. Raises CampaignsError with the reason if it was not taken.
    """
    variant = compile_template(template, tone, sender=sender)
    facts = facts_about([customer.pk])[customer.pk]
    context = RecipientContext(data=facts.data, links=InertLinks())
    return send_test_mail(variant, context, to=to)
