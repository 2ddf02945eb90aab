from datetime import UTC, datetime, timedelta

import pytest

from campaigns import materialising
from campaigns.materialising import due_at, launch_send, materialise
from campaigns.models import Batch, Message, Send
from campaigns.services import pause_send, resume_send, schedule_send
from customers.models import Customer
from customers.services import suppress

pytestmark = pytest.mark.django_db


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(materialising, "CUSTOMERS_A_CHUNK", 7)


def test_everyone_gets_a_row_waiting_in_a_batch_or_out_for_a_reason(
    world, campaign, at
):
    people = world.add_customers(250)
    suppress(people[8].email, reason="unsubscribed", at=at)
    send = world.prepared_send(campaign)
    assert send.audience_size == send.messages.count() == 250
    out = send.messages.get(state="left_out")
    assert (out.reason, out.batch_id, out.address_wire) == ("suppressed", None, "")
    assert not send.messages.filter(state="waiting", batch=None).exists()
    for batch in send.batches.all():
        tones = set(batch.messages.values_list("tone", flat=True))
        assert tones == {batch.variant.tone}
        assert batch.messages.count() <= 100
        assert (batch.state, batch.paused) == ("waiting", False)


def test_stopping_and_going_on_anywhere_gives_the_same_messages(
    world, campaign, at, small_chunks
):
    world.add_customers(40)
    whole = world.prepared_send(campaign)
    Send.objects.update(state="sent")
    send = launch_send(schedule_send(campaign, scheduled_at=at, at=at), at=at)
    turns = 0
    while not materialise(send, at=at, until=float("-inf")):
        assert not Batch.objects.filter(send=send, paused=False).exists()
        turns += 1
    fields = ("customer_id", "state", "tone", "arm", "segment_key", "address_wire")
    assert turns == 6
    assert sorted(send.messages.values_list(*fields)) == sorted(
        whole.messages.values_list(*fields)
    )


def test_writing_a_range_again_adds_nobody(world, campaign, at):
    world.add_customers(20)
    send = world.prepared_send(campaign)
    Send.objects.update(prepared_up_to=0, state="preparing", prepared_at=None)
    assert materialise(Send.objects.get(), at=at)
    assert send.messages.count() == 20


def test_two_with_one_mailbox_in_two_ranges_get_one_mail(
    world, campaign, at, small_chunks
):
    people = world.add_customers(20)
    Customer.objects.filter(pk=people[-1].pk).update(
        email="Person0@example.com", address_key=people[0].address_key
    )
    send = world.prepared_send(campaign)
    out = send.messages.get(state="left_out")
    assert (out.customer_id, out.reason) == (people[-1].pk, "duplicate_address")
    assert send.messages.count() == 20


def test_whoever_a_constraint_keeps_out_is_named_not_lost(world, campaign, at):
    people = world.add_customers(2)
    # A key that was written wrongly once: only the database sees that it is one box.
    Customer.objects.filter(pk=people[1].pk).update(email=people[0].email)
    send = world.prepared_send(campaign)
    assert send.messages.count() == 2
    assert send.messages.get(state="left_out").reason == "duplicate_address"


def test_nothing_starts_before_its_time_and_late_is_missed(campaign, at):
    send = schedule_send(campaign, scheduled_at=at, at=at)
    assert launch_send(send, at=at - timedelta(seconds=1)).state == "scheduled"
    assert launch_send(send, at=at + timedelta(hours=6, seconds=1)).state == "missed"
    missed = Send.objects.get()
    assert "No sender was running" in missed.state_reason
    resumed = resume_send(missed, at=at + timedelta(hours=9))
    assert launch_send(resumed, at=at + timedelta(hours=9)).state == "preparing"


def test_launching_twice_is_launching_once(campaign, at):
    send = schedule_send(campaign, scheduled_at=at, at=at)
    first = launch_send(send, at=at)
    again = launch_send(send, at=at + timedelta(minutes=1))
    assert first.started_at == again.started_at == at


def test_a_send_paused_while_it_is_prepared_goes_on_where_it_was(
    world, campaign, at, small_chunks
):
    world.add_customers(20)
    send = launch_send(schedule_send(campaign, scheduled_at=at, at=at), at=at)
    materialise(send, at=at, until=float("-inf"))
    pause_send(send, at=at)
    assert not materialise(send, at=at)
    assert send.messages.count() == 7
    assert resume_send(send, at=at).state == "preparing"
    assert materialise(send, at=at)
    assert send.messages.count() == 20


def test_by_local_time_each_leaves_when_her_own_clock_says_so(world, campaign, at):
    people = world.add_customers(3)
    zones = ("Asia/Tokyo", "Europe/London", "")
    for one, zone in zip(people, zones, strict=True):
        Customer.objects.filter(pk=one.pk).update(timezone=zone)
    campaign.local_time, campaign.neutral_share = True, 0.0
    campaign.save()
    nine = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    send = schedule_send(campaign, scheduled_at=nine, at=at - timedelta(days=1))
    assert due_at(send) == nine - timedelta(hours=14)
    send = launch_send(send, at=due_at(send))
    materialise(send, at=at)
    leaves = {
        message.customer_id: message.batch.not_before
        for message in Message.objects.select_related("batch")
    }
    assert [leaves[one.pk] for one in people] == [nine - timedelta(hours=9), nine, nine]
