"""The seven invariants themselves: each is broken by hand, and each is noticed."""

import time
from collections import Counter
from datetime import timedelta
from types import SimpleNamespace

import pytest

from campaigns import under_way
from campaigns.models import (
    Batch,
    FrequencyCap,
    FrequencyReservation,
    Message,
    RateLimit,
    SecondTry,
    Send,
    SendAttempt,
    SendCount,
)
from campaigns.sending.ledger import finish_sends
from campaigns.sending.protocol import deliver_next_batch
from customers.services import suppress
from tests.campaigns.chaos.inside import Inside, Outbox
from tests.campaigns.chaos.invariants import LOOKED, SaidNo, check
from tests.campaigns.chaos.loopback import Taken
from tests.campaigns.conftest import pytest_runtest_call
from tests.matrix import looked_at


@pytest.fixture
def here(world, campaign, lane, at):
    """A send that has ended, all of it accepted, under limits and a cap."""
    world.add_customers(6)
    world.main(["bound"])
    send = world.prepared_send(campaign)
    while deliver_next_batch(lane, now=at):
        pass
    finish_sends(now=at)
    send.refresh_from_db()
    assert send.state == "sent"
    return Inside(world)


@pytest.fixture
def provider(here):
    now = time.time()
    rows = Message.objects.values_list("public_id", "address_wire")
    return SimpleNamespace(taken=[Taken(now, *row, "", "") for row in rows])


def test_what_is_whole_passes(here, provider):
    sums = check(here, provider, at_rest=True)
    assert (sums.taken, sums.twice, sums.lost) == (6, 0, 0)


def test_a_mail_taken_twice_is_noticed(here, provider):
    provider.taken.append(provider.taken[0])
    with pytest.raises(AssertionError, match="I1: 1 mails"):
        check(here, provider)


def test_a_second_mail_is_allowed_only_to_whom_it_was_sent_again_and_never_a_third(
    here, provider, at
):
    first, other = Message.objects.order_by("pk")[:2]
    taken = {one.public_id: one for one in provider.taken}
    SecondTry.objects.create(message=first, at=at)
    SecondTry.objects.create(message=other, at=at, why_not="suppressed")
    provider.taken.append(taken[first.public_id])
    assert check(here, provider, sends_again=True).twice == 1
    with pytest.raises(AssertionError, match="I1: 1 mails"):
        check(here, provider)
    provider.taken.append(taken[first.public_id])
    with pytest.raises(AssertionError, match="I1: 1 mails"):
        check(here, provider, sends_again=True)
    provider.taken[-1] = taken[other.public_id]
    with pytest.raises(AssertionError, match="I1: 1 mails"):
        check(here, provider, sends_again=True)


def test_a_mail_to_somebody_who_had_said_no_is_noticed(here, provider):
    one = provider.taken[2]
    said = [SaidNo(one.address, one.at - 60, waited=True)]
    with pytest.raises(AssertionError, match="I2: mailed"):
        check(here, provider, said_no=said)
    check(here, provider, said_no=[SaidNo(one.address, one.at + 1, waited=False)])


def test_a_mail_to_a_suppressed_address_is_noticed_by_the_rows_alone(
    here, provider, at
):
    one = Message.objects.order_by("pk").first()
    suppress(one.address_wire, reason="unsubscribed", at=at - timedelta(minutes=1))
    with pytest.raises(AssertionError, match="I2: mailed 60"):
        check(here, provider)
    provider.taken = [
        mail for mail in provider.taken if mail.public_id != one.public_id
    ]
    Message.objects.filter(pk=one.pk).update(state="in_doubt")
    check(here, provider)  # nobody took it


def test_a_mail_that_is_called_accepted_and_nobody_took_is_noticed(here, provider):
    provider.taken.pop()
    with pytest.raises(AssertionError, match="I3: accepted"):
        check(here, provider)


@pytest.mark.parametrize("state", ["waiting", "failed", "left_out", "cancelled"])
def test_a_mail_that_was_taken_and_is_called_something_else_is_noticed(
    here, provider, state
):
    first = Message.objects.order_by("pk").first()
    Message.objects.filter(pk=first.pk).update(state=state)
    with pytest.raises(AssertionError, match="I4: taken"):
        check(here, provider)


def test_somebody_of_the_audience_without_a_message_is_noticed(here, provider):
    Send.objects.update(audience_size=7)
    with pytest.raises(AssertionError, match="I5: 6 rows, an audience of 7"):
        check(here, provider)


def test_work_that_is_left_when_a_send_has_ended_is_noticed(here, provider):
    first = Message.objects.order_by("pk").first()
    Message.objects.filter(pk=first.pk).update(state="handing_over")
    with pytest.raises(AssertionError, match="I6: the send has ended"):
        check(here, provider)
    Message.objects.filter(pk=first.pk).update(state="accepted")
    Batch.objects.filter(pk=first.batch_id).update(state="claimed")
    with pytest.raises(AssertionError, match="I6: the send has ended"):
        check(here, provider)


def test_numbers_that_are_shown_and_not_there_are_noticed(here, provider):
    here.shown = {"accepted": 5}
    with pytest.raises(AssertionError, match="I7"):
        check(here, provider, at_rest=True)


def test_what_a_limit_has_counted_and_did_not_leave_is_noticed(here, provider):
    limit = RateLimit.objects.get(provider="outbox", mailboxes="rest")
    [(slot, mails)] = limit.slots.items()
    assert mails == 6
    RateLimit.objects.filter(pk=limit.pk).update(slots={slot: mails + 1})
    with pytest.raises(AssertionError, match="for rest has counted 7, 6 left"):
        check(here, provider, at_rest=True)
    # Somebody may have died with a batch; but no batch was taken up again.
    with pytest.raises(AssertionError, match="the dead had taken no more than 0"):
        check(here, provider, at_rest=True, calm=False)
    Batch.objects.filter(pk=Batch.objects.first().pk).update(fence=2)
    check(here, provider, at_rest=True, calm=False)


@pytest.mark.parametrize("calm", [True, False])
def test_a_mail_that_left_past_a_limit_is_noticed_whoever_died(here, provider, calm):
    limit = RateLimit.objects.get(provider="outbox", campaign__isnull=False)
    RateLimit.objects.filter(pk=limit.pk).update(slots={next(iter(limit.slots)): 5})
    with pytest.raises(AssertionError, match="has counted 5, 6 left"):
        check(here, provider, at_rest=True, calm=calm)


@pytest.mark.parametrize(("more", "words"), [(-1, "counted 5, 6"), (1, "counted 7, 6")])
def test_a_warm_up_s_day_that_does_not_count_its_mails_is_noticed(
    here, provider, more, words
):
    limit = RateLimit.objects.get(warm_up__domain="shop.example")
    [(day, mails)] = limit.slots.items()
    RateLimit.objects.filter(pk=limit.pk).update(slots={day: mails + more})
    with pytest.raises(AssertionError, match=f"I7: shop.example's day has {words}"):
        check(here, provider, at_rest=True)


def test_a_warm_up_s_day_of_which_a_part_is_nobody_s_is_noticed(here, provider):
    RateLimit.objects.filter(warm_up__domain="shop.example").update(lines={"1": 2})
    with pytest.raises(AssertionError, match=r"I7: of shop.example's day 2 are some"):
        check(here, provider, at_rest=True)


def test_a_window_that_has_forgotten_some_of_it_is_not_recounted(here, provider, at):
    RateLimit.objects.filter(warm_up=None).update(window="minute", slots={})
    with pytest.raises(AssertionError, match="outbox's minute has counted 0"):
        check(here, provider, at_rest=True)
    first = Message.objects.order_by("pk").first()
    Message.objects.filter(pk=first.pk).update(handed_over_at=at - timedelta(minutes=1))
    check(here, provider, at_rest=True)


def test_whoever_was_mailed_without_a_place_is_noticed(here, provider):
    FrequencyReservation.objects.first().delete()
    with pytest.raises(AssertionError, match="I7: 1 may have been mailed and have no"):
        check(here, provider, at_rest=True)


def test_a_place_of_somebody_else_and_one_too_many_are_noticed(here, provider, world):
    one = FrequencyReservation.objects.first()
    [other] = world.add_customers(1, first=100)
    FrequencyReservation.objects.filter(pk=one.pk).update(customer=other)
    with pytest.raises(AssertionError, match="I7: 1 places are of somebody else"):
        check(here, provider, at_rest=True)
    FrequencyReservation.objects.filter(pk=one.pk).update(customer=one.customer_id)
    FrequencyCap.objects.update(most=0)
    with pytest.raises(AssertionError, match="6 customers have more places than 0"):
        check(here, provider, at_rest=True)


def test_a_count_of_a_large_send_that_is_of_more_than_there_is_is_noticed(
    here, provider, at
):
    kept = SendCount.objects.create(
        send=Send.objects.get(), states={"accepted": 7}, counted_at=at
    )
    with pytest.raises(AssertionError, match="I7: 7 messages were counted, 6 are"):
        check(here, provider, at_rest=True)
    kept.states = {"accepted": 5, "waiting": 1}  # as it was a while ago
    kept.save()
    check(here, provider, at_rest=True)


def test_a_large_send_that_is_counted_wrongly_is_noticed(
    here, provider, at, monkeypatch
):
    Send.objects.update(state="paused")
    monkeypatch.setattr(under_way, "COUNTED_AT_ONCE", 5)
    under_way.count_under_way(at=at)
    check(here, provider, at_rest=True)
    monkeypatch.setattr(under_way, "messages_by_state", lambda _: [(1, "accepted", 5)])
    with pytest.raises(AssertionError, match="of a large send"):
        check(here, provider, at_rest=True)


def test_a_trail_that_tells_of_more_than_were_accepted_is_noticed(here, provider):
    one = SendAttempt.objects.first()
    SendAttempt.objects.filter(pk=one.pk).update(
        accepted=one.accepted + 1, mails=one.mails + 1
    )
    for calm in (True, False):
        with pytest.raises(AssertionError, match="tells of 7 accepted, 6 are"):
            check(here, provider, at_rest=True, calm=calm)
    SendAttempt.objects.filter(pk=one.pk).update(mails=one.mails)
    with pytest.raises(AssertionError, match="of more than it had mails"):
        check(here, provider, at_rest=True)


def test_a_line_of_the_trail_is_only_lost_where_somebody_died(here, provider):
    one = SendAttempt.objects.first()
    one.delete()
    told = 6 - one.accepted
    with pytest.raises(AssertionError, match=f"tells of {told} accepted, 6 are"):
        check(here, provider, at_rest=True)
    check(here, provider, at_rest=True, calm=False)


def test_each_send_is_looked_at_by_itself(here, provider, world, campaign, at):
    """Two sends in one database; the sums of both would hide what one of them lacks."""
    other = world.prepared_send(world.add_campaign(campaign.template), at=at)
    sums = check(here, provider, at_rest=True)
    assert (sums.send, sums.messages) == (
        "sending, sent",
        {"accepted": 6, "waiting": 6},
    )
    Send.objects.filter(pk=other.pk).update(audience_size=5)
    Send.objects.exclude(pk=other.pk).update(audience_size=7)
    with pytest.raises(AssertionError, match="I5: 6 rows, an audience of"):
        check(here, provider)


def test_the_outbox_is_a_ledger(world, campaign, at, settings):
    from campaigns.sending import engine

    world.add_customers(3)
    world.prepared_send(campaign)
    engine.run_once(at=at)
    outbox = Outbox(settings.OUTBOX_DIR)
    assert sorted(one.address for one in outbox.taken) == [
        f"person{number}@example.com" for number in range(3)
    ]
    sums = check(Inside(world), outbox, at_rest=True)
    assert (sums.taken, sums.messages) == (3, Counter(accepted=3))
    one = next(settings.OUTBOX_DIR.rglob("*.eml"))
    one.with_suffix(".2.eml").write_bytes(one.read_bytes())
    with pytest.raises(AssertionError, match="I1: 1 mails"):
        check(Inside(world), outbox)


@pytest.mark.parametrize("looks", [0, 1])
def test_a_test_of_the_matrix_that_looks_at_nothing_fails(looks):
    name = min(looked_at())
    called = pytest_runtest_call(SimpleNamespace(nodeid=f"{name}[sqlite-0]"))
    next(called)
    LOOKED["at rest"] += looks
    with pytest.raises(StopIteration if looks else pytest.fail.Exception):
        called.send(None)
    other = pytest_runtest_call(SimpleNamespace(nodeid="tests/test_docs.py::test_a"))
    next(other)
    with pytest.raises(StopIteration):
        other.send(None)
