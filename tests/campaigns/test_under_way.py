from datetime import timedelta

import pytest

from campaigns import under_way
from campaigns.models import Message, Send, SendCount
from campaigns.sending import engine
from campaigns.under_way import count_under_way, how_far, messages_by_state

pytestmark = pytest.mark.django_db

LATER = timedelta(minutes=1)  # however long the machine took to count


@pytest.fixture
def send(world, campaign):
    """Thirty messages that wait."""
    world.add_customers(30)
    return world.prepared_send(campaign)


@pytest.fixture
def large(send, monkeypatch):
    monkeypatch.setattr(under_way, "COUNTED_AT_ONCE", 5)
    return send


def accept(send, count):
    some = send.messages.filter(state="waiting").values("pk")[:count]
    Message.objects.filter(pk__in=list(some.values_list("pk", flat=True))).update(
        state="accepted"
    )


def figures(send):
    ((same, found),) = how_far([send])
    assert same == send
    return found and (found.states["accepted"], found.states["waiting"], found.all)


def test_a_small_send_is_counted_as_it_is(send, at):
    assert figures(send) == (0, 30, 30)
    accept(send, 4)
    assert figures(send) == (4, 26, 30)
    assert count_under_way(at=at) == 0
    assert not SendCount.objects.exists()


def test_a_large_send_is_shown_as_it_was_counted_last(large, at):
    assert figures(large) is None
    assert count_under_way(at=at) == 1
    accept(large, 4)
    assert figures(large) == (0, 30, 30)
    assert how_far([large])[0][1].counted_at == at
    assert count_under_way(at=at + LATER) == 1
    assert figures(large) == (4, 26, 30)


def test_a_large_send_is_counted_again_no_sooner_than_it_may_be(large, at):
    count_under_way(at=at)
    assert count_under_way(at=at + timedelta(seconds=9)) == 0
    SendCount.objects.update(took_seconds=1.0)
    assert count_under_way(at=at + timedelta(seconds=49)) == 0
    assert count_under_way(at=at + timedelta(seconds=50)) == 1


def test_a_send_that_rests_is_counted_less_often(large, at):
    Send.objects.update(state="paused")
    count_under_way(at=at)
    assert count_under_way(at=at + timedelta(seconds=59)) == 0
    assert count_under_way(at=at + timedelta(seconds=60)) == 1


def test_a_send_that_has_ended_is_counted_no_more(large, at):
    Send.objects.update(state="sent")
    assert count_under_way(at=at) == 0


def test_killed_while_it_counts_the_last_count_stays(large, at, monkeypatch):
    count_under_way(at=at)
    accept(large, 4)

    def dies(sends):
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(under_way, "messages_by_state", dies)
        with pytest.raises(KeyboardInterrupt):
            count_under_way(at=at + LATER)
    assert figures(large) == (0, 30, 30)
    assert count_under_way(at=at + LATER) == 1


def test_the_engine_and_the_tick_count_large_sends(large, at):
    engine.tick(at=at)
    assert figures(large) == (0, 30, 30)
    SendCount.objects.all().delete()
    Send.objects.update(state="paused")
    large.batches.update(paused=True)
    assert engine.run_once(at=at).idle
    assert SendCount.objects.get().states == {"waiting": 30}


def test_many_sends_are_two_questions(large, at, django_assert_num_queries):
    count_under_way(at=at)
    small = Send.objects.get()
    small.pk, small.audience_size = None, 0
    small.save(force_insert=True)
    with django_assert_num_queries(2):
        assert [found.all for _, found in how_far([large, small])] == [30, 0]


def test_messages_are_counted_by_an_index_alone(send, by_index):
    plan = messages_by_state([send]).explain()
    assert "send_id" in plan
    assert "SCAN campaigns_message" not in plan
    assert "Seq Scan on campaigns_message" not in plan
