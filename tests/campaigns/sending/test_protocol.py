import time
from collections import Counter
from datetime import timedelta

import pytest

from campaigns.content.render import render
from campaigns.models import Batch, Message, Send
from campaigns.sending import ledger
from campaigns.sending.channels import (
    Busy,
    InDoubt,
    Later,
    Misconfigured,
    Receipt,
    Refused,
)
from campaigns.sending.protocol import deliver_next_batch
from campaigns.services import (
    cancel_send,
    confirm_accepted,
    pause_send,
    resume_send,
)
from customers.errors import InvalidAddress
from customers.models import Interaction
from customers.services import object_to_profiling, record_consent, suppress
from tests.campaigns.chaos.invariants import SaidNo

pytestmark = pytest.mark.django_db


@pytest.fixture
def send(send_to):
    """Ten customers of one segment, one batch per tone, groups of four."""
    return send_to(10)


def states(send):
    return Counter(send.messages.values_list("state", flat=True))


def address(number):
    return f"person{number}@example.com"


def deliver_all(lane, now):
    outcomes = []
    while (outcome := deliver_next_batch(lane, now=now)) is not None:
        outcomes.append(outcome)
    return outcomes


def test_everyone_gets_one_mail_and_the_provider_s_id_is_kept(send, lane, channel, at):
    outcome = deliver_next_batch(lane, now=at)
    assert (outcome.accepted, outcome.waiting) == (10, 0)
    assert sorted(channel.ledger) == sorted(map(address, range(10)))
    assert states(send) == {"accepted": 10}
    for message in send.messages.all():
        assert message.provider_message_id == f"id-{message.public_id}"
        assert message.handed_over_at >= at
        assert message.settled_at >= message.handed_over_at
    assert deliver_next_batch(lane, now=at) is None


def test_the_intent_is_written_before_any_byte_leaves(send, lane, channel, at):
    seen = []

    def look(mails):
        batch = Batch.objects.get()
        ours = Message.objects.filter(pk__in=[mail.message_id for mail in mails])
        seen.append((batch.state, {message.state for message in ours}))
        assert batch.intent["messages"] == sorted(
            send.messages.values_list("pk", flat=True)
        )
        assert len(batch.intent["sha256"]) == 64
        assert batch.idempotency_key

    channel.before = look
    deliver_next_batch(lane, now=at)
    assert seen == [("handing_over", {"handing_over"})] * 3
    assert channel.groups == [4, 4, 2]


def test_a_group_s_result_stands_before_the_next_group_leaves(send, lane, channel, at):
    accepted = []
    channel.before = lambda mails: accepted.append(states(send)["accepted"])
    deliver_next_batch(lane, now=at)
    assert accepted == [0, 4, 8]


def test_the_same_words_make_the_same_digest_and_others_another(
    world, send, lane, channel, at
):
    deliver_next_batch(lane, now=at)
    before = Batch.objects.get()
    assert before.fence == before.generation == 1
    assert before.state == Batch.State.DONE
    assert before.owner == ""


def test_who_unsubscribed_since_is_not_mailed(send, lane, channel, at, invariants):
    suppress(address(3), reason="unsubscribed", at=at)
    said_no = SaidNo(address(3), time.time(), waited=True)
    deliver_next_batch(lane, now=at)
    assert address(3) not in channel.ledger
    left_out = send.messages.get(state="left_out")
    assert (left_out.reason, left_out.address_wire) == ("suppressed", address(3))
    assert invariants(channel, said_no=[said_no]).taken == 9


def test_who_unsubscribes_while_a_batch_leaves_is_not_mailed(
    send, lane, channel, at, invariants
):
    said_no = []

    def unsubscribes(mails):
        suppress(address(9), reason="unsubscribed", at=at)
        said_no.append(SaidNo(address(9), time.time(), waited=True))

    channel.before = unsubscribes
    deliver_next_batch(lane, now=at)
    assert len(channel.ledger) == 9
    assert send.messages.get(state="left_out").reason == "suppressed"
    assert invariants(channel, said_no=said_no[:1]).taken == 9


def test_a_withdrawn_consent_and_a_fresh_complaint_are_seen_again(
    send, lane, channel, at
):
    one, two = send.messages.order_by("pk")[:2]
    record_consent(
        one.customer, purpose="marketing", basis="withdrawn", source="x", at=at
    )
    Interaction.objects.create(
        customer=two.customer, occurred_at=at, kind="survey", key="1", rating=1
    )
    deliver_next_batch(lane, now=at)
    reasons = dict(send.messages.exclude(reason="").values_list("pk", "reason"))
    assert reasons == {one.pk: "no_consent", two.pk: "held"}
    assert len(channel.ledger) == 8


def test_who_objects_to_profiling_gets_the_neutral_words_after_all(
    send, lane, channel, at
):
    one = send.messages.order_by("pk").first()
    object_to_profiling(one.customer, source="test", at=at)
    subjects = {}
    channel.before = lambda mails: subjects.update(
        {mail.address: mail.body.subject for mail in mails}
    )
    deliver_all(lane, at + timedelta(minutes=1))
    one.refresh_from_db()
    assert (one.state, one.tone, one.segment_key) == ("accepted", "neutral", "unknown")
    assert subjects.pop(one.address_wire) == "News from the shop"
    assert set(subjects.values()) == {"It is here, first looks inside"}


def test_a_value_that_is_missing_leaves_one_out_by_its_name(
    world, campaign, lane, channel, at, invariants
):
    campaign.template.variants.update(subject="Hello {{ customer.last_name }}")
    one, *_ = world.add_customers(5)
    type(one).objects.exclude(pk=one.pk).update(last_name="Doe")
    send = world.prepared_send(campaign)
    deliver_all(lane, at)
    left_out = send.messages.get(state="left_out")
    assert (left_out.customer_id, left_out.reason) == (one.pk, "merge_error")
    assert left_out.detail == "customer.last_name"
    assert invariants(channel).taken == len(channel.ledger) == 4


def test_one_refused_address_fails_alone(send, lane, channel, at):
    channel.answers[address(2)] = Refused("invalid", "550 5.1.1")
    outcome = deliver_next_batch(lane, now=at)
    assert (outcome.accepted, outcome.refused) == (9, 1)
    failed = send.messages.get(state="failed")
    assert (failed.reason, failed.detail) == ("invalid", "550 5.1.1")


def test_a_doubt_is_one_message_and_the_rest_of_the_batch_waits(
    send, lane, channel, at
):
    channel.answers[address(5)] = InDoubt("in_doubt", "no answer")
    outcome = deliver_next_batch(lane, now=at)
    assert (outcome.accepted, outcome.in_doubt) == (5, 1)
    assert states(send) == {"accepted": 5, "in_doubt": 1, "waiting": 4}
    assert deliver_next_batch(lane, now=at) is None  # the lane rests
    channel.answers.clear()
    deliver_all(lane, at + timedelta(minutes=5))
    assert states(send) == {"accepted": 9, "in_doubt": 1}
    assert Counter(channel.ledger).most_common(1)[0][1] == 1
    assert Batch.objects.get().state == Batch.State.IN_DOUBT


def test_a_busy_provider_gets_the_rest_it_asked_for(send, lane, channel, at):
    channel.answers[address(0)] = Busy("not_sent_throttle", "429", 120.0)
    outcome = deliver_next_batch(lane, now=at)
    assert outcome.stopped == "not_sent_throttle"
    assert states(send) == {"waiting": 10}
    assert deliver_next_batch(lane, now=at + timedelta(seconds=119)) is None
    channel.answers.clear()
    deliver_all(lane, at + timedelta(seconds=125))
    assert states(send) == {"accepted": 10}
    assert len(channel.ledger) == 10


def test_a_provider_that_stays_away_pauses_the_send_and_says_why(
    send, lane, channel, at
):
    channel.answers[address(0)] = Busy("not_sent_net", "it could not be reached")
    for turn in range(ledger.MOST_ATTEMPTS):
        deliver_next_batch(lane, now=at + timedelta(hours=2 * turn))
    send.refresh_from_db()
    assert send.state == Send.State.PAUSED
    assert "6 times in a row (it could not be reached)" in send.state_reason
    assert states(send) == {"waiting": 10}


def test_one_that_asks_for_patience_does_not_hold_up_the_others(
    send, lane, channel, at
):
    channel.answers[address(1)] = Later("later", "450", 300.0)
    outcome = deliver_next_batch(lane, now=at)
    assert (outcome.accepted, outcome.waiting) == (9, 1)
    assert deliver_next_batch(lane, now=at + timedelta(seconds=299)) is None
    channel.answers.clear()
    deliver_next_batch(lane, now=at + timedelta(seconds=310))
    assert states(send) == {"accepted": 10}


def test_patience_ends_after_six_tries_of_which_nothing_came(send, lane, channel, at):
    channel.answers[address(1)] = Later("later", "450 4.2.0", 300.0)
    for turn in range(1 + ledger.MOST_ATTEMPTS):  # in the first, nine others left
        deliver_next_batch(lane, now=at + timedelta(hours=turn))
    failed = send.messages.get(state="failed")
    assert (failed.reason, failed.detail) == ("gave_up", "450 4.2.0")


def test_a_refused_log_in_pauses_the_send(send, lane, channel, at):
    channel.answers[address(0)] = Misconfigured("not_sent_auth", "401")
    deliver_next_batch(lane, now=at)
    send.refresh_from_db()
    assert send.state == Send.State.PAUSED
    assert "ATTUNE_PROVIDER_OPTIONS" in send.state_reason
    assert states(send) == {"waiting": 10}
    assert deliver_next_batch(lane, now=at + timedelta(hours=1)) is None


def test_five_bad_requests_in_a_row_are_not_the_customers_fault(
    send, lane, channel, at
):
    channel.answers = {
        address(number): Refused("not_sent_bad", "400") for number in range(10)
    }
    deliver_next_batch(lane, now=at)
    send.refresh_from_db()
    assert send.state == Send.State.PAUSED
    assert "5 mails in a row" in send.state_reason
    assert states(send) == {"waiting": 10}


def test_bad_requests_in_a_row_count_over_small_batches_and_lose_nobody(
    world, campaign, lane, channel, at
):
    for number in range(3):
        world.add_customers(2, first=10 * number)
    send = world.prepared_send(campaign)
    for message in send.messages.all():  # a batch of its own for each
        batch = message.batch
        batch.pk = None
        batch.save()
        send.messages.filter(pk=message.pk).update(batch=batch)
        channel.answers[message.address_wire] = Refused("not_sent_bad", "400")
    outcomes = deliver_all(lane, at)
    told = [(one.refused, one.waiting) for one in outcomes]
    assert set(told) == {(0, 0), (1, 0), (0, 1)}  # emptied, refused, waits again
    send.refresh_from_db()
    assert send.state == Send.State.PAUSED
    assert set(states(send)) == {"waiting"}
    channel.answers = {}
    resume_send(send, at=at)
    deliver_all(lane, at)
    assert states(send) == {"accepted": 6}


def test_a_provider_that_takes_some_each_time_is_not_given_up(send, lane, channel, at):
    taken: list[str] = []

    def one_then_busy(mails):
        channel.answers = {mail.address: Busy("not_sent_throttle") for mail in mails}
        channel.answers[mails[0].address] = Receipt("id")
        taken.append(mails[0].address)

    channel.before = one_then_busy
    for turn in range(10):
        deliver_next_batch(lane, now=at + timedelta(hours=turn))
    assert states(send) == {"accepted": 10}


def test_a_lease_outlives_a_group_of_which_each_answer_comes_late(lane, channel):
    channel.group_size = 20
    assert lane.lease.total_seconds() > 20 * channel.timeout_seconds


def test_a_report_during_hand_over_counts_when_the_worker_then_dies(
    send, lane, channel, at
):
    class Died(BaseException):
        pass

    def reported_then_dead(mails):
        confirm_accepted(mails[0].public_id, at=at)
        raise Died

    channel.before = reported_then_dead
    with pytest.raises(Died):
        deliver_next_batch(lane, now=at)
    ledger.sweep(now=at + timedelta(hours=1))
    assert states(send) == {"accepted": 1, "in_doubt": 3, "waiting": 6}


def test_a_report_that_is_quicker_than_the_answer_costs_no_name(
    send, lane, channel, at
):
    told = []

    def reported(mails):
        told.append(mails[0].public_id)
        confirm_accepted(mails[0].public_id, at=at)

    channel.before = reported
    deliver_next_batch(lane, now=at)
    assert len(told) == 3
    for message in send.messages.all():
        assert message.provider_message_id == f"id-{message.public_id}"
        assert message.handed_over_at is not None


def test_who_takes_consent_back_while_a_batch_leaves_is_not_mailed(
    send, lane, channel, at
):
    last = send.messages.get(address_wire=address(9)).customer

    def withdraw(mails):
        record_consent(
            last, purpose="marketing", basis="withdrawn", source="a call", at=at
        )

    channel.before = withdraw
    deliver_next_batch(lane, now=at)
    assert address(9) not in channel.ledger
    assert send.messages.get(state="left_out").reason == "no_consent"


def test_a_senders_address_no_mail_can_come_from_pauses_and_kills_nothing(
    send, lane, channel, at
):
    def refuse(*parts):
        raise InvalidAddress("'hello@shop.test' can't get mail: it is reserved.")

    channel.compose = refuse
    deliver_next_batch(lane, now=at)
    send.refresh_from_db()
    assert send.state == Send.State.PAUSED
    assert "hello@shop.test" in send.state_reason
    assert states(send) == {"waiting": 10}


def test_what_nobody_foresaw_before_a_mail_left_pauses_the_send_and_loses_nobody(
    send, lane, channel, at
):
    def break_down(*parts):
        raise ZeroDivisionError("person3@example.com")

    compose, channel.compose = channel.compose, break_down
    outcome = deliver_next_batch(lane, now=at)
    send.refresh_from_db()
    assert (outcome.stopped, outcome.waiting) == ("unforeseen", 10)
    assert send.state == Send.State.PAUSED
    assert "ZeroDivisionError" in send.state_reason
    assert "person3" not in send.state_reason
    assert states(send) == {"waiting": 10}
    channel.compose = compose
    resume_send(send, at=at)
    assert deliver_next_batch(lane, now=at).accepted == 10


def test_what_nobody_foresaw_while_mails_leave_is_in_doubt_and_never_sent_again(
    send, lane, channel, at
):
    def break_down(mails):
        if channel.groups == [4]:
            raise ZeroDivisionError

    channel.before = break_down
    assert deliver_next_batch(lane, now=at).stopped == "unforeseen"
    send.refresh_from_db()
    assert send.state == Send.State.PAUSED
    later = at + timedelta(hours=1)
    ledger.sweep(now=later)
    assert states(send) == {"accepted": 4, "in_doubt": 4, "waiting": 2}
    resume_send(send, at=later)
    channel.before = lambda mails: None
    deliver_all(lane, later)
    assert states(send) == {"accepted": 6, "in_doubt": 4}
    assert len(channel.ledger) == len(set(channel.ledger)) == 6


def test_a_mail_without_list_unsubscribe_never_leaves(send, lane, channel, at):
    whole = channel.compose

    def without(*parts):
        mail = whole(*parts)
        del mail.body.extra_headers["List-Unsubscribe-Post"]
        return mail

    channel.compose = without
    deliver_next_batch(lane, now=at)
    send.refresh_from_db()
    assert channel.ledger == []
    assert send.state == Send.State.PAUSED
    assert "List-Unsubscribe-Post" in send.state_reason
    assert states(send) == {"waiting": 10}


def test_pausing_while_a_batch_leaves_stops_at_the_next_group(
    send, lane, channel, at, invariants
):
    channel.before = lambda mails: pause_send(send, at=at)
    outcome = deliver_next_batch(lane, now=at)
    assert outcome.accepted == 4
    assert states(send) == {"accepted": 4, "waiting": 6}
    invariants(channel)
    channel.before = lambda mails: None
    assert deliver_next_batch(lane, now=at) is None
    resume_send(send, at=at)
    deliver_all(lane, at + timedelta(seconds=5))
    assert states(send) == {"accepted": 10}
    assert invariants(channel).taken == 10


def test_cancelling_while_a_batch_leaves_cancels_who_waits(
    send, lane, channel, at, invariants
):
    channel.before = lambda mails: cancel_send(send, at=at)
    deliver_next_batch(lane, now=at)
    assert states(send) == {"accepted": 4, "cancelled": 6}
    assert Batch.objects.get().state == Batch.State.CANCELLED
    assert invariants(channel).taken == 4


def test_a_paused_send_is_not_claimed_and_a_cancelled_one_is_empty(
    send, lane, channel, at
):
    pause_send(send, at=at)
    assert deliver_next_batch(lane, now=at) is None
    cancel_send(send, at=at)
    assert deliver_next_batch(lane, now=at) is None
    assert states(send) == {"cancelled": 10}


def test_who_is_cancelled_has_it_as_the_named_reason(send, at):
    cancel_send(send, at=at)
    assert set(send.messages.values_list("reason", flat=True)) == {"cancelled"}


def test_a_batch_left_behind_in_a_cancelled_send_is_cancelled_by_the_sweep(send, at):
    Send.objects.update(state="cancelled")
    ledger.sweep(now=at)
    assert states(send) == {"cancelled": 10}
    assert set(send.messages.values_list("reason", flat=True)) == {"cancelled"}


def test_a_batch_claimed_before_a_cancel_sends_nothing(send, lane, channel, at):
    compose = channel.compose

    def cancel_first(*parts):
        if Send.objects.get().state != "cancelled":
            cancel_send(send, at=at)
        return compose(*parts)

    channel.compose = cancel_first
    outcome = deliver_next_batch(lane, now=at)
    assert outcome.stopped == "cancelled"
    assert channel.ledger == []
    assert states(send) == {"cancelled": 10}


def test_a_worker_frozen_past_its_lease_drops_the_batch(
    send, lane, channel, at, monkeypatch
):
    monkeypatch.setattr(
        "campaigns.sending.protocol._Delivery._lease_from_now", lambda self: 0.0
    )
    outcome = deliver_next_batch(lane, now=at)
    assert channel.ledger == []
    assert outcome.accepted == 0
    assert states(send) == {"waiting": 10}


def test_what_comes_after_the_sweep_begins_no_further_group(send, lane, channel, at):
    channel.before = lambda mails: ledger.sweep(now=at + timedelta(hours=1))
    outcome = deliver_next_batch(lane, now=at)
    assert (outcome.stopped, outcome.accepted) == ("lost_lease", 4)
    assert channel.groups == [4]
    assert states(send) == {"accepted": 4, "waiting": 6}
    assert Batch.objects.get().state == Batch.State.WAITING


def test_a_sweep_gives_back_what_was_only_claimed(send, lane, at):
    from campaigns.sending.claims import claim

    claim("bulk", now=at, lease=lane.lease)
    assert ledger.sweep(now=at) == (0, 0)
    assert ledger.sweep(now=at + timedelta(hours=1)) == (1, 0)
    assert Batch.objects.get().state == Batch.State.WAITING
    assert states(send) == {"waiting": 10}


def test_the_channel_gets_what_the_preview_shows(send, lane, channel, at):
    from campaigns.rendering import context_of, facts_about, variant_of

    bodies = {}
    channel.before = lambda mails: bodies.update(
        {mail.message_id: mail.body for mail in mails}
    )
    deliver_next_batch(lane, now=at)
    message = send.messages.first()
    variant = variant_of(message)
    facts = facts_about([message.customer_id])[message.customer_id]
    email = render(variant, context_of(message.public_id, facts, variant))
    body = bodies[message.pk]
    assert (body.subject, body.body) == (email.subject, email.text)
    assert body.alternatives[0].content == email.html
    assert body.to == [message.address_wire]


def test_a_receipt_without_an_id_is_still_a_receipt(send, lane, channel, at):
    channel.answers[address(0)] = Receipt("")
    deliver_next_batch(lane, now=at)
    assert states(send) == {"accepted": 10}
