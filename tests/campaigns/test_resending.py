from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from campaigns.errors import CannotSettle, WrongState
from campaigns.models import Batch, Message, Send
from campaigns.resending import send_doubtful_again, send_failed_again
from campaigns.sending import ledger
from campaigns.sending.breaker import BULK, TRANSACTIONAL
from campaigns.sending.channels import InDoubt, Refused
from campaigns.sending.protocol import Lane, deliver_next_batch
from campaigns.services import (
    cancel_send,
    confirm_accepted,
    launch_send,
    materialise,
    schedule_send,
)
from customers.services import suppress

pytestmark = pytest.mark.django_db
LATER = timedelta(hours=1)


@pytest.fixture
def by():
    return get_user_model().objects.create_superuser("mara")


@pytest.fixture
def send(world, campaign, lane, channel, at):
    """Six: four taken, one refused by mistake, one whose address takes no mail."""
    world.add_customers(6)
    send = world.prepared_send(campaign)
    channel.answers["person0@example.com"] = Refused("not_sent_bad", "status 422")
    channel.answers["person1@example.com"] = Refused("invalid", "no such address")
    deliver_all(lane, at)
    send.refresh_from_db()
    assert send.state == Send.State.SENT
    channel.answers.clear()
    return send


@pytest.fixture
def doubtful(world, campaign, lane, channel, at):
    world.add_customers(1)
    send = world.prepared_send(campaign)
    channel.answers["person0@example.com"] = InDoubt("in_doubt", "no answer")
    deliver_all(lane, at)
    channel.answers.clear()
    return send.messages.get()


def deliver_all(lane, at):
    while deliver_next_batch(lane, now=at):
        pass
    ledger.finish_sends(now=at)


def states(send):
    found = send.messages.order_by("pk").values_list("address_wire", "state")
    return {address.partition("@")[0]: state for address, state in found}


def test_only_who_was_refused_by_mistake_gets_it_then_and_once(
    send, lane, channel, by, at
):
    before = len(channel.ledger)
    assert send_failed_again(send, by=by, at=at) == 1
    assert send_failed_again(send, by=by, at=at) == 0
    deliver_all(lane, at + LATER)
    assert channel.ledger[before:] == ["person0@example.com"]
    send.refresh_from_db()
    assert (send.state, states(send)["person0"]) == ("sent", "accepted")
    assert states(send)["person1"] == "failed"


def test_who_said_no_in_between_gets_nothing_the_second_time(
    send, lane, channel, by, at
):
    before = len(channel.ledger)
    suppress("person0@example.com", reason="unsubscribed", source="test", at=at)
    send_failed_again(send, by=by, at=at)
    deliver_all(lane, at + LATER)
    assert channel.ledger[before:] == []
    assert states(send)["person0"] == "left_out"


def test_of_a_cancelled_send_nothing_is_sent_again(world, campaign, by, at):
    world.add_customers(1)
    send = cancel_send(world.prepared_send(campaign), at=at, by=by)
    with pytest.raises(WrongState, match="cancelled"):
        send_failed_again(send, by=by, at=at)


def test_a_doubt_is_sent_again_only_by_a_person_and_for_itself(
    doubtful, lane, channel, by, at
):
    deliver_all(lane, at + LATER)
    before = len(channel.ledger)
    send_doubtful_again(doubtful, by=by, at=at)
    assert set(Batch.objects.values_list("state", flat=True)) == {"done", "waiting"}
    deliver_all(lane, at + LATER)
    assert channel.ledger[before:] == ["person0@example.com"]
    doubtful.refresh_from_db()
    assert doubtful.state == Message.State.ACCEPTED
    with pytest.raises(CannotSettle, match="only one in doubt"):
        send_doubtful_again(doubtful, by=by, at=at)


def test_a_report_of_the_first_attempt_takes_the_second_back(
    doubtful, lane, channel, by, at
):
    before = len(channel.ledger)
    send_doubtful_again(doubtful, by=by, at=at)
    assert confirm_accepted(doubtful.public_id, at=at)
    deliver_all(lane, at + LATER)
    assert channel.ledger[before:] == []
    doubtful.refresh_from_db()
    assert (doubtful.state, doubtful.detail) == ("accepted", "proven by an event")
    assert Send.objects.get().state == Send.State.SENT


def test_the_page_offers_it_and_says_what_it_risks(send, client, by):
    client.force_login(by)
    page = reverse("campaigns:send", args=[send.pk])
    assert "Send to 1 again" in client.get(page).content.decode()
    again = reverse("campaigns:failed_again", args=[send.pk])
    assert client.get(again).status_code == 405
    answer = client.post(again, follow=True).content.decode()
    assert "1 wait again" in answer
    assert "Send to 1 again" not in answer


def test_a_doubtful_one_can_be_sent_again_on_the_page(doubtful, client, by):
    client.force_login(by)
    page = reverse("campaigns:send", args=[doubtful.send_id])
    assert "gets it twice" in client.get(page).content.decode()
    client.post(reverse("campaigns:settle", args=[doubtful.pk, "again"]))
    doubtful.refresh_from_db()
    assert doubtful.state == Message.State.WAITING


def test_mail_of_another_lane_stays_in_it_when_it_is_sent_again(
    world, campaign, channel, by, at
):
    world.add_customers(6)
    send = schedule_send(campaign, scheduled_at=at, at=at)
    send.frozen["lane"] = TRANSACTIONAL
    send.save()
    assert materialise(launch_send(send, at=at), at=at)
    send.refresh_from_db()
    channel.answers["person0@example.com"] = Refused("not_sent_bad", "status 422")
    channel.answers["person1@example.com"] = InDoubt("in_doubt", "no answer")
    orders = Lane(TRANSACTIONAL, channel, "test")
    deliver_all(Lane(BULK, channel, "test"), at)
    assert not channel.ledger
    deliver_all(orders, at)
    deliver_all(orders, at + LATER)
    channel.answers.clear()
    assert send_failed_again(send, by=by, at=at) == 1
    doubtful = send.messages.get(state="in_doubt")
    send_doubtful_again(doubtful, by=by, at=at)
    assert set(send.batches.values_list("lane", flat=True)) == {TRANSACTIONAL}
    deliver_all(orders, at + 2 * LATER)
    assert set(states(send).values()) == {"accepted"}
