"""How many a campaign would reach: at once, or for large shops step by step.

A page counts some thousand customers while it loads. Where there are more, somebody
asks for the count, a worker or the engine makes it, and the page says of when it is.
"""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Q
from django.utils import timezone

from campaigns.audience import (
    CUSTOMERS_A_CHUNK,
    Audience,
    Person,
    Plan,
    decide,
    next_chunk,
    parts,
    people,
    plan_of_campaign,
)
from campaigns.errors import DATABASE_AWAY
from campaigns.models import AudienceCount, Campaign
from customers.models import Customer
from segmentation.places import published_run

if TYPE_CHECKING:
    from django.contrib.auth.models import User

log = logging.getLogger(__name__)

# A fifth of a second; more keep a marketer waiting for the page.
COUNTED_AT_ONCE: Final = 2000
# A step takes less than a second.
GIVEN_UP_AFTER: Final = timedelta(seconds=15)
# So many who are left out for a reason are kept with a count, to be shown by name.
NAMES_KEPT: Final = 200


@dataclass(slots=True)
class Counts:
    """matched: customers of the plan. out: reason → customers; tones and segments of
    the others; control: how many of them get the neutral tone as the control.

    names: reason → customers' ids, of which the first are kept: why exactly is asked
    anew when they are shown, since it tells what somebody feels.
    """

    matched: int = 0
    out: Counter[str] = field(default_factory=Counter)
    tones: Counter[str] = field(default_factory=Counter)
    segments: Counter[str] = field(default_factory=Counter)
    control: int = 0
    names: dict[str, list[int]] = field(default_factory=dict)

    def add(self, part: Audience) -> None:
        self.matched += len(part)
        self.out.update(part.left_out.values())
        for pk, reason in sorted(part.left_out.items()):
            self.names.setdefault(reason, []).append(pk)
        for recipient in part.included.values():
            self.tones[recipient.tone] += 1
            self.segments[recipient.segment_key] += 1
            self.control += recipient.arm == "neutral"

    def to_json(self) -> dict[str, Any]:
        return {
            "matched": self.matched,
            "out": dict(self.out),
            "tones": dict(self.tones),
            "segments": dict(self.segments),
            "control": self.control,
            "names": {key: ids[:NAMES_KEPT] for key, ids in self.names.items()},
        }

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> "Counts":
        if not kept:
            return cls()
        return cls(
            matched=kept["matched"],
            out=Counter(kept["out"]),
            tones=Counter(kept["tones"]),
            segments=Counter(kept["segments"]),
            control=kept["control"],
            names=kept["names"],
        )


def plan_now(campaign: Campaign) -> Plan:
    """The rules as they stand, by the run in use."""
    return plan_of_campaign(campaign, run=published_run())


def few_customers() -> bool:
    """Whether a page may count them while it loads."""
    found = Customer.objects.order_by("pk").values_list("pk", flat=True)
    return not found[COUNTED_AT_ONCE : COUNTED_AT_ONCE + 1].exists()


def count_now(plan: Plan, *, at: datetime) -> Counts:
    """Everybody, at once."""
    counts = Counts()
    for part in parts(plan, at=at):
        counts.add(part)
    return counts


def counts_for_page(campaign: Campaign, plan: Plan, *, at: datetime) -> Counts | None:
    """Where there are few customers, of now; else as it was counted last, if it was."""
    return count_now(plan, at=at) if few_customers() else kept_counts(campaign, plan)


def ask_count(
    campaign: Campaign, *, at: datetime, by: "User | None" = None
) -> AudienceCount:
    """Have it counted, from the start; asked again while that goes on, it goes on."""
    digest = _digest(plan_now(campaign))
    asked = count_of(campaign)
    if asked is not None and asked.done_at is None and asked.plan == digest:
        return asked
    made, _ = AudienceCount.objects.update_or_create(
        campaign=campaign,
        defaults={
            "plan": digest,
            "asked_by": by,
            "asked_at": at,
            "counted_to": 0,
            "customers": 0,
            "figures": {},
            "worked_at": None,
            "done_at": None,
        },
    )
    return made


def count_of(campaign: Campaign) -> AudienceCount | None:
    """The count that somebody asked for last, done or not, of this plan or another."""
    return (
        AudienceCount.objects.filter(campaign=campaign)
        .select_related("asked_by")
        .first()
    )


def kept_counts(campaign: Campaign, plan: Plan) -> Counts | None:
    """What was counted last; None when that is not done, or of another plan."""
    count = count_of(campaign)
    if count is None or count.done_at is None or count.plan != _digest(plan):
        return None
    return Counts.from_json(count.figures)


def carry_on_counting(count_id: int, *, until: float | None = None) -> bool:
    """Go on with a count until it is done or time.monotonic(); True: nothing is left.

    Two at once, or one after a crash, count nobody twice: each step is kept only where
    nobody else has made it. A plan that has changed meanwhile is counted from the
    start. What nobody foresaw ends no process: it is tried again after a while.
    """
    while True:
        try:
            if _count_step(count_id):
                return True
        except DATABASE_AWAY:
            raise
        except Exception:
            log.exception("audience count %s: this was not foreseen", count_id)
            AudienceCount.objects.filter(pk=count_id).update(worked_at=timezone.now())
            return False
        if until is not None and monotonic() >= until:
            # Free for the next at once.
            AudienceCount.objects.filter(pk=count_id, done_at=None).update(
                worked_at=timezone.now() - GIVEN_UP_AFTER
            )
            return False


def open_counts(*, at: datetime) -> list[int]:
    """The counts that are to be gone on with, and that nobody is at."""
    waiting = AudienceCount.objects.filter(
        Q(worked_at=None) | Q(worked_at__lte=at - GIVEN_UP_AFTER), done_at=None
    )
    return list(waiting.order_by("pk").values_list("pk", flat=True))


def _count_step(count_id: int) -> bool:
    """The next customers by id; True when there is nothing (more) to count."""
    count = (
        AudienceCount.objects.select_related("campaign")
        .filter(pk=count_id, done_at=None)
        .first()
    )
    if count is None:
        return True
    plan = plan_now(count.campaign)
    if count.plan != _digest(plan):
        ask_count(count.campaign, at=timezone.now(), by=count.asked_by)
        return False
    # Not in a transaction: nobody waits while it is counted.
    chunk = next_chunk(after=count.counted_to, size=CUSTOMERS_A_CHUNK)
    here = AudienceCount.objects.filter(
        pk=count.pk, asked_at=count.asked_at, counted_to=count.counted_to, done_at=None
    )
    if not chunk:
        here.update(done_at=timezone.now())
        return True
    counts = Counts.from_json(count.figures)
    counts.add(decide_after(plan, chunk, at=count.asked_at))
    here.update(
        figures=counts.to_json(),
        counted_to=chunk[-1].pk,
        customers=count.customers + len(chunk),
        worked_at=timezone.now(),
    )
    return False


def decide_after(plan: Plan, some: list[Person], *, at: datetime) -> Audience:
    """Of some customers, by id, as if everybody before them had been decided on."""
    # Whether somebody is in depends on nobody but those with the same address.
    ids = {one.pk for one in some}
    keys = {one.address_key for one in some} - {""}
    same = Customer.objects.filter(address_key__one_of=keys, pk__lt=some[-1].pk)
    others = [one for one in people(same) if one.pk not in ids]
    everybody = sorted([*others, *some])
    whole = decide(plan, everybody, at=at, taken=lambda _: set())
    return Audience(
        included={pk: one for pk, one in whole.included.items() if pk in ids},
        left_out={pk: why for pk, why in whole.left_out.items() if pk in ids},
        outs={pk: out for pk, out in whole.outs.items() if pk in ids},
    )


def names_left_out(
    campaign: Campaign, plan: Plan, reason: str, *, at: datetime
) -> tuple[int, list[int]]:
    """How many are left out for a reason, and the first of them by id: all of them
    where there are few customers, else those that the count has kept."""
    counts = counts_for_page(campaign, plan, at=at)
    if counts is None:
        return 0, []
    return counts.out[reason], counts.names.get(reason, [])


def left_out_names(
    plan: Plan, reason: str, ids: Iterable[int], *, at: datetime
) -> list[tuple[Customer, str]]:
    """Those of these customers who are left out for this reason now, and why."""
    some = people(Customer.objects.filter(pk__in=list(ids)))
    if not some:
        return []
    part = decide_after(plan, some, at=at)
    named = Customer.objects.in_bulk(
        [one.pk for one in some if part.left_out.get(one.pk) == reason]
    )
    return [(named[pk], part.outs[pk].detail) for pk in sorted(named)]


def _digest(plan: Plan) -> str:
    rules = {"run": plan.run_id, **plan.to_json()}
    return hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()
