import itertools
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from campaigns.models import Batch, Message, ProviderNote, RateLimit
from campaigns.sending import ledger, limits
from campaigns.sending.channels import Busy
from campaigns.sending.engine import heartbeat, work_waits
from campaigns.sending.protocol import Lane, deliver_next_batch
from campaigns.services import send_progress

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


@pytest.fixture
def send(send_to):
    """Forty customers in one batch."""
    return send_to(40)


@pytest.fixture
def limit(admin_user, at):
    def set_one(most, window="minute", **more):
        return limits.set_limit(
            "outbox", window=window, most=most, at=at, by=admin_user, **more
        )

    return set_one


def states(send):
    return Counter(send.messages.values_list("state", flat=True))


def deliver_all(lane, now):
    outcomes = []
    while (outcome := deliver_next_batch(lane, now=now)) is not None:
        outcomes.append(outcome)
    return outcomes


def test_a_limit_cuts_a_batch_and_the_rest_waits_to_when_it_may(
    send, lane, channel, limit, at
):
    limit(15)
    outcomes = deliver_all(lane, at)
    assert states(send) == {"accepted": 15, "waiting": 25}
    assert len(outcomes) == 1  # met once; nobody spins
    assert work_waits("bulk", at=at) == 0
    deliver_all(lane, at + timedelta(seconds=64))
    assert states(send)["accepted"] == 30
    deliver_all(lane, at + timedelta(seconds=130))
    assert states(send) == {"accepted": 40}
    assert len(set(channel.ledger)) == len(channel.ledger) == 40


def test_two_workers_share_what_is_left(send, channel, limit, at):
    limit(10)
    for name in ("one", "another"):
        deliver_all(Lane("bulk", channel, name), at)
    assert states(send)["accepted"] == 10


def test_all_windows_are_kept_at_once(send, lane, limit, at):
    limit(10)
    limit(25, window="hour")
    for minute in range(10):
        deliver_all(lane, at + 2 * minute * MINUTE)
    assert states(send)["accepted"] == 25


def test_a_limit_of_one_kind_of_mailbox_holds_up_no_other(
    send_to, lane, channel, limit, at
):
    send = send_to(20)
    for message in send.messages.order_by("pk")[:12]:
        Message.objects.filter(pk=message.pk).update(
            address_wire=f"c{message.pk}@gmail.com"
        )
    limit(5, mailboxes="gmail")
    deliver_all(lane, at)
    gmail = [address for address in channel.ledger if "gmail" in address]
    assert (len(gmail), len(channel.ledger)) == (5, 13)
    batch = Batch.objects.get(state="waiting")
    assert batch.outcome_detail == "at most 5 a minute to Gmail"
    assert batch.not_before > at + timedelta(seconds=55)


def test_a_campaign_s_limit_leaves_another_alone(
    send_to, world, campaign, lane, channel, limit, at
):
    slow = send_to(8)
    fast = world.prepared_send(world.add_campaign(campaign.template))
    limit(3, campaign=campaign)
    deliver_all(lane, at)
    assert states(slow) == {"accepted": 3, "waiting": 5}
    assert states(fast) == {"accepted": 8}


def test_batches_of_one_send_stand_in_a_line_instead_of_coming_all_at_once(
    send_to, campaign, lane, limit, at
):
    send = send_to(250)
    limit(50, campaign=campaign)
    deliver_all(lane, at)
    assert states(send)["accepted"] == 50
    times = sorted(Batch.objects.filter(state="waiting").values_list("not_before"))
    gaps = [later[0] - sooner[0] for sooner, later in itertools.pairwise(times)]
    assert min(gaps) >= timedelta(seconds=50)


def test_what_was_taken_and_did_not_leave_is_there_for_others(
    send, lane, channel, limit, at
):
    channel.answers["person2@example.com"] = Busy("not_sent_net", "away")
    one = limit(20)
    deliver_all(lane, at)
    one.refresh_from_db()
    assert states(send)["accepted"] == 2
    assert sum(one.slots.values()) == 2


def test_who_may_have_left_when_something_broke_still_counts(
    send, lane, channel, limit, at, invariants
):
    """Nobody knows whether the group under way was taken; its lease tells later."""
    made = limit(1000, window="day")

    def breaks(mails):
        if len(channel.groups) == 2:
            raise ZeroDivisionError

    channel.before = breaks
    deliver_next_batch(lane, now=at)
    assert states(send) == {"accepted": 8, "handing_over": 4, "waiting": 28}
    made.refresh_from_db()
    assert sum(made.slots.values()) == 12
    ledger.sweep(now=at + lane.lease + MINUTE)
    assert states(send) == {"accepted": 8, "in_doubt": 4, "waiting": 28}
    invariants(channel)


def test_a_429_is_heeded_and_lowers_the_rate_for_a_while(
    send, lane, channel, at, invariants
):
    channel.answers["person25@example.com"] = Busy("not_sent_throttle", "429", 90.0)
    deliver_all(lane, at)
    channel.answers = {}
    learned = RateLimit.objects.get()
    assert (learned.learned, learned.most, learned.pace) == (True, 25, 0.8)
    assert deliver_next_batch(lane, now=at + timedelta(seconds=89)) is None
    assert not send.messages.filter(state="failed").exists()
    deliver_all(lane, at + timedelta(seconds=95))
    assert states(send) == {"accepted": 40}
    assert "at most 20 a minute" in ProviderNote.objects.latest("pk").sentence
    assert limits.most_at(learned, at + timedelta(minutes=16)) == 23  # 25 * 0.95
    assert limits.most_at(learned, at + timedelta(minutes=21)) is None
    assert invariants(channel).taken == 40


def test_a_clock_that_jumps_back_lets_nobody_send_more(
    send, lane, channel, limit, at, invariants
):
    limit(15)
    deliver_all(lane, at)
    Batch.objects.update(not_before=at - timedelta(hours=2))
    deliver_all(lane, at - timedelta(hours=1))
    assert states(send)["accepted"] == 15
    deliver_all(lane, at + timedelta(days=1))
    assert states(send)["accepted"] == 30
    assert invariants(channel).taken == 30


def test_a_warm_up_grows_by_the_day(send, lane, limit, at):
    made = limit(10, window="day", grows_percent=50, ceiling=12)
    deliver_all(lane, at)
    assert states(send)["accepted"] == 10
    tomorrow = at + timedelta(hours=26)
    assert limits.most_at(made, tomorrow) == 10  # nobody has looked at today yet
    days = {at.date(): limits.DayOfMail(10)}
    limits.judge_days(made, days, today=tomorrow.date(), at=tomorrow)
    deliver_all(lane, tomorrow)
    assert states(send)["accepted"] == 22


def test_who_raises_a_limit_wakes_what_waits_for_it(send, lane, limit, at):
    limit(10, window="day", mailboxes="rest")
    deliver_all(lane, at)
    limit(100, window="day", mailboxes="rest")
    deliver_all(lane, at)
    assert states(send) == {"accepted": 40}


def test_the_page_says_which_limit_binds_and_how_long_it_takes(send, lane, limit, at):
    heartbeat("one", "run_engine", at=at, since=at)
    limit(15)
    deliver_all(lane, at)
    progress = send_progress(send, at=at)
    assert "at most 15 a minute" in progress.binds
    assert progress.time_left == timedelta(seconds=100)  # 25 of 15 a minute


def test_without_a_limit_no_question_more_is_asked(send, lane, at):
    with CaptureQueriesContext(connection) as asked:
        deliver_next_batch(lane, now=at)
        begun = len(asked.captured_queries)  # from here on the breaker has its row
        deliver_next_batch(lane, now=at)
    told = [one["sql"] for one in asked.captured_queries[begun:]]
    assert len([sql for sql in told if "campaigns_breaker" in sql]) == 1
    assert [sql for sql in told if "ratelimit" in sql] == told[:1]
    assert states(send) == {"accepted": 40}


@pytest.mark.django_db(transaction=True)
def test_workers_side_by_side_never_take_more_than_there_is(
    send_to, at, at_once, limit
):
    send = send_to(250)
    limit(70)

    def work():
        from campaigns.sending.channels import channel_for

        deliver_all(Lane("bulk", channel_for("outbox")), at)

    assert at_once(work, work, work) == []
    assert states(send)["accepted"] == 70


def test_mail_about_an_order_counts_and_does_not_wait(send, channel, limit, at):
    limit(15)
    Batch.objects.update(lane="transactional")
    orders = Lane("transactional", channel, "orders")
    deliver_all(orders, at)
    assert states(send) == {"accepted": 40}
    # What goes to many leaves when there is room again.
    assert limits.shut_for(Lane("bulk", channel).way, now=at)[0] > 0
    assert limits.shut_for(orders.way, now=at)[0] == 0


def test_mail_about_an_order_waits_when_the_provider_asks_for_less(
    send, channel, limit, at
):
    limit(15)
    RateLimit.objects.update(learned=True, most=20, pace=0.5, pace_at=at)
    Batch.objects.update(lane="transactional")
    deliver_all(Lane("transactional", channel, "orders"), at)
    assert states(send) == {"accepted": 10, "waiting": 30}
