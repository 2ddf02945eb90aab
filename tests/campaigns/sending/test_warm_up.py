"""The day of a sender domain that warms up: counted, shared, and kept by its date."""

import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from campaigns.models import Batch, RateLimit, Send, Sender, SenderDomainWarmUp
from campaigns.quiet_hours import hours_of
from campaigns.sending import counters, limits, seeding, sharing, warming
from campaigns.sending.channels import Busy, channel_for
from campaigns.sending.engine import heartbeat, pause_stale, work_waits
from campaigns.sending.protocol import Lane, deliver_next_batch
from campaigns.services import send_progress
from campaigns.timeline import timeline

pytestmark = pytest.mark.django_db

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


@pytest.fixture
def warm_up(admin_user, at):
    """The domain that the campaigns are from, since this morning: 10, 20, then 40."""
    made = SenderDomainWarmUp(domain="shop.example", caps=[10, 20, 40])
    warming.keep(made, at=at, by=admin_user)
    return made


def states(send):
    return Counter(send.messages.values_list("state", flat=True))


def accepted(send):
    return states(send)["accepted"]


def deliver_all(lane, now):
    while deliver_next_batch(lane, now=now) is not None:
        pass


def go_on_to(warm_up, day):
    SenderDomainWarmUp.objects.filter(pk=warm_up.pk).update(day=day)


def test_no_more_than_its_day_allows_leaves_from_a_domain(
    send_to, lane, channel, warm_up, at, invariants
):
    send = send_to(30)
    deliver_all(lane, at)
    deliver_all(lane, at + timedelta(hours=14))  # 23:00 of the same day
    assert states(send) == {"accepted": 10, "waiting": 20}
    assert work_waits("bulk", at=at) == 0  # met once; nobody spins
    deliver_all(lane, at + timedelta(hours=15, minutes=1))  # after midnight
    assert accepted(send) == 20
    assert invariants(channel).taken == 20


def test_another_domain_sends_as_before(send_to, world, campaign, lane, warm_up, at):
    cold = send_to(12)
    other = world.add_campaign(campaign.template, neutral_share=0.0)
    other.sender = Sender.objects.create(
        shop_name="L", from_name="L", from_address="us@old.example", postal_address="1"
    )
    other.save()
    warm = world.prepared_send(other)
    deliver_all(lane, at)
    assert (accepted(cold), accepted(warm)) == (10, 12)


def test_all_campaigns_and_providers_of_a_domain_share_its_day(
    send_to, world, campaign, channel, warm_up, at
):
    first = send_to(30)
    second = world.prepared_send(world.add_campaign(campaign.template))
    deliver_all(Lane("bulk", channel, "one", provider="outbox"), at)
    deliver_all(Lane("bulk", channel, "two", provider="another"), at)
    deliver_all(Lane("bulk", channel, "two", provider="another"), at + 2 * MINUTE)
    assert accepted(first) + accepted(second) == 10


def test_two_sends_get_the_same_of_a_day_that_is_too_small_for_both(
    send_to, world, campaign, lane, warm_up, at, invariants, channel
):
    first = send_to(30)
    second = world.prepared_send(
        world.add_campaign(campaign.template, neutral_share=0.0)
    )
    for minute in range(0, 6, 2):
        deliver_all(lane, at + minute * MINUTE)
    assert (accepted(first), accepted(second)) == (5, 5)
    invariants(channel)


def test_what_one_send_does_not_need_another_gets(
    send_to, world, campaign, lane, warm_up, at
):
    large = send_to(30)
    small = world.prepared_send(
        world.add_campaign(campaign.template, neutral_share=0.0)
    )
    some = list(small.messages.order_by("pk").values_list("pk", flat=True)[3:])
    small.messages.filter(pk__in=some).update(state="left_out")
    for minute in range(0, 6, 2):
        deliver_all(lane, at + minute * MINUTE)
    assert (accepted(large), accepted(small)) == (7, 3)


@pytest.mark.parametrize(
    ("left", "taken", "others", "part"),
    [
        (10, {}, [], 10),
        (10, {}, [2], 5),
        (11, {}, [2], 6),
        (5, {"1": 5}, [2], 0),
        (15, {"1": 20, "3": 20, "2": 5}, [3], 8),  # (15 + 40) / 2, rounded up
        (0, {}, [2], 0),
    ],
)
def test_a_part_is_what_brings_all_who_wait_to_the_same(left, taken, others, part):
    assert sharing.fair_part(left, taken, 1, others) == part


def test_mail_about_an_order_counts_and_does_not_wait(send_to, channel, warm_up, at):
    send = send_to(30)
    Batch.objects.update(lane="transactional")
    deliver_all(Lane("transactional", channel, "orders"), at)
    assert accepted(send) == 30
    assert warming.used_today(warm_up, at=at) == 30


def test_what_did_not_leave_is_given_back(send_to, lane, channel, warm_up, at):
    send = send_to(30)
    channel.answers["person2@example.com"] = Busy("not_sent_net", "away")
    deliver_all(lane, at)
    assert accepted(send) == 2
    assert warming.used_today(warm_up, at=at) == 2
    assert RateLimit.objects.get().lines == {str(send.pk): 2}


def test_what_is_given_back_after_midnight_is_none_of_the_new_day(warm_up, at):
    limit = RateLimit.objects.get()
    before, after = at + timedelta(hours=14), at + timedelta(hours=16)
    counters.count(limit, 10, now=before)
    counters.count(limit, 4, now=after)
    limit.save()
    unused = limits.Grant(
        may=[1, 2], taken={limit.pk: [1, 2]}, send_id=1, day=before.date()
    )
    limits.give_back(unused, now=after)
    assert warming.used_today(warm_up, at=after) == 4


def test_a_clock_that_goes_back_refills_nothing(
    send_to, lane, channel, warm_up, at, invariants
):
    send = send_to(60)
    deliver_all(lane, at)
    for ahead in (-DAY, -40 * DAY, timedelta()):
        Batch.objects.update(not_before=at - 50 * DAY)
        deliver_all(lane, at + ahead)
        assert accepted(send) == 10
    assert SenderDomainWarmUp.objects.get().day == 1
    Batch.objects.update(not_before=at)
    deliver_all(lane, at + DAY)
    assert accepted(send) == 20
    invariants(channel)


def test_a_day_begins_at_midnight_on_the_shop_s_wall(
    send_to, lane, warm_up, at, settings
):
    settings.TIME_ZONE = "America/New_York"
    from campaigns.timing import zone_of

    zone_of.cache_clear()
    try:
        send = send_to(30)
        deliver_all(lane, at)
        batch = Batch.objects.filter(state="waiting").first()
        assert batch.not_before.replace(microsecond=0, second=0) == datetime(
            2026, 3, 3, 5, 0, tzinfo=UTC
        )
        deliver_all(lane, datetime(2026, 3, 3, 4, 59, tzinfo=UTC))
        assert accepted(send) == 10
        deliver_all(lane, datetime(2026, 3, 3, 5, 1, tzinfo=UTC))
        assert accepted(send) == 20
    finally:
        zone_of.cache_clear()


def test_what_waits_for_the_next_day_sleeps_until_the_morning(
    send_to, lane, warm_up, at, settings
):
    settings.QUIET_HOURS = hours_of("21:00-08:00")
    send_to(250)
    deliver_all(lane, at)
    times = Batch.objects.filter(state="waiting").values_list("not_before", flat=True)
    assert len(times) == 3
    assert {one.strftime("%d %H:%M") for one in times} == {"03 08:00"}


def test_one_batch_meets_it_for_all_of_its_send_and_nobody_is_taken_for_stale(
    send_to, lane, warm_up, at
):
    send = send_to(250)
    assert deliver_next_batch(lane, now=at) is not None
    assert deliver_next_batch(lane, now=at) is None
    assert pause_stale(at=at + timedelta(hours=9)) == 0
    send.refresh_from_db()
    assert send.state == "sending"


def test_a_higher_cap_wakes_what_waits(send_to, lane, warm_up, at, admin_user):
    send = send_to(30)
    deliver_all(lane, at)
    warm_up.refresh_from_db()
    warm_up.caps = [25, 50]
    warming.keep(warm_up, at=at, by=admin_user)
    deliver_all(lane, at)
    assert accepted(send) == 25
    warm_up.on = False
    warming.keep(warm_up, at=at, by=admin_user)
    deliver_all(lane, at)
    assert accepted(send) == 30


def test_after_its_last_day_a_domain_sends_as_much_as_campaigns_do(
    send_to, lane, warm_up, at
):
    go_on_to(warm_up, 4)
    send = send_to(60)
    deliver_all(lane, at)
    assert accepted(send) == 60


@pytest.mark.django_db(transaction=True)
def test_workers_side_by_side_take_no_more_than_the_day(send_to, at, at_once, warm_up):
    send = send_to(250)

    def work():
        deliver_all(Lane("bulk", channel_for("outbox")), at)

    assert at_once(work, work, work) == []
    assert accepted(send) == 10


def test_the_page_of_a_send_names_the_warm_up_and_the_days_it_takes(
    send_to, lane, warm_up, at
):
    send = send_to(100)
    heartbeat("one", "run_engine", at=at, since=at)
    deliver_all(lane, at)
    progress = send_progress(send, at=at)
    words = "at most 10 a day from shop.example, on day 1 of its warm-up"
    assert words in progress.binds
    assert re.search("It goes on from 3 Mar( 2026)?, 0:00 UTC: ", progress.binds)
    # 20 tomorrow, 40 on the day after, and what is left, 30, after the last day.
    assert progress.time_left == timedelta(hours=15 + 48)


def test_a_send_that_has_not_met_it_is_told_of_it_too(
    send_to, world, campaign, lane, warm_up, at
):
    heartbeat("one", "run_engine", at=at, since=at)
    send_to(10)
    deliver_all(lane, at)
    late = world.prepared_send(world.add_campaign(campaign.template))
    assert "from shop.example, on day 1" in send_progress(late, at=at).binds


def test_the_timeline_shows_of_each_day_what_it_allows(send_to, warm_up, at):
    send_to(75)
    found = timeline(at=at)
    by_day = Counter()
    for hour in (*found.hours, *found.later):
        by_day[hour.begins.day] += hour.messages
    assert +by_day == {2: 10, 3: 20, 4: 40, 5: 5}


def test_a_copy_for_a_seed_is_of_the_day_too(
    send_to, lane, warm_up, at, campaign, channel
):
    from campaigns.models import Seed

    Seed.objects.create(sender=campaign.sender, address="seed@shop.example")
    send_to(9)
    deliver_all(lane, at)
    seeding.send_due(lane, clock=lambda: at, until=float("inf"), stopping=bool)
    assert "seed@shop.example" in channel.ledger
    assert warming.used_today(warm_up, at=at) == 10


def test_no_send_is_engaged_first_unless_its_domain_warms_up(send_to):
    assert not send_to(3).engaged_first
    assert set(Send.objects.values_list("engaged_first", flat=True)) == {False}
    assert set(Batch.objects.values_list("rank", flat=True)) == {0}
