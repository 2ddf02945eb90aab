import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import User

from customers.models import Customer
from segmentation import rule_segments
from segmentation.errors import RuleRefused
from segmentation.models import RuleSegment, Segment
from segmentation.rule_segments import (
    change_rule,
    count_rule,
    create_rule,
    delete_rule,
    try_rule,
    words_of,
)
from segmentation.rules.tree import read

pytestmark = pytest.mark.django_db
VIP = json.dumps(
    {"how": "all", "members": [{"field": "tags", "op": "any_of", "value": ["vip"]}]}
)
ANXIOUS = VIP.replace("tags", "segment").replace("vip", "anxious")


@pytest.fixture
def mara(db):
    return User.objects.create_user("mara", is_staff=True)


@pytest.fixture
def five(db):
    return [
        Customer.objects.create(external_id=f"c{number}", tags=["vip"])
        for number in range(5)
    ]


def made(name, at, text=VIP):
    return create_rule(name=name, text=text, by=None, at=at)


def test_a_rule_is_kept_with_who_when_and_how_many(five, mara, at):
    rule = create_rule(name="  Best   friends ", text=VIP, by=mara, at=at)
    rule.refresh_from_db()
    assert (rule.name, rule.key, rule.counted) == ("Best friends", "best-friends", 5)
    assert rule.created_by == rule.changed_by == mara
    assert rule.created_at == rule.counted_at == at


def test_a_changed_rule_keeps_its_key_and_its_maker(five, mara, at):
    rule = create_rule(name="Best friends", text=VIP, by=mara, at=at)
    later = at + timedelta(days=1)
    change_rule(rule, name="Worriers", text=ANXIOUS, by=None, at=later)
    rule.refresh_from_db()
    assert (rule.name, rule.key, rule.counted) == ("Worriers", "best-friends", 0)
    assert (rule.created_by, rule.changed_by) == (mara, None)
    assert (rule.created_at, rule.changed_at) == (at, later)


def test_a_name_is_taken_once_until_its_rule_is_deleted(at):
    first = made("Vip", at)
    with pytest.raises(RuleRefused, match="There is a rule “Vip” already"):
        made("Vip", at)
    other = made("vip", at)
    assert other.key == "vip-2"
    with pytest.raises(RuleRefused, match="already"):
        change_rule(other, name="Vip", text=VIP, by=None, at=at)
    delete_rule(first, at=at)
    assert made("Vip", at).key == "vip"


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "a\x00b", "\ud83d"])
def test_a_name_that_is_none_is_refused(at, name):
    with pytest.raises(RuleRefused, match="needs a name of 1 to 80 characters"):
        made(name, at)
    assert not RuleSegment.objects.exists()


def test_a_name_without_letters_of_an_address_still_gets_a_key(at):
    assert [made("🌱", at).key, made("日本", at).key] == ["rule", "rule-2"]


def test_a_refused_rule_leaves_the_kept_one_alone(at):
    rule = made("Vip", at)
    with pytest.raises(RuleRefused):
        change_rule(rule, name="Other", text="{}", by=None, at=at)
    assert RuleSegment.objects.get().name == "Vip"


def test_a_rule_nobody_uses_is_gone_when_deleted(at):
    delete_rule(made("Vip", at), at=at)
    assert not RuleSegment.objects.exists()


def test_a_deleted_rule_is_not_changed_any_more(at):
    retired, gone = made("Vip", at), made("Press", at)
    RuleSegment.objects.filter(pk=retired.pk).update(removed_at=at)
    RuleSegment.objects.filter(pk=gone.pk).delete()
    for rule in (retired, gone):
        with pytest.raises(RuleRefused, match="was deleted"):
            change_rule(rule, name="Other", text=VIP, by=None, at=at)
    assert [one.name for one in RuleSegment.objects.all()] == ["Vip"]


def test_counting_again_says_when(five, at):
    rule = made("Vip", at)
    five[0].delete()
    later = at + timedelta(days=1)
    assert count_rule(rule, at=later) == 4
    rule.refresh_from_db()
    assert (rule.counted, rule.counted_at) == (4, later)


def test_trying_keeps_nothing_and_stops_counting_at_a_limit(five, at, monkeypatch):
    found = try_rule(VIP, at=at)
    assert (found.count, found.more, len(found.sample)) == (5, False, 5)
    monkeypatch.setattr(rule_segments, "TRIED_MOST", 4)
    found = try_rule(VIP, at=at)
    assert (found.count, found.more) == (4, True)
    assert not RuleSegment.objects.exists()


def test_words_use_the_names_a_marketer_gave(at):
    Segment.objects.filter(key="anxious").update(name="Worriers")
    assert words_of(read(ANXIOUS)) == "Customers who are in Worriers."
