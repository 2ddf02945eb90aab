"""A call in doubt is repeated under its key: sending.md 7.2, F2, F3, F15, F29."""

import time
from collections import Counter
from datetime import timedelta

import pytest

from campaigns.doubts import mind_doubts
from campaigns.models import Batch, KeptCall, Send
from campaigns.sending import keeping, ledger
from campaigns.sending.protocol import Lane, deliver_next_batch
from campaigns.sending.repeating import MOST_TRIES, repeat_next
from campaigns.services import confirm_accepted, pause_send, resume_send
from customers.services import suppress
from tests.campaigns.chaos.invariants import SaidNo

pytestmark = pytest.mark.django_db
PEOPLE = 8
MINUTE = timedelta(minutes=1)
BOTH = pytest.mark.parametrize("name", ["brevo", "resend"])
# It answers 500 and has taken nothing.
FAILS = (500, {}, {}, False)


class Died(BaseException):
    pass


@pytest.fixture
def send(send_to):
    """Eight customers of one segment in one batch."""
    return send_to(PEOPLE)


@pytest.fixture
def lane_of(many, fake):
    def lane_of(name, group_size=PEOPLE):
        channel = many(name)
        channel.group_size = channel._most = group_size
        fake.minds_keys = True
        return Lane("bulk", channel, "test")

    return lane_of


def states(send):
    return Counter(send.messages.values_list("state", flat=True))


def freeze(send, chosen):
    send.frozen["if_in_doubt"] = chosen
    send.save()


def once(fake):
    addresses = [one.address for one in fake.ledger]
    assert len(addresses) == len(set(addresses)), "mailed twice"
    return len(addresses)


def dies(lane, *, at, after_the_call):
    """Whoever holds the batch; returns when it has been taken up after its lease."""
    hand_over = lane.channel.hand_over

    def die(mails):
        if after_the_call:
            hand_over(mails)
        raise Died

    lane.channel.hand_over = die
    with pytest.raises(Died):
        deliver_next_batch(lane, now=at)
    later = at + lane.lease + MINUTE
    ledger.sweep(now=later)
    return later


@pytest.mark.parametrize(
    ("name", "cut"), [("resend", "reset"), ("resend", FAILS), ("brevo", FAILS)]
)
def test_a_call_in_doubt_is_repeated_byte_for_byte_and_everybody_is_mailed_once(
    send, lane_of, fake, at, name, cut, invariants
):
    fake.script = [cut]
    lane = lane_of(name)
    deliver_next_batch(lane, now=at)
    assert states(send) == {"in_doubt": PEOPLE}
    assert not repeat_next(lane, now=at)  # the provider gets a rest first
    assert repeat_next(lane, now=at + MINUTE)
    assert states(send) == {"accepted": PEOPLE}
    assert once(fake) == PEOPLE
    first, second = fake.requests
    assert first.body == second.body
    assert first.headers.get("Idempotency-Key") == second.headers.get("Idempotency-Key")
    assert Batch.objects.get().state == "done"
    assert not KeptCall.objects.exists()
    assert all(send.messages.values_list("provider_message_id", flat=True))
    assert invariants(fake).taken == PEOPLE


def test_a_provider_that_only_says_that_it_knows_the_key_leaves_the_doubt_to_reports(
    send, lane_of, fake, at
):
    fake.script = ["reset"]
    lane = lane_of("brevo")
    deliver_next_batch(lane, now=at)
    assert repeat_next(lane, now=at + MINUTE)
    assert states(send) == {"in_doubt": PEOPLE}
    assert once(fake) == PEOPLE
    assert not repeat_next(lane, now=at + 5 * MINUTE)
    assert not KeptCall.objects.exists()


@BOTH
def test_where_it_is_to_be_left_no_call_is_kept_and_none_repeated(
    send, lane_of, fake, at, name
):
    freeze(send, "leave")
    lane, kept = lane_of(name), []
    entries = lane.channel._call.entries

    def look(request):
        kept.append(KeptCall.objects.count())
        return entries(request)

    lane.channel._call.entries = look
    fake.script = ["reset"]
    deliver_next_batch(lane, now=at)
    assert states(send) == {"in_doubt": PEOPLE}
    assert kept == [0]
    for minutes in range(1, 90, 7):
        assert not repeat_next(lane, now=at + minutes * MINUTE)
        assert mind_doubts(at=at + minutes * MINUTE) == 0
    assert len(fake.requests) == 1
    assert states(send) == {"in_doubt": PEOPLE}


@BOTH
def test_where_it_is_to_be_left_whoever_dies_leaves_all_in_doubt(
    send, lane_of, fake, at, name
):
    freeze(send, "leave")
    lane = lane_of(name)
    later = dies(lane, at=at, after_the_call=True)
    assert states(send) == {"in_doubt": PEOPLE}
    assert not repeat_next(lane, now=later)
    assert once(fake) == PEOPLE


def test_a_send_of_before_there_was_a_choice_is_asked_for_again(
    send, lane_of, fake, at
):
    del send.frozen["if_in_doubt"]
    send.save()
    fake.script = [FAILS]
    lane = lane_of("resend")
    deliver_next_batch(lane, now=at)
    assert repeat_next(lane, now=at + MINUTE)
    assert states(send) == {"accepted": PEOPLE}


def test_a_notice_is_asked_for_under_its_key_first_and_then_sent_again_under_another(
    send, lane_of, fake, at, settings
):
    settings.PROVIDER = "brevo"
    send.frozen["plan"]["purpose"] = "service"
    freeze(send, "again")
    send.campaign.template.purpose = "service"
    send.campaign.template.save()
    fake.script = ["reset"]
    lane = lane_of("brevo")
    deliver_next_batch(lane, now=at)
    later = at + 40 * MINUTE
    assert mind_doubts(at=later) == 0  # its call is still kept
    assert repeat_next(lane, now=at + MINUTE)
    assert states(send) == {"in_doubt": PEOPLE}
    assert not KeptCall.objects.exists()
    assert mind_doubts(at=later) == PEOPLE
    deliver_next_batch(lane, now=later)
    assert states(send) == {"accepted": PEOPLE}
    assert Counter(one.address for one in fake.ledger) == {
        f"person{number}@example.com": 2 for number in range(PEOPLE)
    }
    first, asked, *others = [request.body for request in fake.requests]
    assert first == asked
    assert first not in others


@BOTH
def test_when_somebody_in_it_says_no_it_is_not_repeated(
    send, lane_of, fake, at, name, invariants
):
    """F29."""
    fake.script = [FAILS]
    lane = lane_of(name)
    deliver_next_batch(lane, now=at)
    suppress("person3@example.com", reason="unsubscribed", at=at)
    said_no = SaidNo("person3@example.com", time.time(), waited=True)
    assert repeat_next(lane, now=at + MINUTE)
    assert len(fake.requests) == 1
    assert states(send) == {"in_doubt": PEOPLE}
    assert "must not be mailed" in send.messages.first().detail
    assert not KeptCall.objects.exists()
    assert invariants(fake, said_no=[said_no]).taken == 0


@BOTH
def test_a_key_that_is_too_old_is_not_used(send, lane_of, fake, at, name):
    fake.script = [FAILS]
    lane = lane_of(name)
    deliver_next_batch(lane, now=at)
    alive = timedelta(seconds=lane.channel.key_seconds * keeping.ALIVE_SHARE)
    assert repeat_next(lane, now=at + alive)
    assert len(fake.requests) == 1
    assert states(send) == {"in_doubt": PEOPLE}


@BOTH
def test_whoever_dies_before_the_call_leaves_nobody_in_doubt(
    send, lane_of, fake, at, name
):
    """F2: nothing was kept, so nothing left."""
    lane = lane_of(name)
    hand_over, lane.channel.hand_over = lane.channel.hand_over, None
    later = dies(lane, at=at, after_the_call=False)
    assert states(send) == {"waiting": PEOPLE}
    lane.channel.hand_over = hand_over
    deliver_next_batch(lane, now=later)
    assert states(send) == {"accepted": PEOPLE}
    assert once(fake) == PEOPLE


def test_whoever_dies_after_the_call_leaves_it_to_be_repeated(send, lane_of, fake, at):
    """F3: the provider answers as it did, and mails nobody."""
    lane = lane_of("resend")
    later = dies(lane, at=at, after_the_call=True)
    assert states(send) == {"in_doubt": PEOPLE}
    assert repeat_next(lane, now=later)
    assert states(send) == {"accepted": PEOPLE}
    assert once(fake) == PEOPLE


def test_of_a_call_that_was_halved_only_the_half_in_doubt_is_repeated(
    send, lane_of, fake, at
):
    fake.script = [(400, {}, {}, False), None, FAILS]
    lane = lane_of("resend")
    deliver_next_batch(lane, now=at)
    half = PEOPLE // 2
    assert states(send) == {"accepted": half, "in_doubt": half}
    assert [len(one.messages) for one in KeptCall.objects.all()] == [half]
    assert repeat_next(lane, now=at + MINUTE)
    assert states(send) == {"accepted": PEOPLE}
    assert once(fake) == PEOPLE


def test_a_lease_that_was_lost_lets_no_call_leave(send, lane_of, fake, at, invariants):
    """F12: whoever stood still between the gate and its bytes."""
    lane = lane_of("resend")
    entries = lane.channel._call.entries

    def swept(request):
        ledger.sweep(now=at + lane.lease + MINUTE)
        return entries(request)

    lane.channel._call.entries = swept
    assert deliver_next_batch(lane, now=at).stopped == "lost_lease"
    assert fake.requests == []
    assert states(send) == {"waiting": PEOPLE}
    assert invariants(fake, calm=False).taken == 0


def test_while_a_send_is_paused_it_waits(send, lane_of, fake, at, admin_user):
    fake.script = [FAILS]
    lane = lane_of("resend")
    deliver_next_batch(lane, now=at)
    Send.objects.update(state="sending")
    pause_send(send, at=at)
    assert repeat_next(lane, now=at + MINUTE)
    assert len(fake.requests) == 1
    resume_send(send, at=at + 2 * MINUTE)
    assert repeat_next(lane, now=at + 5 * MINUTE)
    assert states(send) == {"accepted": PEOPLE}


def test_what_a_report_has_settled_is_not_asked_for_again(send, lane_of, fake, at):
    fake.script = ["reset"]
    lane = lane_of("resend")
    deliver_next_batch(lane, now=at)
    confirm_accepted(send.messages.first().public_id, at=at)
    assert repeat_next(lane, now=at + MINUTE)
    assert len(fake.requests) == 1
    assert states(send) == {"accepted": 1, "in_doubt": PEOPLE - 1}


def test_a_provider_that_stays_silent_is_asked_a_few_times_and_no_more(
    send, lane_of, fake, at
):
    fake.script = [FAILS] * 20
    lane = lane_of("resend")
    deliver_next_batch(lane, now=at)
    for hour in range(1, 12):
        repeat_next(lane, now=at + timedelta(hours=hour))
    assert len(fake.requests) == 1 + MOST_TRIES
    assert states(send) == {"in_doubt": PEOPLE}
    assert not KeptCall.objects.exists()


def test_two_workers_never_repeat_the_same_call(send, lane_of, fake, at):
    fake.script = [FAILS]
    lane = lane_of("resend")
    deliver_next_batch(lane, now=at)
    other, repeat, asked = Lane("bulk", lane.channel, "other"), lane.channel.repeat, []

    def meanwhile(call):
        asked.append(repeat_next(other, now=at + MINUTE))
        return repeat(call)

    lane.channel.repeat = meanwhile
    assert repeat_next(lane, now=at + MINUTE)
    assert asked == [None]
    assert len(fake.requests) == 2


def test_what_was_accepted_is_not_kept_nor_what_can_t_be_repeated(
    send, lane_of, fake, at
):
    fake.script = ["reset"]
    deliver_next_batch(lane_of("mailgun"), now=at)
    assert states(send) == {"in_doubt": PEOPLE}
    assert not KeptCall.objects.exists()
    Batch.objects.update(state="waiting")
    send.messages.update(state="waiting")
    deliver_next_batch(lane_of("resend"), now=at + MINUTE)
    assert states(send) == {"accepted": PEOPLE}
    assert not KeptCall.objects.exists()


def test_nothing_is_kept_for_longer_than_any_key_lives(send, lane_of, fake, at):
    fake.script = [FAILS]
    deliver_next_batch(lane_of("resend"), now=at)
    keeping.forget_old(at=at + timedelta(hours=15))
    assert KeptCall.objects.count() == 1
    keeping.forget_old(at=at + timedelta(hours=17))
    assert not KeptCall.objects.exists()
