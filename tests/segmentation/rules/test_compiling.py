"""Three hundred rules against a slow reading of them in plain Python, and the edges."""

import random
from datetime import timedelta
from decimal import Decimal

import pytest

from customers.models import Customer, Interaction
from segmentation.models import (
    EmergentGroup,
    EmotionProfile,
    GroupMember,
    Membership,
    Segment,
    SegmentationRun,
)
from segmentation.rules.compiling import matching, matching_in_run
from segmentation.rules.fields import FIELDS
from segmentation.rules.tree import parse, read

pytestmark = pytest.mark.django_db

TAGS = [
    "vip",
    "VIP",
    "press",
    "100%",
    "100 %",
    "a_b",
    "aXb",
    "'); DROP TABLE customers_customer; --",
    'say "so"',
    "back\\slash",
    "grüße",
    "gru\u0308ße",
    "🌱",
    "[]",
    "ǅ",
    " vip",
]
LANGUAGES = ["", "en", "en-GB", "en-US", "eng", "de", "de-AT", "pt-BR", "EN"]
COUNTRIES = ["", "GB", "IE", "DE"]
DOMAINS = ["example.com", "mail.example.com", "ex_mple.com", "xn--bcher-kva.example"]
CURRENCIES = ["", "EUR", "GBP"]
KINDS = ["order", "order", "order", "visit", "click", "review", "ticket", "return"]
FAMILIES = FIELDS["family"].choices
SEGMENTS = FIELDS["segment"].choices
GROUPS = ["group-joyful", "group-cross"]
AMOUNTS = ["0.10", "0.20", "0.30", "12.50", "100.00", "-5.00"]


@pytest.fixture
def shop(at):
    """Sixty customers at random, always the same ones."""
    dice = random.Random(7)
    run = SegmentationRun.objects.create(
        state="published", cut_off=at, segmenter="test", model={}
    )
    older = SegmentationRun.objects.create(
        state="superseded", cut_off=at, segmenter="test", model={}
    )
    groups = [
        EmergentGroup.objects.create(
            key=key, name=key, state="accepted", row=[], share=0.1, run=run, found_at=at
        )
        for key in GROUPS
    ]
    places = {one.key: one for one in Segment.objects.all()}
    for number in range(60):
        one = Customer.objects.create(
            external_id=f"c{number}",
            address_key=f"p{number}@{dice.choice(DOMAINS)}" if number % 7 else "",
            language=dice.choice(LANGUAGES),
            country=dice.choice(COUNTRIES),
            tags=dice.sample(TAGS, dice.randrange(4)),
            profiling_objected_at=at if number % 5 == 0 else None,
        )
        added = at - timedelta(days=dice.choice([-1, 0, 10, 30, 31, 400]))
        Customer.objects.filter(pk=one.pk).update(added_at=added)
        Interaction.objects.bulk_create(
            Interaction(
                customer=one,
                key=str(row),
                kind=dice.choice(KINDS),
                occurred_at=at - timedelta(days=dice.choice([-2, 0, 5, 30, 31, 90])),
                text=dice.choice(["", "Hello."]),
                amount=dice.choice([None, *map(Decimal, AMOUNTS)]),
                currency=dice.choice(CURRENCIES),
            )
            for row in range(dice.randrange(9))
        )
        # Rows of those who objected stand here too: they must not be looked at.
        if dice.random() < 0.7:
            EmotionProfile.objects.create(
                customer=one,
                as_of=at,
                texts=dice.randrange(1, 6),
                evidence=dice.choice([0.5, 1.0, 2.25]),
                valence=dice.choice([-0.5, 0.0, 0.25]),
                negativity=dice.choice([0.0, 0.45, 0.9]),
                dominant_family=dice.choice(["", *FAMILIES]),
            )
        for group in groups:
            if dice.random() < 0.4:
                GroupMember.objects.create(group=group, customer=one, probability=0.5)
        for which in (run, older):
            if dice.random() < 0.8:
                Membership.objects.create(
                    run=which,
                    customer=one,
                    segment=places[dice.choice(SEGMENTS)],
                    probability=0.5,
                    since=at,
                )


def random_value(about, dice):
    lists = {
        "tags": TAGS,
        "language": ["en", "en-GB", "de", "EN", "pt", "aa"],
        "country": ["GB", "ie", "US"],
        "domain": [*DOMAINS, "exampleXcom.com"],
        "segment": SEGMENTS,
        "group": [*GROUPS, "group-nobody"],
        "family": FAMILIES,
    }
    if about.key in lists:
        options = lists[about.key]
        return dice.sample(options, dice.randrange(1, min(4, len(options)) + 1))
    if about.kind == "money":
        amount = dice.choice(["0.00", "0.30", "0.60", "12.50", "100.10", "200.00"])
        return {"amount": amount, "currency": dice.choice(CURRENCIES)}
    if about.kind == "days":
        return dice.choice([1, 5, 30, 31, 90, 3650])
    if about.kind == "whole":
        return dice.choice([0, 1, 2, 3])
    return dice.choice([0, 0.25, 0.45, 0.5, 1])


def random_condition(dice):
    about = FIELDS[dice.choice(list(FIELDS))]
    return {
        "field": about.key,
        "op": dice.choice(about.ops),
        "value": random_value(about, dice),
    }


def random_group(dice, depth=1):
    members = [
        random_group(dice, depth + 1)
        if depth < 5 and dice.random() < 0.35
        else random_condition(dice)
        for _ in range(dice.randrange(1, 4))
    ]
    return {"how": dice.choice(["all", "any", "none"]), "members": members}


# The slow reading: dictionaries, objects and loops, nothing of the house's rules.


def holds(rule, one, at):
    if "how" in rule:
        parts = [holds(member, one, at) for member in rule["members"]]
        return {"all": all, "any": any, "none": lambda found: not any(found)}[
            rule["how"]
        ](parts)
    field, op, value = rule["field"], rule["op"], rule["value"]
    if FIELDS[field].feeling:
        if one.profiling_objected_at is not None:
            return False
        return feels(field, op, value, one)
    rows = [row for row in one.interactions.all() if row.occurred_at <= at]
    if field in ("orders", "returns"):
        return compared(len([r for r in rows if r.kind == field[:-1]]), op, value)
    if field == "spent":
        total = sum(
            (
                row.amount
                for row in rows
                if row.kind == "order"
                and row.currency == value["currency"]
                and row.amount is not None
            ),
            Decimal(0),
        )
        return compared(total, op, Decimal(value["amount"]))
    if op in ("within", "not_within"):
        return (op == "within") == happened(field, value, one, rows, at)
    return (op == "any_of") == any(carries(field, wanted, one) for wanted in value)


def compared(number, op, value):
    if op == "exactly":
        return number == value
    return number >= value if op == "at_least" else number <= value


def feels(field, op, value, one):
    profile = getattr(one, "emotion_profile", None)
    if field == "segment":
        mine = [row for row in one.memberships.all() if row.run.state == "published"]
        key = mine[0].segment.key if mine else "unknown"
        return (key in value) == (op == "any_of")
    if field == "group":
        mine = {member.group.key for member in one.groups.all()}
        return bool(mine & set(value)) == (op == "any_of")
    if field == "family":
        if profile is None or not profile.dominant_family:
            return False
        return (profile.dominant_family in value) == (op == "any_of")
    if profile is None:
        return field in ("evidence", "texts") and compared(0, op, value)
    return compared(getattr(profile, field), op, value)


def happened(field, days, one, rows, at):
    since = at - timedelta(days=days)
    if field == "known":
        return since <= one.added_at <= at
    return any(
        row.occurred_at >= since
        and (
            field == "last_seen"
            or (field == "last_text" and row.text != "")
            or row.kind == field.removeprefix("last_")
        )
        for row in rows
    )


def carries(field, wanted, one):
    if field == "tags":
        return wanted in one.tags
    if field == "country":
        return one.country == wanted.upper()
    if field == "domain":
        return one.address_key.endswith("@" + wanted)
    mine = one.language.lower()
    return wanted.lower() in (mine, mine.split("-")[0])


def everyone():
    return list(
        Customer.objects.prefetch_related(
            "interactions", "memberships__run", "memberships__segment"
        ).select_related("emotion_profile")
    )


def found(rule, at):
    return set(matching(parse(rule), at=at).values_list("pk", flat=True))


def expected(rule, people, at):
    return {one.pk for one in people if holds(rule, one, at)}


@pytest.mark.parametrize("count", [60, pytest.param(300, marks=pytest.mark.slow)])
def test_random_rules_hold_for_whom_a_slow_reading_says(shop, at, count):
    dice, people, seen = random.Random(11), everyone(), set()
    for turn in range(count):
        rule = random_group(dice)
        wanted = expected(rule, people, at)
        assert found(rule, at) == wanted, (turn, rule)
        seen.add(len(wanted))
    assert len(seen) > 20  # the rules told customers apart


def every_condition(dice):
    for about in FIELDS.values():
        for op in about.ops:
            for _ in range(4):
                yield {"field": about.key, "op": op, "value": random_value(about, dice)}


def test_none_of_a_condition_is_exactly_everybody_else(shop, at):
    people = everyone()
    all_ids = {one.pk for one in people}
    for condition in every_condition(random.Random(3)):
        inside = found({"how": "all", "members": [condition]}, at)
        outside = found({"how": "none", "members": [condition]}, at)
        assert inside | outside == all_ids, condition
        assert not inside & outside, condition
        assert inside == expected(condition, people, at), condition


def rule_of(field, op, value, how="all"):
    return {"how": how, "members": [{"field": field, "op": op, "value": value}]}


def test_who_objected_meets_no_condition_about_feelings(shop, at):
    objected = set(
        Customer.objects.exclude(profiling_objected_at=None).values_list(
            "pk", flat=True
        )
    )
    assert EmotionProfile.objects.filter(customer__in=objected).exists()
    for condition in every_condition(random.Random(5)):
        if FIELDS[condition["field"]].feeling:
            assert not found({"how": "all", "members": [condition]}, at) & objected
            assert objected <= found({"how": "none", "members": [condition]}, at)


def test_a_tag_that_looks_like_sql_is_a_tag(shop, at):
    evil = "'); DROP TABLE customers_customer; --"
    one = Customer.objects.create(external_id="evil", tags=[evil])
    assert one.pk in found(rule_of("tags", "any_of", [evil]), at)
    assert one.pk not in found(rule_of("tags", "any_of", ["' OR 1=1 --"]), at)
    assert Customer.objects.count() == 61


@pytest.mark.parametrize("tag", ["100%", "a_b", "%", "_", "back\\slash", "🌱", "%s"])
def test_signs_with_a_meaning_elsewhere_mean_themselves(db, at, tag):
    same = Customer.objects.create(external_id="same", tags=["x", tag])
    Customer.objects.create(external_id="near", tags=["100 %", "aXb", "anything", ""])
    assert found(rule_of("tags", "any_of", [tag]), at) == {same.pk}


def test_two_spellings_that_look_alike_are_two_tags(db, at):
    one = Customer.objects.create(external_id="one", tags=["gr\u00fc\u00dfe"])
    Customer.objects.create(external_id="other", tags=["gru\u0308\u00dfe"])
    assert found(rule_of("tags", "any_of", ["gr\u00fc\u00dfe"]), at) == {one.pk}


@pytest.mark.parametrize("stored", [{"vip": "vip"}, "vip", 7, [["vip"]], [None]])
def test_tags_that_are_no_list_of_texts_hold_nothing(db, at, stored):
    one = Customer.objects.create(external_id="odd", tags=stored)
    assert found(rule_of("tags", "any_of", ["vip"]), at) == set()
    assert found(rule_of("tags", "none_of", ["vip"]), at) == {one.pk}


def test_an_underscore_in_a_domain_is_no_joker(db, at):
    Customer.objects.create(external_id="x", address_key="a@exampleXcom.example")
    assert not found(rule_of("domain", "any_of", ["example_com.example"]), at)


def test_an_address_that_is_only_a_domain_is_at_none(db, at):
    Customer.objects.create(external_id="x", address_key="example.com")
    assert not found(rule_of("domain", "any_of", ["example.com"]), at)


def test_what_happens_later_does_not_count_yet(db, at):
    one = Customer.objects.create(external_id="soon")
    Interaction.objects.create(
        customer=one, key="1", kind="order", occurred_at=at + timedelta(seconds=1)
    )
    rule = rule_of("orders", "at_least", 1)
    assert found(rule, at) == set()
    assert found(rule, at + timedelta(seconds=1)) == {one.pk}


def test_dimes_add_up_exactly_and_returns_are_not_taken_off(db, at):
    one = Customer.objects.create(external_id="dimes")
    for number, kind in enumerate(("order", "order", "order", "return")):
        Interaction.objects.create(
            customer=one,
            key=str(number),
            kind=kind,
            occurred_at=at,
            amount=Decimal("0.10"),
            currency="EUR",
        )
    dimes = {"amount": "0.30", "currency": "EUR"}
    assert found(rule_of("spent", "at_least", dimes), at) == {one.pk}
    assert found(rule_of("spent", "at_most", dimes), at) == {one.pk}
    assert not found(rule_of("spent", "at_least", {**dimes, "currency": "GBP"}), at)


def test_a_frozen_run_decides_and_not_the_one_in_use(shop, at):
    older = SegmentationRun.objects.get(state="superseded")
    rule = parse(rule_of("segment", "any_of", ["anxious", "trusting"]))
    wanted = set(
        Membership.objects.filter(
            run=older,
            segment__key__in=["anxious", "trusting"],
            customer__profiling_objected_at=None,
        ).values_list("customer_id", flat=True)
    )
    of_run = matching_in_run(rule, at=at, run_id=older.pk)
    assert set(of_run.values_list("pk", flat=True)) == wanted
    assert wanted != set(matching(rule, at=at).values_list("pk", flat=True))


def test_before_the_first_sorting_everyone_is_unknown(db, at):
    one = Customer.objects.create(external_id="new")
    unknown = parse(rule_of("segment", "any_of", ["unknown"]))
    anxious = parse(rule_of("segment", "any_of", ["anxious"]))
    assert list(matching_in_run(unknown, at=at, run_id=None)) == [one]
    assert not matching_in_run(anxious, at=at, run_id=None).exists()


@pytest.mark.parametrize("field", ["tags", "domain", "language", "country"])
def test_the_largest_rule_there_may_be_is_one_question(
    shop, at, field, django_assert_num_queries
):
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    pairs = [one + other for one in letters for other in letters][:200]
    pattern = {"language": "aa-{}x", "country": "{}", "domain": "{}.example"}
    values = [pattern.get(field, "x{}").format(pair) for pair in pairs]
    condition = {"field": field, "op": "any_of", "value": values}
    deep = {"how": "none", "members": [condition] * 15}
    for how in ("any", "none", "any"):
        deep = {"how": how, "members": [deep, *[condition] * 15]}
    tree, chunk = parse(deep), range(1, 2001)
    with django_assert_num_queries(1):
        list(matching(tree, at=at).filter(pk__in=chunk))


def test_rules_read_from_text_and_from_data_find_the_same(shop, at):
    text = '{"how": "any", "members": [{"field": "tags", "op": "any_of", "value": '
    text += r'["\ud83c\udf31"]}]}'
    assert set(matching(read(text), at=at)) == set(
        matching(parse(rule_of("tags", "any_of", ["🌱"])), at=at)
    )
