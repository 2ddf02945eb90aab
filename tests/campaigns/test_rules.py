"""Rule segments as a campaign's audience and as its exclusion."""

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from campaigns import materialising
from campaigns.audience import (
    chunks,
    decide,
    plan_of_campaign,
    plan_of_send,
    resolve_audience,
)
from campaigns.errors import CannotSchedule
from campaigns.forms import CampaignForm
from campaigns.models import Message, Send
from campaigns.services import (
    cancel_send,
    launch_send,
    materialise,
    preflight,
    schedule_send,
)
from customers.models import Customer, Interaction
from customers.services import object_to_profiling, suppress
from segmentation.errors import RuleInUse
from segmentation.models import RuleSegment
from segmentation.rule_segments import change_rule, create_rule, delete_rule

pytestmark = pytest.mark.django_db


def text_of(field, op, value, how="all") -> str:
    condition = {"field": field, "op": op, "value": value}
    return json.dumps({"how": how, "members": [condition]})


VIP = text_of("tags", "any_of", ["vip"])
PRESS = text_of("tags", "any_of", ["press"])


@pytest.fixture
def people(world):
    """Thirty: the first ten are vip, numbers five to fourteen press."""
    people = world.add_customers(30)
    for number, one in enumerate(people):
        tags = ["vip"] * (number < 10) + ["press"] * (5 <= number < 15)
        Customer.objects.filter(pk=one.pk).update(tags=tags)
    return people


@pytest.fixture
def vip(at):
    return create_rule(name="Best friends", text=VIP, by=None, at=at)


@pytest.fixture
def press(at):
    return create_rule(name="Journalists", text=PRESS, by=None, at=at)


@pytest.fixture
def planned(campaign, vip, press):
    campaign.audience_rule, campaign.exclusion_rule = vip, press
    campaign.save()
    return campaign


def pks(people, *numbers):
    return {people[number].pk for number in numbers}


def test_only_those_who_match_and_never_those_who_must_not(people, planned, at):
    audience = resolve_audience(planned, at=at)
    assert set(audience.included) == pks(people, 0, 1, 2, 3, 4)
    assert set(audience.left_out) == pks(people, 5, 6, 7, 8, 9)
    assert set(audience.left_out.values()) == {"excluded"}
    out = audience.outs[people[5].pk]
    assert out.detail == "matches the rule “Journalists”"


def test_the_funnel_closes_with_rules_and_names_them(people, planned, at):
    found = preflight(planned, at=at)
    assert [(step.key, step.remaining, step.out) for step in found.steps] == [
        ("matched", 10, 0),
        ("excluded", 5, 5),
        ("mailed", 5, 0),
    ]
    assert "who match the rule “Best friends”" in found.steps[0].sentence
    assert sum(found.tones.values()) == 5


def test_rules_and_segments_narrow_each_other_down(world, people, planned, at):
    planned.segments = ["excited"]
    audience = resolve_audience(planned, at=at, run=world.published_run())
    # Excited are the numbers 0, 2, 6, 8, 12, ...: world.SEGMENTS in turn.
    assert set(audience.included) == pks(people, 0, 2)
    assert set(audience.left_out) == pks(people, 6, 8)


def test_exclusion_wins_over_inclusion(people, campaign, vip, at):
    campaign.audience_rule = campaign.exclusion_rule = vip
    audience = resolve_audience(campaign, at=at)
    assert not audience.included
    assert len(audience) == 10


def test_consent_holds_and_suppression_keep_their_own_reasons(people, planned, at):
    suppress(people[0].email, reason="unsubscribed", at=at)
    suppress(people[5].email, reason="unsubscribed", at=at)
    Interaction.objects.create(
        customer=people[6],
        occurred_at=at - timedelta(days=2),
        kind="survey",
        key="1",
        rating=1,
    )
    people[7].consents.all().delete()
    audience = resolve_audience(planned, at=at)
    reasons = [audience.left_out[people[number].pk] for number in (0, 5, 6, 7, 8)]
    assert reasons == ["suppressed", "suppressed", "held", "no_consent", "excluded"]


def test_whoever_is_excluded_takes_no_mailbox_from_another(people, campaign, press, at):
    campaign.exclusion_rule = press
    Customer.objects.filter(pk=people[20].pk).update(
        email=people[5].email, address_key=people[5].address_key
    )
    audience = resolve_audience(campaign, at=at)
    assert audience.left_out[people[5].pk] == "excluded"
    assert people[20].pk in audience.included


def test_what_the_preflight_counts_is_what_is_written_chunk_by_chunk(
    people, planned, at, monkeypatch
):
    monkeypatch.setattr(materialising, "CUSTOMERS_A_CHUNK", 4)
    send = launch_send(schedule_send(planned, scheduled_at=at, at=at), at=at)
    assert materialise(send, at=at)
    send.refresh_from_db()
    assert send.audience_size == send.messages.count() == 10
    written = send.messages.filter(state="left_out")
    assert set(written.values_list("reason", "detail")) == {
        ("excluded", "matches the rule “Journalists”")
    }
    assert set(written.values_list("customer", flat=True)) == pks(people, 5, 6, 7, 8, 9)


def test_a_rule_costs_one_question_a_chunk(people, planned, at):
    def questions(plan):
        [chunk] = chunks()
        with CaptureQueriesContext(connection) as asked:
            decide(plan, chunk, at=at, taken=lambda keys: set())
        return len(asked)

    with_rules = plan_of_campaign(planned, run=None)
    planned.audience_rule = planned.exclusion_rule = None
    assert questions(with_rules) == questions(plan_of_campaign(planned, run=None)) + 2


def test_a_scheduled_send_keeps_the_rule_of_then(people, planned, vip, press, at):
    send = schedule_send(planned, scheduled_at=at, at=at)
    before = resolve_audience(send, at=at)
    change_rule(vip, name="Others", text=PRESS, by=None, at=at)
    change_rule(press, name="Nobody", text=VIP, by=None, at=at)
    planned.audience_rule = planned.exclusion_rule = None
    planned.save()
    send = Send.objects.get()
    assert resolve_audience(send, at=at) == before
    assert set(before.included) == pks(people, 0, 1, 2, 3, 4)
    plan = plan_of_send(send)
    assert (plan.audience_rule.name, plan.exclusion_rule.name) == (
        "Best friends",
        "Journalists",
    )
    json.dumps(send.frozen)


def test_a_send_from_before_there_were_rules_has_none(people, campaign, at):
    send = schedule_send(campaign, scheduled_at=at, at=at)
    del send.frozen["plan"]["audience_rule"], send.frozen["plan"]["exclusion_rule"]
    assert plan_of_send(send).audience_rule is None
    assert len(resolve_audience(send, at=at)) == 30


def test_a_rule_asks_the_run_of_the_send(world, people, campaign, at):
    text = text_of("segment", "any_of", ["excited"])
    campaign.audience_rule = create_rule(name="Keen", text=text, by=None, at=at)
    campaign.save()
    send = schedule_send(campaign, scheduled_at=at, at=at)
    before = resolve_audience(send, at=at)
    assert len(before) == 10
    run = world.published_run()
    run.state = "superseded"
    run.save()
    assert resolve_audience(send, at=at) == before


def test_a_rule_counts_what_happened_up_to_its_moment(people, campaign, at):
    text = text_of("orders", "at_least", 1)
    campaign.audience_rule = create_rule(name="Buyers", text=text, by=None, at=at)
    Interaction.objects.create(
        customer=people[3], occurred_at=at + timedelta(hours=1), kind="order", key="1"
    )
    assert not len(resolve_audience(campaign, at=at))
    later = resolve_audience(campaign, at=at + timedelta(hours=2))
    assert set(later.included) == pks(people, 3)


def test_none_of_a_feeling_reaches_whoever_objected_in_neutral_words(
    world, people, campaign, at
):
    object_to_profiling(people[0], source="test", at=at)
    text = text_of("segment", "any_of", ["excited"], how="none")
    rule = create_rule(name="Calm", text=text, by=None, at=at)
    campaign.audience_rule = rule
    audience = resolve_audience(campaign, at=at, run=world.published_run())
    assert audience.included[people[0].pk].tone == "neutral"
    assert people[2].pk not in audience.included


def test_a_rule_is_not_deleted_under_a_campaign_to_come(planned, vip, at):
    with pytest.raises(RuleInUse, match="the campaign “Spring”"):
        delete_rule(vip, at=at)
    schedule_send(planned, scheduled_at=at, at=at)
    with pytest.raises(RuleInUse):
        delete_rule(vip, at=at)
    assert RuleSegment.objects.in_use().count() == 2


def test_after_the_campaign_has_ended_it_can_go_and_sends_nothing_wider(
    people, planned, vip, at
):
    cancel_send(schedule_send(planned, scheduled_at=at, at=at), at=at)
    delete_rule(vip, at=at)
    vip.refresh_from_db()
    assert vip.removed_at == at
    assert vip not in RuleSegment.objects.in_use()
    with pytest.raises(CannotSchedule, match="“Best friends” was deleted"):
        schedule_send(planned, scheduled_at=at, at=at)
    assert not Message.objects.exists()


def test_the_form_of_a_campaign_keeps_a_deleted_rule_until_a_person_takes_it_out(
    planned, vip, at
):
    cancel_send(schedule_send(planned, scheduled_at=at, at=at), at=at)
    delete_rule(vip, at=at)
    planned.refresh_from_db()
    assert vip in CampaignForm(instance=planned).fields["audience_rule"].queryset
    assert vip not in CampaignForm().fields["audience_rule"].queryset


def test_a_campaign_is_planned_with_rules_and_every_page_shows_them(
    admin_client, world, people, campaign, vip, press, at
):
    given = {
        "name": "Summer",
        "template": campaign.template_id,
        "sender": campaign.sender_id,
        "neutral_share": 0.2,
        "audience_rule": vip.pk,
        "exclusion_rule": press.pk,
    }
    answer = admin_client.post(reverse("admin:campaigns_campaign_add"), given)
    page = admin_client.get(answer["Location"]).content.decode()
    for words in ("Best friends", "Journalists", "have the tag “vip”"):
        assert words in page
    made = campaign.__class__.objects.get(name="Summer")
    names = reverse("campaigns:left_out_now", args=[made.pk, "excluded"])
    assert "Name5" in admin_client.get(names).content.decode()
    send = world.prepared_send(made)
    change_rule(vip, name="Renamed", text=PRESS, by=None, at=at)
    page = admin_client.get(reverse("campaigns:send", args=[send.pk])).content.decode()
    for words in ("Best friends", "have the tag “vip”", "Left out by a rule"):
        assert words in page
    report = reverse("engagement_admin:report", args=[send.pk])
    assert "Left out by a rule" in admin_client.get(report).content.decode()


def test_the_same_rule_on_both_sides_is_refused(admin_client, campaign, vip):
    given = {
        "name": "Summer",
        "template": campaign.template_id,
        "sender": campaign.sender_id,
        "neutral_share": 0.2,
        "audience_rule": vip.pk,
        "exclusion_rule": vip.pk,
    }
    answer = admin_client.post(reverse("admin:campaigns_campaign_add"), given)
    assert "reaches nobody" in answer.content.decode()


def test_a_rule_in_use_says_by_whom_and_stays(admin_client, planned, vip):
    page = reverse("segmentation:delete_rule", args=[vip.key])
    answer = admin_client.post(page, follow=True)
    assert "the campaign “Spring”" in answer.content.decode()
    assert RuleSegment.objects.filter(pk=vip.pk).exists()
