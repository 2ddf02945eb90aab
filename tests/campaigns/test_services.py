import re
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model

from campaigns.errors import CampaignsError, CannotSettle, WrongState
from campaigns.models import Batch, EngineNode, Message
from campaigns.planning import NOBODY_SENDS
from campaigns.sending.channels import InDoubt
from campaigns.sending.outbox import read_outbox
from campaigns.sending.protocol import deliver_next_batch
from campaigns.services import (
    cancel_send,
    confirm_accepted,
    link_count,
    link_destination,
    pause_send,
    preview_message,
    rendered_message,
    resume_send,
    schedule_send,
    send_progress,
    send_test,
    settle_in_doubt,
    starter_template,
)
from customers.services import suppress

pytestmark = pytest.mark.django_db


@pytest.fixture
def marketer():
    return get_user_model().objects.create_user("mara")


@pytest.fixture
def doubtful(world, campaign, lane, channel, at):
    """One message in doubt, alone in its batch."""
    world.add_customers(1)
    send = world.prepared_send(campaign)
    channel.answers["person0@example.com"] = InDoubt("in_doubt", "no answer")
    deliver_next_batch(lane, now=at)
    return send.messages.get()


def sums(progress):
    return (
        progress.accepted
        + progress.handing_over
        + progress.in_doubt
        + progress.not_sent
        + progress.waiting
    )


def test_the_five_buckets_sum_to_the_audience_at_any_time(
    world, campaign, lane, channel, at
):
    people = world.add_customers(30)
    suppress(people[1].email, reason="unsubscribed", at=at)
    channel.answers[people[2].email] = InDoubt("in_doubt")
    send = world.prepared_send(campaign)
    seen = []
    channel.before = lambda mails: seen.append(send_progress(send, at=at))
    deliver_next_batch(lane, now=at)
    seen.append(send_progress(send, at=at))
    assert {sums(one) for one in seen} == {one.audience for one in seen} == {30}
    assert seen[0].handing_over > 0
    assert seen[-1].reasons == {"suppressed": 1}


def test_progress_says_what_it_waits_for(world, campaign, at):
    world.add_customers(2)
    later = at + timedelta(days=1)
    send = schedule_send(campaign, scheduled_at=later, at=at)
    assert send_progress(send, at=at).binds == NOBODY_SENDS
    EngineNode.objects.create(name="x", role="y", started_at=at, last_seen=at)
    begins = r"It begins on 3 Mar( 2026)?, 9:00 UTC\."
    assert re.search(begins, send_progress(send, at=at).binds)
    send = pause_send(send, at=at)
    assert send_progress(send, at=at).binds == "Paused."


def test_rate_and_time_left_come_from_the_last_minute(
    world, campaign, lane, channel, at
):
    world.add_customers(12)
    send = world.prepared_send(campaign)
    deliver_next_batch(lane, now=at)
    done = send_progress(send, at=at + timedelta(seconds=50))
    assert done.rate == pytest.approx(done.accepted / 50, rel=0.05)
    assert done.time_left == timedelta(seconds=round(done.waiting / done.rate))


@pytest.mark.parametrize("verb", [pause_send, resume_send, cancel_send])
def test_a_send_that_is_over_can_t_be_changed(world, campaign, at, verb):
    send = schedule_send(campaign, scheduled_at=at, at=at)
    type(send).objects.update(state="sent")
    with pytest.raises(WrongState, match="is sent"):
        verb(send, at=at)


def test_a_scheduled_send_can_be_paused_resumed_and_cancelled(campaign, marketer, at):
    send = schedule_send(campaign, scheduled_at=at, at=at)
    assert pause_send(send, at=at, by=marketer).state_reason == "Paused by mara."
    assert resume_send(send, at=at).state == "scheduled"
    assert cancel_send(send, at=at, by=marketer).state == "cancelled"


def test_an_event_proves_that_a_message_in_doubt_was_taken(doubtful, at):
    assert Batch.objects.get().state == Batch.State.IN_DOUBT
    assert confirm_accepted(doubtful.public_id, at=at)
    doubtful.refresh_from_db()
    assert (doubtful.state, doubtful.detail) == ("accepted", "proven by an event")
    assert Batch.objects.get().state == Batch.State.DONE
    assert not confirm_accepted(doubtful.public_id, at=at)


def test_an_event_about_a_mail_that_never_left_proves_nothing(world, campaign, at):
    world.add_customers(1)
    message = world.prepared_send(campaign).messages.get()
    assert not confirm_accepted(message.public_id, at=at)
    assert not confirm_accepted(4, at=at)
    assert Message.objects.get().state == "waiting"


def test_a_person_settles_a_doubt_and_nothing_is_sent_again(
    doubtful, lane, channel, marketer, at
):
    left = settle_in_doubt(doubtful, as_="left", by=marketer, at=at)
    assert (left.state, left.detail) == ("in_doubt", "left in doubt by mara")
    assert send_progress(left.send, at=at).unsettled == 0
    taken = settle_in_doubt(doubtful, as_="accepted", by=marketer, at=at)
    assert (taken.state, taken.detail) == ("accepted", "marked as sent by mara")
    assert deliver_next_batch(lane, now=at + timedelta(hours=1)) is None
    with pytest.raises(CannotSettle):
        settle_in_doubt(doubtful, as_="left", by=marketer, at=at)


def test_a_starter_template_brings_all_its_tones_and_a_free_name():
    first, second = starter_template("announcement"), starter_template("announcement")
    assert first.variants.count() == 8
    assert first.name != second.name
    assert first.layout == second.layout


def test_a_preview_is_the_mail_with_links_that_lead_nowhere(world, campaign, at):
    [one] = world.add_customers(1)
    mail = preview_message(
        campaign.template, "lively", one, sender=campaign.sender, at=at
    )
    assert mail.subject == "It is here, first looks inside"
    assert "Hooray Name0," in mail.text
    assert "/c/" not in mail.html
    assert "/o/" not in mail.html


def test_links_are_read_from_the_frozen_table(world, campaign, at):
    world.add_customers(1)
    message = world.prepared_send(campaign).messages.get()
    destination = "https://shop.example/plants?from=mail&x=1"
    campaign.template.button_url = "https://elsewhere.example/"
    campaign.template.save()
    assert link_destination(message, 0) == destination
    assert link_destination(message, link_count(message)) is None
    assert link_destination(message, -1) is None
    assert destination not in rendered_message(message).html


def test_a_test_mail_goes_to_oneself_and_counts_nothing(world, campaign, at):
    [one] = world.add_customers(1)
    send_test(
        campaign.template,
        "neutral",
        customer=one,
        to="mara@shop.example",
        sender=campaign.sender,
        at=at,
    )
    [mail] = read_outbox().mails
    assert (mail.to, mail.send_id) == ("mara@shop.example", None)
    assert not Message.objects.exists()


def test_a_test_mail_that_is_not_taken_says_why(world, campaign, at, settings):
    [one] = world.add_customers(1)
    settings.PROVIDER, settings.SMTP_URL = "smtp", "smtp://127.0.0.1:9"
    with pytest.raises(CampaignsError, match="could not be reached"):
        send_test(
            campaign.template,
            "neutral",
            customer=one,
            to="mara@shop.example",
            sender=campaign.sender,
            at=at,
        )
