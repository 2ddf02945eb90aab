from datetime import timedelta

import pytest

from campaigns.materialising import launch_send, materialise
from campaigns.models import Message, Send
from campaigns.sending.protocol import deliver_next_batch
from campaigns.services import schedule_send
from customers.errors import MergeRefused
from customers.merging import merge_customers
from customers.services import record_consent

pytestmark = pytest.mark.django_db


def merge(kept, other, at):
    return merge_customers(kept, other, by=None, at=at)


def test_mails_of_the_other_are_mails_of_the_kept_one(world, campaign, at):
    (other,) = world.add_customers(1)
    send = world.prepared_send(campaign)
    (kept,) = world.add_customers(1, first=1)
    merge(kept, other, at)
    message = Message.objects.get()
    assert (message.send, message.customer) == (send, kept)
    assert message.address_wire == "person0@example.com"


def test_two_mails_of_one_send_can_not_become_one(world, campaign, at):
    kept, other = world.add_customers(2)
    world.prepared_send(campaign)
    with pytest.raises(MergeRefused, match="Both are written to in “Spring"):
        merge(kept, other, at)
    assert Message.objects.filter(customer=other).count() == 1


@pytest.mark.parametrize("left_out", ["kept", "other"])
def test_where_one_was_left_out_the_mail_stays_and_sums_close(
    world, campaign, at, left_out
):
    kept, other = world.add_customers(2)
    send = world.prepared_send(campaign)
    out = kept if left_out == "kept" else other
    Message.objects.filter(customer=out).update(state="left_out", address_wire="")
    merge(kept, other, at)
    send.refresh_from_db()
    assert send.audience_size == send.messages.count() == 1
    assert (send.messages.get().customer, send.messages.get().state) == (
        kept,
        "waiting",
    )


def test_nobody_is_merged_while_an_audience_is_drawn_up(world, campaign, at):
    kept, other = world.add_customers(2)
    launch_send(schedule_send(campaign, scheduled_at=at, at=at), at=at)
    with pytest.raises(MergeRefused, match="being drawn up"):
        merge(kept, other, at)


def test_who_is_merged_before_a_send_gets_one_mail(world, campaign, at):
    kept, other = world.add_customers(2)
    send = schedule_send(campaign, scheduled_at=at, at=at)
    merge(kept, other, at)
    assert materialise(launch_send(send, at=at), at=at)
    assert send.messages.get().customer == kept


def test_who_is_merged_while_a_send_is_under_way_gets_no_second_mail(
    world, campaign, lane, at
):
    kept, other = world.add_customers(2)
    send = world.prepared_send(campaign)
    Message.objects.filter(customer=kept).update(state="left_out", address_wire="")
    merge(kept, other, at)
    while deliver_next_batch(lane, now=at + timedelta(minutes=1)):
        pass
    assert [message.customer for message in send.messages.all()] == [kept]
    assert Send.objects.get().messages.get().state == "accepted"


def test_a_no_of_the_kept_one_stops_the_mail_that_waits_for_the_other(
    world, campaign, lane, channel, at
):
    kept, other = world.add_customers(2)
    send = world.prepared_send(campaign)
    Message.objects.filter(customer=kept).update(state="left_out", address_wire="")
    record_consent(kept, purpose="marketing", basis="withdrawn", source="a call", at=at)
    merge(kept, other, at)
    while deliver_next_batch(lane, now=at + timedelta(minutes=1)):
        pass
    assert channel.ledger == []
    assert (send.messages.get().state, send.messages.get().customer) == (
        "left_out",
        kept,
    )
