"""Copies for the shop's own mailboxes: each tone of a send, once to each seed.

A copy leaves once mails of its tone were accepted, so that it says how they arrive and
never tries what they have not. It is written for somebody of whom nothing is known, or
for the customer whose address it is; its links lead nowhere, and no figure counts it.
Like every mail it is written down before it is handed over: whoever dies in between
leaves a copy in doubt, which is not sent again.
"""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet

from campaigns.content.links import InertLinks
from campaigns.content.problems import TemplateError
from campaigns.content.render import RecipientContext
from campaigns.errors import DATABASE_AWAY
from campaigns.models import (
    Batch,
    EmailTemplate,
    Message,
    Seed,
    SeedMail,
    Send,
)
from campaigns.rendering import facts_about, facts_of_nobody, frozen_variant
from campaigns.seed_models import SEEDS_MOST
from campaigns.sending import breaker, crashpoints, ledger, limits
from campaigns.sending.channels import (
    Busy,
    Envelope,
    InDoubt,
    Later,
    Outgoing,
    Receipt,
    Result,
)
from campaigns.sending.lanes import Lane
from customers.addresses import address_key
from customers.errors import InvalidAddress
from customers.models import Consent, Customer
from customers.services import is_suppressed, marketing_basis

log = logging.getLogger(__name__)

TRIES_MOST: Final = 5
WAIT_LEAST: Final = timedelta(minutes=1)
# No answer takes so long: whoever handed it over is dead.
DEAD_AFTER: Final = timedelta(minutes=15)
_OPEN: Final = (SeedMail.State.WAITING, SeedMail.State.HANDING_OVER)


def begin(send: Send, *, at: datetime) -> int:
    """Plan the copies of a send whose audience is complete; how many."""
    seeds = Seed.objects.filter(sender_id=send.campaign.sender_id)
    addresses = list(seeds.values_list("address", flat=True)[:SEEDS_MOST])
    if not addresses:
        return 0
    variants = Batch.objects.filter(send=send).order_by()
    copies = [
        SeedMail(
            send=send,
            variant_id=variant,
            lane=lane,
            address=address,
            at=at,
        )
        for variant, lane in sorted(variants.values_list("variant", "lane").distinct())
        for address in addresses
    ]
    SeedMail.objects.bulk_create(copies, ignore_conflicts=True)
    return len(copies)


def due(lane: str, *, at: datetime) -> QuerySet[SeedMail]:
    """The copies that could leave now."""
    accepted = Message.objects.filter(
        batch=OuterRef("pk"), state=Message.State.ACCEPTED
    )
    out = Batch.objects.filter(
        Exists(accepted),
        send=OuterRef("send"),
        variant=OuterRef("variant"),
        state=Batch.State.DONE,
    )
    return SeedMail.objects.filter(
        Exists(out),
        lane=lane,
        state=SeedMail.State.WAITING,
        at__lte=at,
        send__state__in=ledger.GOES_ON,
    )


def send_due(
    lane: Lane,
    *,
    clock: Callable[[], datetime],
    until: float,
    stopping: Callable[[], bool],
) -> int:
    """Hand over copy after copy until time.monotonic(); how many were tried."""
    tried = 0
    while time.monotonic() < until and not stopping():
        if not _send_next(lane, now=clock()):
            break
        tried += 1
    return tried


def sweep(*, at: datetime) -> None:
    """What died is in doubt; what can't leave any more is not sent."""
    still = SeedMail.objects.filter(state__in=_OPEN)
    if not still.exists():
        return
    still.filter(state=SeedMail.State.HANDING_OVER, at__lt=at - DEAD_AFTER).update(
        state=SeedMail.State.IN_DOUBT, reason=ledger.DIED
    )
    waiting = still.filter(state=SeedMail.State.WAITING)
    waiting.filter(send__state=Send.State.CANCELLED).update(
        state=SeedMail.State.LEFT_OUT, reason="the send was cancelled"
    )
    accepted = Message.objects.filter(
        batch__send=OuterRef("send"),
        batch__variant=OuterRef("variant"),
        state=Message.State.ACCEPTED,
    )
    waiting.filter(~Exists(accepted), send__state=Send.State.SENT).update(
        state=SeedMail.State.LEFT_OUT, reason="no mail of this tone was accepted"
    )


def _send_next(lane: Lane, *, now: datetime) -> bool:
    """Try the next copy; False when there is none, or nothing may leave now."""
    copy = (
        due(lane.name, at=now)
        .select_related("send__campaign")
        .order_by("at", "pk")
        .first()
    )
    if copy is None:
        return False
    stands = breaker.row_of(lane.way)
    if breaker.gate(stands.row, now=now) is not breaker.Gate.CLOSED:
        return False
    try:
        mail = _compose(copy, lane, now=now)
    except (InvalidAddress, TemplateError) as problem:
        _left_out(copy, str(problem))
        return True
    if mail is None:
        _left_out(copy, "this address said no")
        return True
    if stands.limited and not limits.take_one(
        lane.way, copy.send, copy.address, now=now
    ):
        return False
    if not _intend(copy, now=now):
        return True
    crashpoints.reached(crashpoints.AFTER_INTENT)
    try:
        result = lane.channel.hand_over([mail])[0]
    except DATABASE_AWAY:
        raise
    except Exception as unforeseen:
        log.exception("the copy of send %s for a seed failed", copy.send_id)
        result = InDoubt("unforeseen", type(unforeseen).__name__)
    crashpoints.reached(crashpoints.AFTER_ACCEPT)
    _write(copy, result, lane, now=now)
    return True


def _compose(copy: SeedMail, lane: Lane, *, now: datetime) -> Outgoing | None:
    """None where its address must not be mailed.

    Raises InvalidAddress, TemplateError.
    """
    if is_suppressed(copy.address):
        return None
    data = facts_of_nobody().data
    customer = Customer.objects.filter(address_key=address_key(copy.address)).first()
    if customer is not None:
        basis = marketing_basis([customer.pk], at=now).get(customer.pk)
        purpose = copy.send.frozen["plan"]["purpose"]
        promotion = purpose == EmailTemplate.Purpose.PROMOTION
        if promotion and basis == Consent.Basis.WITHDRAWN:
            return None
        data = facts_about([customer.pk])[customer.pk].data
    variant = frozen_variant(copy.variant_id, copy.send.content_hash)
    envelope = Envelope.of_no_message(copy.address)
    context = RecipientContext(data=data, links=InertLinks())
    return lane.channel.compose(envelope, variant, context)


def _intend(copy: SeedMail, *, now: datetime) -> bool:
    """Write down that it leaves, unless somebody else did or the send was stopped."""
    with transaction.atomic():
        return bool(
            SeedMail.objects.filter(
                pk=copy.pk, state=SeedMail.State.WAITING, send__state__in=ledger.GOES_ON
            ).update(
                state=SeedMail.State.HANDING_OVER,
                at=now,
                tries=F("tries") + 1,
                reason="",
            )
        )


def _write(copy: SeedMail, result: Result, lane: Lane, *, now: datetime) -> None:
    """What came of it; of a doubt, or trouble, the breaker hears."""
    reason = "" if isinstance(result, Receipt) else result.detail or result.reason
    changes: dict[str, object] = {"reason": reason[:200]}
    if isinstance(result, Receipt):
        changes["state"] = SeedMail.State.ACCEPTED
    elif isinstance(result, InDoubt):
        changes["state"] = SeedMail.State.IN_DOUBT
    elif isinstance(result, Busy | Later) and copy.tries + 1 < TRIES_MOST:
        wait = max(WAIT_LEAST, timedelta(seconds=result.wait_seconds))
        changes |= {"state": SeedMail.State.WAITING, "at": now + wait}
    else:
        changes["state"] = SeedMail.State.FAILED
    with transaction.atomic():
        SeedMail.objects.filter(pk=copy.pk, state=SeedMail.State.HANDING_OVER).update(
            **changes
        )
        if isinstance(result, Busy | InDoubt):
            patience = getattr(result, "wait_seconds", 0.0)
            breaker.heard(
                lane.way, [result], result, batch_id=0, now=now, patience=patience
            )


def _left_out(copy: SeedMail, why: str) -> None:
    SeedMail.objects.filter(pk=copy.pk, state=SeedMail.State.WAITING).update(
        state=SeedMail.State.LEFT_OUT, reason=why[:200]
    )
