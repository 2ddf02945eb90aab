"""Random shops: who gets a send, beside a plain list of its rules, one by one."""

import json
import random
from collections import Counter, defaultdict
from datetime import timedelta
from math import ceil
from zoneinfo import ZoneInfo

import pytest

from campaigns import counting, materialising
from campaigns.assignment import arm_of
from campaigns.audience import plan_of_send, resolve_audience
from campaigns.local_time import local_instant
from campaigns.models import Message
from campaigns.services import launch_send, materialise, schedule_send
from campaigns.timing import quiet_hours
from customers.addresses import address_key, address_wire
from customers.errors import InvalidAddress
from customers.models import Consent, Customer, Interaction
from customers.services import (
    is_suppressed,
    object_to_profiling,
    record_consent,
    suppress,
)
from segmentation.holds import held
from segmentation.models import Membership, SensitiveMatter
from segmentation.rule_segments import create_rule
from segmentation.rules.compiling import matching_in_run

pytestmark = pytest.mark.django_db

ZONES = ["", "", "Asia/Tokyo", "America/New_York", "Europe/Paris", "no/such zone"]
SEGMENTS = [[], [], ["excited", "anxious"], ["unknown", "trusting"]]
CALLED = ["vip", "press"]


def shop(world, seed, size, at):
    """A campaign, and customers to each of whom several things have happened."""
    chance = random.Random(seed)
    people = world.add_customers(size)
    # Gaps, as erasures leave them; some so wide that ids are no range any more.
    gone = {one.pk for one in chance.sample(people, size // 4)}
    gone |= {one.pk for one in people[size // 3 : size // 2]}
    Customer.objects.filter(pk__in=gone).delete()
    people = [one for one in people if one.pk not in gone]
    for one in people:
        one.timezone = chance.choice(ZONES)
        one.tags = [tag for tag in CALLED if chance.random() < 0.5]
        if chance.random() < 0.1:
            one.email = chance.choice(
                ["", "   ", "nobody at all", "a@b", "x y@shop.ex"]
            )
        elif chance.random() < 0.15:
            other = chance.choice(people)
            one.email = chance.choice([other.email, other.email.upper()])
        one.address_key = address_key(one.email)
        one.save()
        for happening in chance.sample(HAPPENINGS, chance.choice([0, 0, 1, 2])):
            happening(one, chance, at)
    rules = {
        f"{name}_rule": create_rule(
            name=f"{name} {seed}",
            text=json.dumps(
                {
                    "how": "all",
                    "members": [{"field": "tags", "op": "any_of", "value": [tag]}],
                }
            ),
            by=None,
            at=at,
        )
        for name, tag in zip(("audience", "exclusion"), CALLED, strict=True)
        if chance.random() < 0.5
    }
    return world.add_campaign(
        world.add_template(f"Spring {seed}"),
        segments=chance.choice(SEGMENTS),
        local_time=chance.random() < 0.5,
        expires_at=chance.choice([None, at + timedelta(hours=3)]),
        **rules,
    )


def says_no(one, chance, at):
    suppress(one.email or "x@example.com", reason="unsubscribed", at=at)


def is_rated(one, chance, at):
    for days in chance.sample(range(1, 20), 2):
        Interaction.objects.create(
            customer=one,
            occurred_at=at - timedelta(days=days),
            kind=chance.choice(["survey", "ticket", "review"]),
            key=f"{days}",
            rating=chance.choice([1, 2, 5]),
        )


def writes(one, chance, at):
    found = Interaction.objects.create(
        customer=one,
        occurred_at=at - timedelta(days=chance.choice([1, 30])),
        kind=chance.choice(["ticket", "review"]),
        key="text",
        text="It is broken.",
    )
    if chance.random() < 0.3:
        SensitiveMatter.objects.create(
            interaction=found, customer=one, occurred_at=found.occurred_at
        )


def consents(one, chance, at):
    for basis in chance.sample(["withdrawn", "consent"], chance.choice([1, 2])):
        days = chance.choice([-1, 1, 1])
        when = at - timedelta(days=days, hours=chance.choice([0, 3]))
        record_consent(one, purpose="marketing", basis=basis, source="x", at=when)


def was_never_asked(one, chance, at):
    Consent.objects.filter(customer=one).delete()


def objects(one, chance, at):
    object_to_profiling(one, source="x", at=at)


HAPPENINGS = [says_no, is_rated, writes, consents, was_never_asked, objects]


def one_by_one(send, at):
    """Customer → reason, or the batch that she belongs in. As plain as can be."""
    plan, taken, found = plan_of_send(send), set(), {}
    for one in Customer.objects.order_by("pk"):
        place = Membership.objects.filter(run=send.run, customer=one).first()
        segment = place.segment.key if place else "unknown"
        if one.profiling_objected_at:
            segment = "unknown"
        wanted = not plan.segments or segment in plan.segments
        if not wanted or not matches(plan.audience_rule, one, send, at, otherwise=True):
            continue
        tone, arm = plan.tones.get(segment, "neutral"), "fitting"
        if tone not in plan.written:
            tone = "neutral"
        if tone != "neutral":
            arm = arm_of(plan.experiment, one.pk, neutral_share=plan.neutral_share)
        told = (segment, tone if arm == "fitting" else "neutral", arm)
        leaves = leaving(send, one)
        why, detail = reason(one, plan, send, at, leaves)
        if not why and one.address_key in taken:
            why = "duplicate_address"
        if why:
            found[one.pk] = (*told, why, detail, "", None)
        else:
            taken.add(one.address_key)
            found[one.pk] = (*told, "", "", address_wire(one.email), leaves)
    return found


def reason(one, plan, send, at, leaves):
    if not one.email.strip():
        return "no_address", ""
    try:
        address_wire(one.email)
    except InvalidAddress as problem:
        return "invalid_address", str(problem).partition("can't get mail: ")[2][:200]
    if is_suppressed(one.email):
        return "suppressed", ""
    said = Consent.objects.filter(
        customer=one, purpose="marketing", occurred_at__lte=at
    )
    last = said.order_by("occurred_at", "pk").last()
    if last is None or last.basis == "withdrawn":
        return "no_consent", ""
    if one.pk in (holds := held([one.pk], at=at)):
        return "held", str(holds[one.pk])
    if matches(plan.exclusion_rule, one, send, at, otherwise=False):
        return "excluded", f"matches the rule “{plan.exclusion_rule.name}”"
    expires = send.campaign.expires_at
    return ("expired" if expires and leaves >= expires else ""), ""


def matches(rule, one, send, at, *, otherwise):
    if rule is None:
        return otherwise
    found = matching_in_run(rule.tree, at=at, run_id=send.run_id)
    return found.filter(pk=one.pk).exists()


def leaving(send, one):
    known = one.timezone and one.timezone != "no/such zone"
    zone = ZoneInfo(one.timezone if known else "UTC")
    instant = send.scheduled_at
    if send.campaign.local_time:
        instant = local_instant(send.scheduled_at.replace(tzinfo=None), zone)
    hours = quiet_hours(send.frozen)
    return hours.ended(instant, zone) if hours else instant


def compare(world, monkeypatch, settings, seed, size, at):
    """Reasons of everybody in a random shop; what is written is what the list says."""
    settings.PROVIDER = "mailgun"
    settings.PROVIDER_OPTIONS = {"MAILGUN_API_KEY": "k"}
    campaign = shop(world, seed, size, at)
    monkeypatch.setattr("campaigns.sending.channels.many.BATCH_SIZE", 4)
    chunk = random.Random(seed).choice([3, 7, 1000])
    monkeypatch.setattr(materialising, "CUSTOMERS_A_CHUNK", chunk)
    monkeypatch.setattr(counting, "CUSTOMERS_A_CHUNK", chunk)
    send = launch_send(
        schedule_send(campaign, scheduled_at=at, at=at - timedelta(days=1)), at=at
    )
    expected = one_by_one(send, at)
    while not materialise(send, at=at, until=float("-inf")):
        pass  # each range by a process of its own, as after kills
    fields = "segment_key tone arm reason detail address_wire batch__not_before".split()
    written = Message.objects.filter(send=send).values_list("customer", *fields)
    assert {pk: tuple(rest) for pk, *rest in written} == expected
    check_batches(send, expected)
    reasons = Counter(row[3] for row in expected.values())
    if not campaign.expires_at:  # counts are of no hour
        check_counts(campaign, send, expected, at)
    return reasons


def check_batches(send, expected):
    shares = Counter((row[1], row[6]) for row in expected.values() if row[6])
    sizes = defaultdict(list)
    for batch in send.batches.select_related("variant"):
        ids = batch.messages.values_list("tone", "state")
        assert {tuple(one) for one in ids} == {(batch.variant.tone, "waiting")}
        sizes[batch.variant.tone, batch.not_before].append(len(ids))
    assert {share: sum(of) for share, of in sizes.items()} == dict(shares)
    assert {share: len(of) for share, of in sizes.items()} == {
        share: ceil(count / 4) for share, count in shares.items()
    }


def check_counts(campaign, send, expected, at):
    counts = Counter(row[3] for row in expected.values())
    by_tone = Counter(row[1] for row in expected.values() if not row[3])
    in_ = counts.pop("", 0)
    audience = resolve_audience(send, at=at)
    assert audience.left_out == {pk: row[3] for pk, row in expected.items() if row[3]}
    plan = counting.plan_now(campaign)
    at_once = counting.count_now(plan, at=at)
    assert (at_once.out, at_once.tones) == (counts, by_tone)
    assert at_once.matched == in_ + counts.total()
    counting.carry_on_counting(counting.ask_count(campaign, at=at).pk)
    assert counting.kept_counts(campaign, plan) == at_once


def test_a_send_is_written_as_a_plain_list_of_its_rules_says(
    world, monkeypatch, settings, at
):
    assert len(compare(world, monkeypatch, settings, 4, 24, at)) > 3


@pytest.mark.slow
def test_every_reason_is_given_as_a_plain_list_says_in_random_shops(
    world, monkeypatch, settings, at
):
    reasons = Counter[str]()
    for seed in range(14):
        Message.objects.all().delete()
        Customer.objects.all().delete()
        reasons += compare(world, monkeypatch, settings, seed, 80, at)
    assert set(reasons) == {
        "", "no_address", "invalid_address", "suppressed", "no_consent", "held",
        "excluded", "expired", "duplicate_address",
    }  # fmt: skip
