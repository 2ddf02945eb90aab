"""Answers that come after their lease, and what has happened meanwhile."""

from collections import Counter
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model

from campaigns.models import Batch, Breaker, KeptCall, SecondTry, Send, SendNote
from campaigns.resending import send_doubtful_again
from campaigns.sending import ledger, settling
from campaigns.sending.channels import Busy, InDoubt, Receipt, Refused
from campaigns.sending.protocol import Lane, deliver_next_batch
from campaigns.sending.repeating import repeat_next
from campaigns.services import cancel_send, confirm_accepted, settle_in_doubt
from customers.models import Customer, Suppression

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
PEOPLE = 4


@pytest.fixture
def by():
    return get_user_model().objects.create_superuser("mara")


@pytest.fixture
def send(send_to):
    """Four customers of one group."""
    return send_to(PEOPLE)


@pytest.fixture
def late(lane, channel, at):
    """Hand over a group whose lease is lost; then something happens; then its answers
    are heard."""

    def late(meanwhile=lambda: None):
        def lose_it(mails):
            channel.before = lambda mails: None
            ledger.sweep(now=at + HOUR)
            ledger.finish_sends(now=at + HOUR)
            meanwhile()

        channel.before = lose_it
        outcome = deliver_next_batch(lane, now=at)
        assert outcome.stopped == "lost_lease"
        return outcome

    return late


def states(send):
    return Counter(send.messages.values_list("state", flat=True))


def answer_all(channel, result):
    channel.answers = {f"person{n}@example.com": result for n in range(PEOPLE)}


def deliver_all(lane, now):
    while deliver_next_batch(lane, now=now):
        pass
    ledger.finish_sends(now=now)


def notes(send):
    return Counter(send.notes.filter(message__gt=0).values_list("sentence", flat=True))


def test_who_was_taken_is_accepted_under_the_provider_s_name_and_the_trail_says_so(
    send, late, channel, invariants
):
    assert late().accepted == PEOPLE
    assert states(send) == {"accepted": PEOPLE}
    for message in send.messages.all():
        name = f"id-{message.public_id}"
        assert message.provider_message_id == name
        assert message.settled_at is not None
        said = f"Told late: the provider had taken it, as {name}."
        assert message.notes.get().sentence == said
    assert Batch.objects.get().state == Batch.State.DONE
    assert invariants(channel, calm=False).taken == PEOPLE


def test_who_was_refused_has_failed_and_a_dead_address_is_heeded(
    send, late, channel, invariants
):
    channel.answers["person1@example.com"] = Refused("invalid", "no such user", True)
    outcome = late()
    assert (outcome.accepted, outcome.refused) == (PEOPLE - 1, 1)
    [message] = send.messages.filter(state="failed")
    assert (message.reason, message.detail) == ("invalid", "no such user")
    assert message.notes.get().sentence == "Told late: it was refused (invalid)."
    assert Suppression.objects.get().address == "person1@example.com"
    invariants(channel, calm=False)


def test_what_surely_was_not_sent_waits_again_and_leaves_once(
    send, late, channel, lane, at, invariants
):
    channel.answers["person1@example.com"] = Busy("busy", wait_seconds=60.0)
    outcome = late()
    assert outcome.waiting > 0
    assert states(send) == +Counter(accepted=outcome.accepted, waiting=outcome.waiting)
    send.refresh_from_db()
    assert send.state == Send.State.SENDING
    waiting = send.messages.filter(state="waiting")
    assert not waiting.exclude(handed_over_at=None).exists()
    channel.answers.clear()
    assert deliver_next_batch(lane, now=at + timedelta(seconds=50)) is None
    deliver_all(lane, at + HOUR)
    assert states(send) == {"accepted": PEOPLE}
    assert invariants(channel, calm=False).send == "sent"


def test_what_is_in_doubt_all_the_same_stays_so(send, late, channel):
    answer_all(channel, InDoubt("in_doubt", "read timeout"))
    late()
    # After the first the others were not reached.
    assert states(send) == {"in_doubt": 1, "waiting": PEOPLE - 1}


def test_of_a_send_that_was_cancelled_meanwhile_nothing_waits_again(
    send, late, channel, at, by
):
    answer_all(channel, Busy("busy"))
    Send.objects.update(state="sending")
    late(lambda: (Send.objects.update(state="sending"), cancel_send(send, at=at)))
    assert states(send) == {"cancelled": PEOPLE}
    send.refresh_from_db()
    assert send.state == Send.State.CANCELLED


def test_hours_later_what_was_not_sent_is_left_to_a_person(
    send, late, channel, monkeypatch
):
    monkeypatch.setattr(settling, "MISFIRE_GRACE", timedelta(0))
    answer_all(channel, Busy("busy"))
    late()
    assert states(send) == {"in_doubt": PEOPLE}
    assert list(notes(send)) == [
        "Told late: it surely was not sent. It is left as it is: that was hours ago."
    ]


@pytest.mark.parametrize("result", [Receipt("x"), Refused("invalid"), Busy("busy")])
def test_what_a_person_has_decided_stays_and_they_are_told(
    send, late, channel, at, by, result
):
    answer_all(channel, result)

    def decide():
        for message in send.messages.all():
            settle_in_doubt(message, as_="left", by=by, at=at)

    late(decide)
    assert states(send) == {"in_doubt": PEOPLE}
    told = send.notes.filter(sentence__endswith="left as it is: a person has decided.")
    assert told.count() == PEOPLE


def test_where_an_event_was_quicker_only_the_name_is_learned(send, late, at):
    def prove():
        for message in send.messages.all():
            confirm_accepted(message.public_id, at=at)

    assert late(prove).accepted == 0
    assert states(send) == {"accepted": PEOPLE}
    for message in send.messages.all():
        assert message.detail == "proven by an event"
        assert message.provider_message_id == f"id-{message.public_id}"
    assert not notes(send)


def test_who_waits_to_be_sent_again_is_not_since_the_first_was_taken(
    send, late, channel, lane, at, by, invariants
):
    def again():
        for message in send.messages.all():
            send_doubtful_again(message, by=by, at=at)

    late(again)
    assert states(send) == {"accepted": PEOPLE}
    deliver_all(lane, at + HOUR)
    assert len(channel.ledger) == PEOPLE
    assert invariants(channel, calm=False).twice == 0


@pytest.mark.parametrize("result", [Receipt("first"), Busy("busy")])
def test_who_was_handed_over_again_is_left_whatever_the_first_answer_says(
    send, late, channel, at, by, result
):
    other = Lane("bulk", channel, "other")

    def again():
        answer_all(channel, InDoubt("in_doubt"))
        for message in send.messages.all():
            send_doubtful_again(message, by=by, at=at)
        while deliver_next_batch(other, now=at + HOUR):
            Breaker.objects.all().delete()
        assert states(send) == {"in_doubt": PEOPLE}
        answer_all(channel, result)

    late(again)
    assert states(send) == {"in_doubt": PEOPLE}
    assert not send.messages.filter(provider_message_id="first").exists()
    assert sum("left as it is" in one for one in notes(send).elements()) == PEOPLE


def test_whose_second_try_surely_was_not_sent_is_not_sent_on_the_word_of_the_first(
    send, late, channel, at, by
):
    answer_all(channel, Busy("busy"))

    def decide():
        for message in send.messages.all():
            SecondTry.objects.create(message=message, at=at, why_not="suppressed")

    late(decide)
    assert states(send) == {"in_doubt": PEOPLE}


def test_whose_customer_has_it_by_another_message_is_not_sent_again(
    send, late, channel, at
):
    answer_all(channel, Busy("busy"))

    def merge():
        first, second = send.messages.order_by("pk")[:2]
        first.state, first.customer_id = "accepted", second.customer_id
        assert Customer.objects.count() == PEOPLE
        first.send.tops_up = send
        top_up = Send.objects.get(pk=send.pk)
        top_up.pk, top_up.tops_up = None, send
        top_up.save()
        first.send = top_up
        first.save()

    late(merge)
    assert states(send) == {"in_doubt": 1, "waiting": PEOPLE - 2}


@pytest.fixture
def lose_it(at):
    """Make a call whose answer comes when its lease is lost."""

    def lose_it(lane):
        hand_over = lane.channel.hand_over

        def and_sweep(mails):
            results = hand_over(mails)
            ledger.sweep(now=at + lane.lease + HOUR)
            return results

        lane.channel.hand_over = and_sweep
        assert deliver_next_batch(lane, now=at).stopped == "lost_lease"

    return lose_it


def test_of_a_call_that_is_kept_what_was_not_sent_is_left_to_its_repetition(
    send, many, fake, at, lose_it
):
    fake.script = [(429, {}, {}, False)]
    lane = Lane("bulk", many("resend"), "test")
    lose_it(lane)
    assert states(send) == {"in_doubt": PEOPLE}
    assert not SendNote.objects.filter(message__gt=0).exists()
    assert repeat_next(lane, now=at + lane.lease + 2 * HOUR)
    assert states(send) == {"accepted": PEOPLE}
    assert len(fake.ledger) == PEOPLE


def test_what_was_taken_of_a_call_that_is_kept_is_not_asked_for_again(
    send, many, fake, at, lose_it, invariants
):
    lane = Lane("bulk", many("resend"), "test")
    lose_it(lane)
    assert states(send) == {"accepted": PEOPLE}
    assert repeat_next(lane, now=at + lane.lease + 2 * HOUR)
    assert len(fake.requests) == 1
    assert not KeptCall.objects.exists()
    assert invariants(fake, calm=False).taken == PEOPLE
