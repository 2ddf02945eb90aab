"""The same mail to those who came later: a send of its own, beside the first one.

Only of a send that has ended, since before that nobody can say who is missing from it;
one of a campaign at a time. Whoever the first send or another top-up knew gets nothing,
by customer or by mailbox, whatever has become of either since: an address that was
mailed stays known when its customer moves to another one, merged customers bring their
mails along. One thing only makes somebody a newcomer who was known: they were left out
because we could not, or were not allowed to, write to them (no consent, no address),
and nothing of theirs was ever handed over. Who was left out for another reason stays
out: a hold, a rule, a cap or an end were an answer, and time does not change it. Who
was refused or is in doubt has ways of their own (resending).

Words, links, sender and rules are those of the first send; segments are looked up by
the run in use, in which newcomers are.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower

from campaigns.audience import Person, Plan, decide, keys_of, people, plan_of_send
from campaigns.counting import Counts
from campaigns.errors import CannotSchedule, ProviderMisconfigured
from campaigns.models import Campaign, Message, Send, SendVariant
from campaigns.planning import refuse_a_second
from campaigns.sending import instance
from campaigns.sending.channels import batch_size_of
from campaigns.timing import expiry
from customers.models import Customer
from customers.templatetags.attune import moment_named
from segmentation.places import published_run

if TYPE_CHECKING:
    from django.contrib.auth.models import User

log = logging.getLogger(__name__)

CUSTOMERS_A_CHUNK: Final = 2000
# Left out because we could not or might not write to them; that may have changed.
MAY_COME_LATER: Final = ("no_address", "invalid_address", "no_consent", "suppressed")
# One that waits after it was handed over is a doubt that was sent again: it may have
# arrived.
_CAME_LATER: Final = Q(
    state=Message.State.LEFT_OUT,
    reason__in=MAY_COME_LATER,
    handed_over_at__isnull=True,
)


@dataclass(frozen=True, slots=True)
class Newcomers:
    """counts: as of a plan. whole: False where there was no time for everybody; then
    there are at least so many."""

    counts: Counts
    whole: bool

    @property
    def will_be_mailed(self) -> int:
        return self.counts.matched - self.counts.out.total()


def first_of(send: Send) -> Send:
    """The send that this one tops up; itself if it is none."""
    return send.tops_up or send


def newcomers(send: Send, customers: list[Person]) -> list[Person]:
    """Who of these customers its first send and the other top-ups did not know."""
    known = set(
        _earlier(send)
        .filter(customer__in=[one.pk for one in customers])
        .values_list("customer_id", flat=True)
    )
    return [one for one in customers if one.pk not in known]


def known_mailboxes(send: Send, keys: Collection[str]) -> set[str]:
    """Which of these mailboxes they knew: by the address they were mailed at, or by
    the one that its customer has now."""
    if not keys:
        return set()
    earlier = _earlier(send)
    now = earlier.filter(customer__address_key__in=keys)
    # Who is mailed has an ASCII address, whose key is its lower case. No index has it:
    # a second for a million messages, for each chunk that has newcomers.
    then = earlier.annotate(low=Lower("address_wire")).filter(low__in=keys)
    return {
        *now.values_list("customer__address_key", flat=True),
        *then.values_list("low", flat=True),
    }


def _earlier(send: Send) -> QuerySet[Message]:
    """The messages of those whom the first send and other top-ups knew."""
    first = first_of(send).pk
    family = Send.objects.filter(Q(pk=first) | Q(tops_up=first)).values("pk")
    others = Message.objects.filter(send__in=family)
    if send.tops_up_id is not None:
        others = others.exclude(send=send)
    return others.exclude(_CAME_LATER).order_by()


def count_newcomers(send: Send, *, at: datetime, until: float) -> Newcomers:
    """Who would get a top-up now; the newest customers first, until time.monotonic().

    Nothing is written.
    """
    first = first_of(send)
    plan, counts, keys = _plan(first), Counts(), set[str]()

    def taken(asked: set[str]) -> set[str]:
        return known_mailboxes(first, asked) | (keys & asked)

    rest = Customer.objects.order_by("-pk")
    while True:
        ids = rest.values_list("pk", flat=True)[:CUSTOMERS_A_CHUNK]
        oldest = min(ids, default=None)
        if oldest is None:
            return Newcomers(counts, whole=True)
        # By id, as they will be written down: of two at one mailbox the first gets it.
        new = newcomers(first, people(rest.filter(pk__gte=oldest)))
        rest = rest.filter(pk__lt=oldest)
        if new:
            part = decide(plan, new, at=at, taken=taken)
            counts.add(part)
            keys.update(keys_of(new, part))
        if monotonic() >= until:
            return Newcomers(counts, whole=False)


def _plan(first: Send) -> Plan:
    run = published_run()
    return replace(plan_of_send(first), run_id=run.pk if run else None)


def why_not(send: Send, *, at: datetime) -> list[str]:
    """What stands in the way of a top-up, each as a sentence."""
    first = first_of(send)
    problems = [one for one in [instance.what_stands()] if one]
    if first.standing:
        problems.append(f"{first} had no audience: there is nobody who came after it.")
    elif first.state != Send.State.SENT:
        problems.append(
            f"{first} is {first.get_state_display()}: only a send that has ended can "
            "be topped up."
        )
    dated = first.campaign.sends.filter(tops_up=None, standing="")
    full = dated.order_by("-pk").first()
    if full is not None and full.pk != first.pk and not first.standing:
        problems.append("This campaign was sent anew since: top up that send.")
    expires = expiry(first.frozen)
    if expires is not None and expires <= at:
        problems.append(
            f"Nobody gets it after {moment_named(expires)}: its offer has ended."
        )
    try:
        batch_size_of(settings.PROVIDER)
    except ProviderMisconfigured as problem:
        problems.append(str(problem))
    return problems


def top_up(send: Send, *, at: datetime, by: "User | None" = None) -> Send:
    """Schedule the same mail, now, for those who came since.

    Raises CannotSchedule with every problem at once.
    """
    with transaction.atomic():
        first = Send.objects.select_related("campaign").get(pk=first_of(send).pk)
        Campaign.objects.select_for_update().get(pk=first.campaign_id)
        problems = why_not(first, at=at)
        if problems:
            raise CannotSchedule(problems)
        refuse_a_second(first.campaign, None)
        made = Send.objects.create(
            campaign=first.campaign,
            scheduled_at=at,
            run=published_run(),
            content_hash=first.content_hash,
            tops_up=first,
        )
        rows = SendVariant.objects.bulk_create(
            SendVariant(send=made, tone=one.tone, compiled=one.compiled)
            for one in first.variants.order_by("pk")
        )
        made.frozen = {
            **first.frozen,
            "variants": {str(row.pk): row.tone for row in rows},
            "scheduled_on": at.isoformat(),
            "scheduled_by": by.get_username() if by else "",
        }
        made.save(update_fields=["frozen"])
    log.info("send %s tops up send %s", made.pk, first.pk)
    return made
