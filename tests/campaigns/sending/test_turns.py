from datetime import timedelta

import pytest

from campaigns.models import Batch, Send
from campaigns.sending import engine
from campaigns.sending.protocol import deliver_next_batch
from campaigns.services import pause_send

pytestmark = pytest.mark.django_db


@pytest.fixture
def large(world, campaign):
    """A send of forty batches."""
    return pieces(40, world, campaign)


def pieces(count, world, campaign, *, minutes=0):
    campaign.neutral_share = 0.0
    if not Send.objects.exists():
        world.SEGMENTS, spread = ("excited",), world.SEGMENTS
        world.add_customers(count)
        world.SEGMENTS = spread
    at = world.NOW + timedelta(minutes=minutes)
    send = world.prepared_send(campaign, at=at)
    whole = send.batches.get()
    for message in send.messages.all()[1:]:
        batch = Batch.objects.create(
            send=send, variant_id=whole.variant_id, not_before=whole.not_before
        )
        send.messages.filter(pk=message.pk).update(batch=batch)
    return send


def who_was_served(lane, turns, *, now):
    served = []
    for _ in range(turns):
        if deliver_next_batch(lane, now=now) is not None:
            served.append(lane.served)
    return served


def test_two_large_sends_take_turns_whoever_began_first(
    world, campaign, large, lane, at
):
    other = pieces(40, world, world.add_campaign(campaign.template), minutes=5)
    served = who_was_served(lane, 12, now=at + timedelta(minutes=5))
    assert served == [large.pk, other.pk] * 6


def test_a_small_send_does_not_wait_for_a_large_one(world, campaign, large, lane, at):
    small = world.prepared_send(
        world.add_campaign(campaign.template, neutral_share=0.0),
        at=at + timedelta(minutes=5),
    )
    who_was_served(lane, 2, now=at + timedelta(minutes=5))
    assert small.batches.get().state == "done"
    assert large.batches.filter(state="waiting").count() == 39


def test_who_is_not_due_or_paused_has_no_turn(world, campaign, large, lane, at):
    later = pieces(3, world, world.add_campaign(campaign.template), minutes=60)
    paused = pieces(3, world, world.add_campaign(campaign.template))
    pause_send(paused, at=at)
    assert set(who_was_served(lane, 5, now=at)) == {large.pk}
    assert later.batches.filter(state="waiting").count() == 40


def test_mail_about_an_order_leaves_before_a_large_send(
    world, campaign, large, at, monkeypatch
):
    order = world.prepared_send(world.add_campaign(campaign.template))
    order.batches.update(lane="transactional")
    served = []
    deliver = engine.deliver_next_batch

    def seen(lane, *, now):
        outcome = deliver(lane, now=now)
        served.append(lane.name)
        return outcome

    monkeypatch.setattr(engine, "deliver_next_batch", seen)
    monkeypatch.setattr(engine, "LANE_SECONDS", 0.0)
    monkeypatch.setattr(engine, "pump", one_batch_a_turn)
    engine.run_once(at=at)
    assert served[0] == "transactional"
    assert served.count("bulk") == 40


def one_batch_a_turn(lane, *, clock, until, stopping):
    outcome = engine.deliver_next_batch(lane, now=clock())
    return [outcome] if outcome else []


def test_a_worker_in_the_midst_of_a_large_send_makes_room(large, at, monkeypatch):
    from campaigns import tasks

    turn = tasks._Turn("bulk")
    monkeypatch.setattr(engine, "LANE_SECONDS", 0.0)
    assert not turn()
    Batch.objects.filter(pk=large.batches.first().pk).update(lane="transactional")
    assert turn()
    assert not tasks._Turn("transactional")()
