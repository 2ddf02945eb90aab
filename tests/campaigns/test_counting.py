import time
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from campaigns import counting
from campaigns.counting import (
    ask_count,
    carry_on_counting,
    count_now,
    count_of,
    kept_counts,
    open_counts,
    plan_now,
)
from campaigns.models import AudienceCount
from campaigns.sending import engine
from campaigns.services import preflight
from customers.models import Customer
from customers.services import suppress

pytestmark = pytest.mark.django_db


@pytest.fixture
def large(world, monkeypatch, at):
    """Thirty customers where a page counts five; three of them are left out."""
    monkeypatch.setattr(counting, "COUNTED_AT_ONCE", 5)
    monkeypatch.setattr(counting, "CUSTOMERS_A_CHUNK", 4)
    people = world.add_customers(30)
    suppress(people[2].email, reason="unsubscribed", at=at)
    # One mailbox, chunks apart; the first of them is left out, so the second gets it.
    for later in (12, 21):
        share_mailbox(people[later], people[7])
    Customer.objects.filter(pk=people[25].pk).update(email="", address_key="")
    return people


@pytest.fixture
def marketer(admin_client):
    return admin_client


def share_mailbox(later, first):
    Customer.objects.filter(pk=later.pk).update(
        email=first.email, address_key=first.address_key
    )


def counted(campaign):
    asked = count_of(campaign)
    carry_on_counting(asked.pk)
    return kept_counts(campaign, plan_now(campaign))


def test_counting_in_steps_finds_what_counting_at_once_finds(large, campaign, at):
    ask_count(campaign, at=at)
    in_steps = counted(campaign)
    at_once = count_now(plan_now(campaign), at=at)
    assert in_steps == at_once
    assert dict(in_steps.out) == {
        "suppressed": 1,
        "duplicate_address": 2,
        "no_address": 1,
    }


def test_a_count_that_died_goes_on_from_where_it_was(large, campaign, at):
    asked = ask_count(campaign, at=at)
    assert not carry_on_counting(asked.pk, until=time.monotonic())
    assert count_of(campaign).customers == 4
    assert counted(campaign).matched == 30


def test_two_at_once_count_nobody_twice(large, campaign, at, monkeypatch):
    asked, chunk_of = ask_count(campaign, at=at), counting.next_chunk
    overtaken = []

    def overtaking(**arguments):
        if len(overtaken) < 3:
            overtaken.append(arguments)
            carry_on_counting(asked.pk, until=time.monotonic())
        return chunk_of(**arguments)

    monkeypatch.setattr(counting, "next_chunk", overtaking)
    assert counted(campaign).matched == 30
    assert len(overtaken) == 3


def test_who_is_at_it_is_left_alone_until_they_are_silent_for_long(large, campaign, at):
    asked = ask_count(campaign, at=at)
    assert open_counts(at=at) == [asked.pk]
    AudienceCount.objects.update(worked_at=at)
    assert open_counts(at=at + timedelta(seconds=14)) == []
    assert open_counts(at=at + timedelta(seconds=15)) == [asked.pk]


def test_a_plan_that_changes_meanwhile_is_counted_from_the_start(large, campaign, at):
    asked = ask_count(campaign, at=at)
    carry_on_counting(asked.pk, until=time.monotonic())
    campaign.segments = ["excited"]
    campaign.save()
    plan = plan_now(campaign)
    assert counted(campaign) == count_now(plan, at=count_of(campaign).asked_at)


def test_what_was_counted_for_another_plan_is_not_shown(large, campaign, at):
    ask_count(campaign, at=at)
    assert counted(campaign).matched == 30
    campaign.segments = ["excited"]
    campaign.save()
    found = preflight(campaign, at=at)
    assert not found.counted
    assert found.steps[0].remaining == 0


def test_asking_again_while_it_is_counted_changes_nothing(large, campaign, at):
    asked = ask_count(campaign, at=at)
    carry_on_counting(asked.pk, until=time.monotonic())
    ask_count(campaign, at=at + timedelta(minutes=1))
    assert count_of(campaign).customers == 4


def test_the_engine_counts_when_the_mail_is_out(large, campaign, at):
    ask_count(campaign, at=at)
    assert not engine.run_once(at=at).idle
    assert kept_counts(campaign, plan_now(campaign)).matched == 30
    assert engine.run_once(at=at).idle


def page(marketer, campaign):
    url = reverse("admin:campaigns_campaign_change", args=[campaign.pk])
    return marketer.get(url).content.decode()


def test_the_page_of_a_large_shop_says_when_it_was_counted(
    large, marketer, campaign, at
):
    assert "Not counted yet" in page(marketer, campaign)
    marketer.post(reverse("campaigns:count", args=[campaign.pk]))
    assert "It is being counted" in page(marketer, campaign)
    carry_on_counting(count_of(campaign).pk)
    shown = page(marketer, campaign)
    assert "Counted as of" in shown
    assert "26 of 30 customers would get" in shown
    campaign.neutral_share = 0.5
    campaign.save()
    assert "Counted for another plan" in page(marketer, campaign)


def test_a_page_asks_as_much_of_a_larger_shop(
    large, marketer, campaign, at, django_assert_max_num_queries
):
    ask_count(campaign, at=at)
    counted(campaign)
    page(marketer, campaign)
    with django_assert_max_num_queries(60):
        page(marketer, campaign)


def test_what_nobody_counts_can_be_counted_on_the_spot(large, marketer, campaign, at):
    ask_count(campaign, at=at - timedelta(hours=1))
    assert "Count it here and now" in page(marketer, campaign)
    marketer.post(reverse("campaigns:count_here", args=[campaign.pk]))
    assert kept_counts(campaign, plan_now(campaign)).matched == 30


def test_looking_at_how_far_it_is_counts_nobody(large, marketer, campaign, at):
    ask_count(campaign, at=at)
    part = marketer.get(reverse("campaigns:count_part", args=[campaign.pk]))
    assert (
        "0 of about" in part.content.decode() or "0 customers" in part.content.decode()
    )
    assert count_of(campaign).customers == 0


def test_names_are_of_the_count_and_reasons_of_now(large, marketer, campaign, at):
    ask_count(campaign, at=at)
    counted(campaign)
    names = reverse("campaigns:left_out_now", args=[campaign.pk, "duplicate_address"])
    shown = marketer.get(names).content.decode()
    assert str(large[12]) in shown
    assert str(large[21]) in shown
    # The one who had the mailbox is gone: the next has it.
    large[7].delete()
    shown = marketer.get(names).content.decode()
    assert str(large[12]) not in shown
    assert str(large[21]) in shown


def test_trouble_with_a_count_ends_no_engine_and_is_tried_again_later(
    large, campaign, at, monkeypatch
):
    ask_count(campaign, at=at)
    asked = count_of(campaign)

    def break_down(*parts, **named):
        raise ZeroDivisionError

    with monkeypatch.context() as broken:
        broken.setattr(counting, "decide_after", break_down)
        engine.run_once(at=at)
    now = timezone.now()
    assert open_counts(at=now) == []
    assert open_counts(at=now + counting.GIVEN_UP_AFTER) == [asked.pk]
    assert counted(campaign).matched == 30
