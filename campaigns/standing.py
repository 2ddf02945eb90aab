"""A standing send: open for as long as somebody adds to it, one message at a time.

It has no audience. An order, a ticket or a step of a journey is the occasion of a
message; the same one twice for one customer is one mail, whoever asks how often, in how
many processes. What is frozen, the lanes, the batches and the protocol are those of
every send, and so is who must not be mailed: decided when a message is added, and asked
again before it leaves. Its segments and tones come from the run in use, as with those
who top up a send.
"""

import logging
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from django.db import IntegrityError, transaction
from django.db.models import F

from campaigns.audience import (
    Audience,
    LeftOut,
    Place,
    Recipient,
    decide,
    people,
    plan_of_campaign,
    plan_of_send,
)
from campaigns.errors import CannotAdd, WrongState
from campaigns.models import Batch, Campaign, EmailTemplate, Message, Send
from campaigns.planning import freeze_send
from campaigns.sending import crashpoints, instance, trail
from campaigns.sending.breaker import BULK, LANES, TRANSACTIONAL
from campaigns.timing import awake, expiry
from customers.models import Customer
from segmentation.places import published_run

if TYPE_CHECKING:
    from django.contrib.auth.models import User

log = logging.getLogger(__name__)

LONGEST_OCCASION: Final = Message._meta.get_field("occasion").max_length or 0


def open_send(
    campaign: Campaign, *, lane: str, at: datetime, by: "User | None" = None
) -> Send:
    """Freeze a campaign's words, links, sender and rules; messages may then be added.

    lane: bulk, or transactional for what waits for no limit of the shop's own. Raises
    CannotSchedule with every problem at once, ValueError if there is no such lane.
    """
    if lane not in LANES:
        raise ValueError(f"A lane is one of {', '.join(LANES)}; it was {lane!r}.")
    with transaction.atomic():
        send = freeze_send(
            campaign,
            plan_of_campaign(campaign, run=published_run()),
            at=at,
            by=by,
            problems=_unfit(campaign, lane),
            also={"lane": lane},
            standing=Send.Standing.OPEN,
            state=Send.State.SENDING,
            scheduled_at=at,
            started_at=at,
            prepared_at=at,
        )
        trail.note(send.pk, "Opened: messages are added one by one.", at=at, by=by)
    log.info("send %s stands open", send.pk)
    return send


def _unfit(campaign: Campaign, lane: str) -> list[str]:
    """What of a campaign is for an audience, and what its lane must not carry."""
    problems = []
    if campaign.segments or campaign.audience_rule_id is not None:
        problems.append(
            "A standing send has no audience: take segments and the rule of whom it "
            "goes to out of the campaign. Whom it must never reach may stay."
        )
    if campaign.local_time:
        problems.append(
            "A standing send has no hour of its own: it can't go by each customer's "
            "own clock."
        )
    promotes = campaign.template.purpose == EmailTemplate.Purpose.PROMOTION
    if promotes and lane == TRANSACTIONAL:
        problems.append(
            f"The template “{campaign.template}” is a promotion, and those leave by "
            f"the {BULK} lane: limits are there for them."
        )
    return problems


def add_message(
    send: Send, customer: Customer, occasion: str, *, at: datetime
) -> Message:
    """The message of this customer on this occasion; added if there was none.

    Whoever must not be mailed gets a row, too, left out with its reason, and asking
    again changes nothing in it. Raises CannotAdd where there is no such occasion or
    customer, WrongState unless the send is a standing one and open (paused: its
    messages wait), AnotherInstance.
    """
    instance.guard()
    if not 0 < len(occasion.strip()) <= LONGEST_OCCASION or not occasion.isprintable():
        raise CannotAdd(
            f"An occasion needs 1 to {LONGEST_OCCASION} characters that can be read, "
            f"such as an order's number; it was {occasion[: 2 * LONGEST_OCCASION]!r}."
        )
    occasion = occasion.strip()
    with transaction.atomic():
        # Whoever adds to it, closes it or merges customers comes one after the other.
        send = Send.objects.select_for_update(no_key=True).get(pk=send.pk)
        known = Message.objects.filter(
            send=send, customer=customer.pk, occasion=occasion
        ).first()
        if known is not None:
            return known
        if not send.is_open:
            raise WrongState(
                f"{send} is {send.get_state_display()}: messages are added to a "
                "standing send that is open, and to nothing else."
            )
        message = _added(send, customer, occasion, at=at)
        Send.objects.filter(pk=send.pk).update(audience_size=F("audience_size") + 1)
        crashpoints.reached(crashpoints.INSIDE_ADD)
    return message


def _added(send: Send, customer: Customer, occasion: str, *, at: datetime) -> Message:
    audience = _decided(send, customer, occasion, at=at)
    write = partial(_write, send, customer.pk, occasion, at=at)
    if customer.pk not in audience.included:
        return write(audience.outs[customer.pk])
    recipient = audience.included[customer.pk]
    try:
        with transaction.atomic():
            return write(recipient)
    except IntegrityError:
        # Written to at this address on this occasion: somebody who had it then.
        place = Place(recipient.segment_key, recipient.tone, recipient.arm)
        return write(LeftOut("duplicate_address", "", *place))


def _decided(
    send: Send, customer: Customer, occasion: str, *, at: datetime
) -> Audience:
    """This customer alone, in or out as in every send. Raises CannotAdd."""
    found = people(Customer.objects.filter(pk=customer.pk))
    if not found:
        raise CannotAdd(f"There is no customer {customer.pk} any more.")
    run, expires = published_run(), expiry(send.frozen)
    return decide(
        replace(plan_of_send(send), run_id=run.pk if run else None),
        found,
        at=at,
        taken=partial(_reached, send, occasion),
        too_late=lambda zone: (
            expires is not None and awake(send.frozen, at, zone=zone) >= expires
        ),
    )


def _reached(send: Send, occasion: str, keys: set[str]) -> set[str]:
    """Which of these mailboxes somebody has who is mailed on the same occasion."""
    shared = dict(
        Customer.objects.filter(address_key__one_of=keys)
        .order_by()
        .values_list("pk", "address_key")
    )
    mailed = Message.objects.filter(
        send=send, customer__in=list(shared), occasion=occasion
    ).exclude(state=Message.State.LEFT_OUT)
    return {shared[pk] for pk in mailed.values_list("customer_id", flat=True)}


def _write(
    send: Send,
    customer_id: int,
    occasion: str,
    decided: Recipient | LeftOut,
    *,
    at: datetime,
) -> Message:
    message = Message(
        send=send,
        customer_id=customer_id,
        occasion=occasion,
        segment_key=decided.segment_key,
        tone=decided.tone,
        arm=decided.arm,
    )
    if isinstance(decided, LeftOut):
        message.state = Message.State.LEFT_OUT
        message.reason, message.detail = decided.reason, decided.detail[:200]
        message.settled_at = at
    else:
        message.address_wire = decided.address_wire
        message.batch = Batch.objects.create(
            send=send,
            variant=send.variants.get(tone=decided.tone),
            lane=send.lane,
            paused=send.state == Send.State.PAUSED,
            not_before=awake(send.frozen, at, zone=decided.timezone),
        )
    message.save(force_insert=True)
    return message


def close_send(send: Send, *, at: datetime, by: "User | None" = None) -> Send:
    """Take no more messages; it ends when none of it waits any more.

    Raises WrongState unless it is a standing send and open.
    """
    with transaction.atomic():
        found = Send.objects.select_for_update(no_key=True).get(pk=send.pk)
        if not found.is_open:
            raise WrongState(
                f"{found} is {found.get_state_display()}: only a standing send that is "
                "open can be closed."
            )
        found.standing = Send.Standing.CLOSED
        found.save(update_fields=["standing"])
        trail.note(found.pk, "Closed: nothing more is added.", at=at, by=by)
    log.info("send %s closed", found.pk)
    return found
