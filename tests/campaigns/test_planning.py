from datetime import timedelta

import pytest

from campaigns.errors import CannotSchedule
from campaigns.models import EngineNode, Send, Variant
from campaigns.planning import NOBODY_SENDS, missing_parts, sender_is_running
from campaigns.services import preflight, schedule_send
from customers.services import suppress

pytestmark = pytest.mark.django_db


def test_the_funnel_closes_and_its_tones_sum_to_who_is_mailed(world, campaign, at):
    people = world.add_customers(60)
    for one in people[:4]:
        suppress(one.email, reason="unsubscribed", at=at)
    found = preflight(campaign, at=at)
    assert [(step.key, step.remaining, step.out) for step in found.steps] == [
        ("matched", 60, 0),
        ("suppressed", 56, 4),
        ("mailed", 56, 0),
    ]
    assert sum(found.tones.values()) == sum(found.segments.values()) == 56
    assert set(found.tones) == {"lively", "reassuring", "neutral"}
    assert found.can_schedule


def test_what_the_preflight_counts_is_what_is_written(world, campaign, at):
    world.add_customers(120)
    counted = preflight(campaign, at=at).tones
    send = world.prepared_send(campaign)
    written = {}
    for tone in send.messages.values_list("tone", flat=True):
        written[tone] = written.get(tone, 0) + 1
    assert written == counted


def test_a_campaign_without_neutral_words_address_and_post_says_all_of_it(
    world, campaign, at
):
    Variant.objects.filter(tone="neutral").delete()
    campaign.sender.from_address = campaign.sender.postal_address = ""
    campaign.sender.save()
    with pytest.raises(CannotSchedule) as refused:
        schedule_send(campaign, scheduled_at=at, at=at)
    told = " ".join(refused.value.problems)
    assert "no words in the neutral tone" in told
    assert "The sender has no address" in told
    assert "The sender has no postal address" in told
    assert not campaign.sends.exists()
    assert not preflight(campaign, at=at).can_schedule


def test_broken_markup_is_named_with_its_line_and_freezes_nothing(campaign, at):
    template = campaign.template
    template.layout = template.layout.replace("<mj-column>", "<mj-colum>", 1)
    template.save()
    with pytest.raises(CannotSchedule, match=r"line \d+"):
        schedule_send(campaign, scheduled_at=at, at=at)
    assert not campaign.sends.exists()


def test_a_list_of_nobody_can_t_be_scheduled_from_the_preflight(campaign, at):
    assert "No customer matches" in " ".join(preflight(campaign, at=at).problems)


def test_no_sender_and_no_segments_are_warnings(world, campaign, at):
    warnings = preflight(campaign, at=at).warnings
    assert NOBODY_SENDS in warnings
    assert any("No segments are in use yet" in one for one in warnings)
    EngineNode.objects.create(name="x", role="y", started_at=at, last_seen=at)
    assert NOBODY_SENDS not in preflight(campaign, at=at).warnings
    late = at + timedelta(minutes=1)
    assert NOBODY_SENDS in preflight(campaign, at=late).warnings


def test_a_send_keeps_the_words_it_was_scheduled_with(world, campaign, at):
    world.add_customers(6)
    send = schedule_send(campaign, scheduled_at=at, at=at)
    before = {one.tone: one.compiled for one in send.variants.all()}
    Variant.objects.update(subject="Something else")
    campaign.sender.from_address = "other@shop.example"
    campaign.sender.save()
    Send.objects.update(state="sent")
    again = schedule_send(campaign, scheduled_at=at, at=at)
    assert {one.tone: one.compiled for one in send.variants.all()} == before
    assert send.content_hash != again.content_hash
    assert send.frozen["sender"]["from_address"] == "hello@shop.example"


def test_a_second_press_on_schedule_mails_nobody_twice(world, campaign, at):
    world.add_customers(6)
    first = schedule_send(campaign, scheduled_at=at, at=at, newest_known=0)
    with pytest.raises(CannotSchedule, match="is scheduled already"):
        schedule_send(campaign, scheduled_at=at, at=at, newest_known=0)
    Send.objects.update(state="sent")
    with pytest.raises(CannotSchedule, match="was sent since this page was opened"):
        schedule_send(campaign, scheduled_at=at, at=at, newest_known=0)
    schedule_send(campaign, scheduled_at=at, at=at, newest_known=first.pk)
    assert Send.objects.count() == 2


@pytest.mark.parametrize("field", ["from_address", "reply_to"])
def test_a_sender_no_mail_can_come_from_is_told_before(campaign, at, field):
    setattr(campaign.sender, field, "hello@shop.test")
    with pytest.raises(CannotSchedule, match=r"hello@shop\.test"):
        schedule_send(campaign, scheduled_at=at, at=at)


def test_only_tones_that_somebody_may_get_are_compiled(world, campaign, at):
    campaign.segments = ["anxious"]
    send = schedule_send(campaign, scheduled_at=at, at=at)
    tones = set(send.variants.values_list("tone", flat=True))
    assert tones == {"neutral", "reassuring"}
    assert set(send.frozen["variants"].values()) == tones


def test_the_offer_is_the_same_in_every_tone(world, campaign, at):
    send = schedule_send(campaign, scheduled_at=at, at=at)
    for one in send.variants.all():
        assert "One pot free with every plant." in one.compiled["html"]
        assert one.compiled["links"] == send.variants.first().compiled["links"]


@pytest.mark.parametrize(
    ("roles", "sends", "missing"),
    [
        ([], False, []),
        (["run_engine"], True, []),
        (["worker"], True, []),
        (["run_engine mail"], True, ["comes back", "prepares"]),
        (["run_engine mail", "run_engine events"], True, ["prepares"]),
        (["run_engine mail", "run_engine events", "run_engine chores"], True, []),
        (["run_engine mail", "worker"], True, []),
        (["run_engine chores", "run_engine events"], False, []),
    ],
)
def test_what_nobody_does_is_told(db, at, roles, sends, missing):
    for role in roles:
        EngineNode.objects.create(name=role, role=role, started_at=at, last_seen=at)
    assert sender_is_running(at=at) == sends
    told = missing_parts(at=at)
    assert len(told) == len(missing)
    assert all(one in words for one, words in zip(missing, told, strict=True))
    assert missing_parts(at=at + timedelta(minutes=4)) == []  # nobody is there at all
