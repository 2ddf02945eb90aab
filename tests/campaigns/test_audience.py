from datetime import timedelta

import pytest

from campaigns.audience import (
    LEFT_OUT_REASONS,
    UNKNOWN,
    chunks,
    decide,
    keys_of,
    plan_of_campaign,
    resolve_audience,
)
from campaigns.services import launch_send, schedule_send
from customers.models import Consent, Customer, Interaction
from customers.services import object_to_profiling, record_consent, suppress

pytestmark = pytest.mark.django_db


def reason(campaign, customer, at):
    return resolve_audience(campaign, at=at).left_out[customer.pk]


def test_everyone_is_in_or_out_for_one_reason(world, campaign, at):
    people = world.add_customers(30)
    suppress(people[3].email, reason="unsubscribed", at=at)
    Customer.objects.filter(pk=people[4].pk).update(email="", address_key="")
    audience = resolve_audience(campaign, at=at, run=world.published_run())
    assert audience.left_out == {people[3].pk: "suppressed", people[4].pk: "no_address"}
    assert len(audience.included) + len(audience.left_out) == 30
    assert not audience.included.keys() & audience.left_out.keys()


def test_a_suppressed_customer_is_left_out_whatever_the_spelling(world, campaign, at):
    [one] = world.add_customers(1)
    suppress(one.email.upper(), reason="complained", at=at)
    assert reason(campaign, one, at) == "suppressed"


def test_an_address_that_can_t_get_mail_is_named(world, campaign, at):
    [one] = world.add_customers(1)
    Customer.objects.update(email="nobody at all")
    audience = resolve_audience(campaign, at=at)
    assert audience.left_out[one.pk] == "invalid_address"
    assert audience.outs[one.pk].detail


def test_without_consent_there_is_no_promotion_but_service_mail(world, campaign, at):
    [one, never] = world.add_customers(2)
    record_consent(one, purpose="marketing", basis="withdrawn", source="x", at=at)
    Consent.objects.filter(customer=never).delete()
    assert resolve_audience(campaign, at=at).left_out == {
        one.pk: "no_consent",
        never.pk: "no_consent",
    }
    campaign.template.purpose = "service"
    assert not resolve_audience(campaign, at=at).left_out


def test_a_low_rating_holds_promotion_back_and_says_why(world, campaign, at):
    [one] = world.add_customers(1)
    Interaction.objects.create(
        customer=one,
        occurred_at=at - timedelta(days=2),
        kind="survey",
        key="1",
        rating=1,
    )
    audience = resolve_audience(campaign, at=at)
    assert audience.left_out == {one.pk: "held"}
    assert audience.outs[one.pk].detail == "a survey rated 1 on 28 February 2026"


def test_never_mail_comes_before_held_and_both_before_a_double(world, campaign, at):
    [one, two] = world.add_customers(2)
    suppress(one.email, reason="unsubscribed", at=at)
    Interaction.objects.create(
        customer=one,
        occurred_at=at - timedelta(days=2),
        kind="survey",
        key="1",
        rating=1,
    )
    Customer.objects.filter(pk=two.pk).update(
        email=one.email, address_key=one.address_key
    )
    assert resolve_audience(campaign, at=at).left_out == {
        one.pk: "suppressed",
        two.pk: "suppressed",
    }


def test_two_customers_with_one_mailbox_get_one_mail(world, campaign, at):
    [one, two] = world.add_customers(2)
    Customer.objects.filter(pk=two.pk).update(
        email="PERSON0@Example.com", address_key=one.address_key
    )
    audience = resolve_audience(campaign, at=at)
    assert list(audience.included) == [one.pk]
    assert audience.left_out == {two.pk: "duplicate_address"}


def test_only_the_segments_asked_for_match(world, campaign, at):
    world.add_customers(60)
    campaign.segments = ["anxious"]
    audience = resolve_audience(campaign, at=at, run=world.published_run())
    assert len(audience) == 10
    assert {one.segment_key for one in audience.included.values()} == {"anxious"}


def test_a_fifth_of_a_segment_gets_neutral_words(world, campaign, at):
    world.add_customers(1200)
    audience = resolve_audience(campaign, at=at, run=world.published_run())
    excited = [
        one for one in audience.included.values() if one.segment_key == "excited"
    ]
    control = [one for one in excited if one.arm == "neutral"]
    assert len(excited) == 400
    assert 40 < len(control) < 120  # 80 expected, standard deviation 8
    assert {one.tone for one in control} == {"neutral"}
    assert {one.tone for one in excited if one.arm == "fitting"} == {"lively"}


def test_a_tone_without_words_becomes_neutral(world, campaign, at):
    world.add_customers(12)
    audience = resolve_audience(campaign, at=at, run=world.published_run())
    frustrated = [
        one for one in audience.included.values() if one.segment_key == "frustrated"
    ]
    assert {one.tone for one in frustrated} == {"neutral"}
    assert {one.arm for one in frustrated} == {"fitting"}


def test_who_objected_is_in_no_segment_and_gets_the_same_mail_neutrally(
    world, campaign, at
):
    [one] = world.add_customers(1)
    object_to_profiling(one, source="test", at=at)
    audience = resolve_audience(campaign, at=at, run=world.published_run())
    assert audience.included[one.pk][:3] == (UNKNOWN, "neutral", "fitting")


def test_deciding_in_chunks_is_deciding_at_once(world, campaign, at):
    world.add_customers(37)
    Customer.objects.filter(external_id__in=["c5", "c30"]).update(
        address_key="person0@example.com", email="person0@example.com"
    )
    plan = plan_of_campaign(campaign, run=world.published_run())
    whole = resolve_audience(campaign, at=at, run=world.published_run())
    included, keys = {}, set()
    for chunk in chunks(size=5):
        part = decide(plan, chunk, at=at, taken=keys.intersection)
        keys |= keys_of(chunk, part)
        included |= part.included
    assert included == whole.included


def test_a_send_decides_by_its_frozen_rules(world, campaign, at):
    world.add_customers(12)
    send = launch_send(schedule_send(campaign, scheduled_at=at, at=at), at=at)
    before = resolve_audience(send, at=at)
    campaign.template.variants.exclude(tone="neutral").delete()
    campaign.segments = ["trusting"]
    campaign.save()
    assert resolve_audience(send, at=at) == before


def test_every_reason_has_words_for_a_marketer():
    for reason in LEFT_OUT_REASONS.values():
        assert reason.label
        assert reason.sentence.endswith(".")
