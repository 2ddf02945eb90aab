"""Nobody is woken, nothing leaves too late, and a person decides about stale news."""

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from time import sleep

import pytest
from django.urls import reverse
from django.utils import timezone

from campaigns.errors import CannotSchedule
from campaigns.models import Batch, Send
from campaigns.planning import preflight
from campaigns.quiet_hours import hours_of
from campaigns.sending import engine, ledger, limits, protocol
from campaigns.sending.claims import claim
from campaigns.sending.protocol import deliver_next_batch
from campaigns.services import (
    cancel_send,
    launch_send,
    materialise,
    pause_send,
    resume_send,
    schedule_send,
    send_progress,
)
from customers.models import Customer
from tests.campaigns.chaos.inside import Outbox

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
# Noon in London is 21:00 in Tokyo and 4:00 in Los Angeles.
ZONES = ("Europe/London", "Asia/Tokyo", "America/Los_Angeles", "no such place")
TOKYO_WAKES = datetime(2026, 3, 2, 23, 0, tzinfo=UTC)
LOS_ANGELES_WAKES = datetime(2026, 3, 2, 16, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _people_sleep(settings):
    settings.QUIET_HOURS = hours_of("21:00-08:00")


@pytest.fixture
def people(world):
    """Three of each zone; who lives nowhere known goes by the shop's clock."""
    customers = world.add_customers(12)
    for number, one in enumerate(customers):
        one.timezone = ZONES[number % len(ZONES)]
    Customer.objects.bulk_update(customers, ["timezone"])
    return customers


def prepared(campaign, *, at):
    send = launch_send(schedule_send(campaign, scheduled_at=at, at=at), at=at)
    assert materialise(send, at=at)
    send.refresh_from_db()
    return send


def deliver_all(lane, now):
    while deliver_next_batch(lane, now=now) is not None:
        pass


def reached(send):
    """How many of each zone."""
    return Counter(
        send.messages.filter(state="accepted").values_list(
            "customer__timezone", flat=True
        )
    )


def test_who_sleeps_gets_a_promotion_in_the_morning(people, campaign, lane):
    send = prepared(campaign, at=NOON)
    deliver_all(lane, NOON)
    assert reached(send) == {"Europe/London": 3, "no such place": 3}
    deliver_all(lane, LOS_ANGELES_WAKES - timedelta(seconds=1))
    assert reached(send).total() == 6
    deliver_all(lane, LOS_ANGELES_WAKES)
    assert reached(send)["America/Los_Angeles"] == 3
    # London has gone to bed by then; it has its mail already.
    deliver_all(lane, TOKYO_WAKES)
    assert reached(send).total() == 12


def test_mail_about_an_order_comes_at_any_hour(people, campaign, lane):
    campaign.template.purpose = "service"
    campaign.template.save()
    send = prepared(campaign, at=NOON)
    deliver_all(lane, NOON)
    assert reached(send).total() == 12


def test_a_marketer_may_say_that_the_night_is_right(people, campaign, lane):
    campaign.at_night = True
    send = prepared(campaign, at=NOON)
    deliver_all(lane, NOON)
    assert reached(send).total() == 12


def test_after_an_outage_nobody_is_woken(people, campaign, lane, channel):
    """What was due at noon and found no sender before 3:00 waits for 8:00."""
    send = prepared(campaign, at=NOON)
    night = NOON + timedelta(hours=15)
    deliver_all(lane, night)
    # 3:00 in London, noon in Tokyo, 19:00 in Los Angeles.
    assert reached(send) == {"Asia/Tokyo": 3, "America/Los_Angeles": 3}
    waiting = Batch.objects.filter(state="waiting")
    assert {batch.not_before for batch in waiting} == {
        datetime(2026, 3, 3, 8, 0, tzinfo=UTC)
    }
    deliver_all(lane, night + timedelta(hours=5))
    assert reached(send).total() == 12
    assert Counter(channel.ledger).most_common(1)[0][1] == 1
    engine.wind_up(at=night + timedelta(hours=5))
    assert Send.objects.get().state == "sent"


def test_a_batch_that_is_cut_off_while_people_fall_asleep_loses_nobody(
    people, campaign, lane
):
    send = prepared(campaign, at=NOON)
    Batch.objects.update(not_before=NOON)  # all in one: no zone's batch of its own
    first = Batch.objects.order_by("pk").first()
    send.messages.update(batch=first)
    deliver_all(lane, NOON)
    assert reached(send) == {"Europe/London": 3, "no such place": 3}
    assert send.messages.filter(state="waiting").count() == 6
    deliver_all(lane, TOKYO_WAKES)
    assert reached(send).total() == 12


def test_a_paused_send_is_not_cut_up_and_a_cancelled_one_not_revived(
    people, campaign, lane
):
    send = prepared(campaign, at=NOON)
    batches = Batch.objects.count()
    Batch.objects.update(not_before=NOON)
    Send.objects.update(state="paused")  # pressed between claim and look
    deliver_next_batch(lane, now=NOON + timedelta(hours=15))
    assert Batch.objects.count() == batches
    assert not send.messages.exclude(state="waiting").exists()


def test_what_has_ended_reaches_nobody_any_more(people, campaign, lane):
    campaign.expires_at = LOS_ANGELES_WAKES
    campaign.save()
    send = prepared(campaign, at=NOON)
    late = send.messages.filter(state="left_out", reason="expired")
    assert set(late.values_list("customer__timezone", flat=True)) == {
        "Asia/Tokyo",
        "America/Los_Angeles",
    }
    deliver_all(lane, LOS_ANGELES_WAKES)
    assert late.count() == 12
    engine.wind_up(at=LOS_ANGELES_WAKES)
    progress = send_progress(Send.objects.get(), at=LOS_ANGELES_WAKES)
    assert (progress.state, progress.audience) == ("sent", 12)
    assert progress.reasons == {"expired": 12}


def test_who_would_get_it_after_its_end_gets_nothing(people, campaign, lane):
    campaign.expires_at = NOON + timedelta(hours=16)
    send = prepared(campaign, at=NOON)
    deliver_all(lane, NOON + timedelta(hours=15))
    assert reached(send) == {"Asia/Tokyo": 3, "America/Los_Angeles": 3}
    assert send.messages.filter(reason="expired").count() == 6


def test_an_end_before_the_beginning_is_refused(campaign, world):
    world.add_customers(3)
    campaign.expires_at = NOON
    campaign.save()
    ends = "Nobody gets it after 2 Mar( 2026)?, 12:00 UTC"
    with pytest.raises(CannotSchedule, match=ends):
        schedule_send(campaign, scheduled_at=NOON, at=NOON - timedelta(hours=1))
    assert preflight(campaign, at=NOON).problems
    assert schedule_send(campaign, scheduled_at=NOON - timedelta(minutes=1), at=NOON)


@pytest.mark.parametrize(("hours", "stops"), [(5.9, False), (6.1, True)])
def test_news_that_lay_about_for_hours_waits_for_a_person(
    people, campaign, settings, hours, stops, invariants
):
    settings.QUIET_HOURS = None
    send = prepared(campaign, at=NOON)
    later = NOON + timedelta(hours=hours)
    report = engine.run_once(at=later)
    send.refresh_from_db()
    assert (send.state == "paused", report.accepted == 0) == (stops, stops)
    if stops:
        assert "no sender was running" in send.state_reason
        resume_send(send, at=later)
        assert engine.run_once(at=later).accepted == 12
    assert invariants(Outbox(settings.OUTBOX_DIR)).taken == 12


def test_stale_news_waits_also_where_the_process_for_mail_is_there_first(
    people, campaign, settings
):
    settings.QUIET_HOURS = None
    send = prepared(campaign, at=NOON)
    later = NOON + timedelta(hours=7)
    roles = (engine.Role.MAIL,)
    with engine._Engine("mail alone", clock=lambda: later, roles=roles) as alone:
        assert alone.turn(seconds=10).accepted == 0
    send.refresh_from_db()
    assert send.state == "paused"


def test_a_send_that_takes_its_time_is_not_stale(people, campaign, lane, settings):
    settings.QUIET_HOURS = None
    send = prepared(campaign, at=NOON)
    deliver_next_batch(lane, now=NOON + timedelta(hours=5))
    assert engine.pause_stale(at=NOON + timedelta(hours=7)) == 0
    assert engine.pause_stale(at=NOON + timedelta(hours=12)) == 1
    send.refresh_from_db()
    assert send.state == "paused"


def test_who_waits_for_a_large_send_to_end_is_not_stale(
    people, campaign, world, lane, settings
):
    settings.QUIET_HOURS = None
    prepared(campaign, at=NOON)
    other = prepared(world.add_campaign(campaign.template), at=NOON)
    # The lane was busy with the first of them until a minute ago.
    deliver_next_batch(lane, now=NOON + timedelta(hours=9))
    assert not other.messages.exclude(state="waiting").exists()
    assert engine.pause_stale(at=NOON + timedelta(hours=10)) == 0


def test_who_waits_for_a_day_limit_of_the_provider_is_not_stale_until_it_is_over(
    people, campaign, lane, settings, admin_user, monkeypatch
):
    settings.QUIET_HOURS = None
    monkeypatch.setattr("campaigns.sending.channels.anymail.BATCH_SIZE", 3)
    send = prepared(campaign, at=NOON)
    limits.set_limit(lane.provider, window="day", most=3, at=NOON, by=admin_user)
    accepted = 0
    while (outcome := deliver_next_batch(lane, now=NOON)) is not None:
        accepted += outcome.accepted
    assert accepted == 3
    waits = Batch.objects.filter(state="waiting").values_list("not_before", flat=True)
    assert len(waits) >= 2
    assert min(waits) > NOON + timedelta(hours=23)
    later = max(waits)
    assert engine.pause_stale(at=NOON + timedelta(hours=7)) == 0
    assert engine.pause_stale(at=later) == 0
    assert deliver_next_batch(lane, now=later).accepted
    assert engine.pause_stale(at=later + timedelta(hours=50)) == 1
    send.refresh_from_db()
    assert "its provider took nothing" in send.state_reason


def test_a_turn_that_was_over_before_its_first_batch_is_followed_by_another(
    people, campaign, settings, monkeypatch
):
    settings.QUIET_HOURS = None
    prepared(campaign, at=NOON)
    turns = []

    def slowly(lane, **more):
        turns.append(lane.name)
        if turns.count(lane.name) == 1:
            sleep(engine.LANE_SECONDS)
            return []
        return pump(lane, **more)

    pump = engine.pump
    monkeypatch.setattr(engine, "pump", slowly)
    assert engine.run_once(at=NOON).accepted == 12


def test_who_sleeps_is_not_stale_and_neither_is_what_a_person_has_paused(
    people, campaign, lane
):
    send = prepared(campaign, at=NOON)
    send.messages.exclude(customer__timezone="Asia/Tokyo").delete()
    Batch.objects.filter(messages=None).delete()
    late = TOKYO_WAKES + timedelta(hours=5)
    assert engine.pause_stale(at=late) == 0
    assert engine.pause_stale(at=late + timedelta(hours=2)) == 1
    assert engine.pause_stale(at=late + timedelta(hours=3)) == 0
    resume_send(send, at=late + timedelta(hours=3))
    assert engine.pause_stale(at=late + timedelta(hours=4)) == 0
    pause_send(send, at=late + timedelta(hours=4))
    assert engine.pause_stale(at=late + timedelta(hours=40)) == 0


@pytest.mark.parametrize("batches", [1, 6])
def test_what_a_killed_engine_held_is_stale_too(
    people, campaign, settings, batches, lane
):
    settings.QUIET_HOURS = None
    send = prepared(campaign, at=NOON)
    first = Batch.objects.order_by("pk").first()
    if batches == 1:
        send.messages.update(batch=first)
        Batch.objects.exclude(pk=first.pk).delete()
    assert claim("bulk", now=NOON, lease=timedelta(minutes=3))  # killed here
    later = NOON + timedelta(hours=12)
    assert engine.run_once(at=later).accepted == 0
    send.refresh_from_db()
    assert send.state == "paused"
    resume_send(send, at=later)
    assert engine.run_once(at=later).accepted == 12


def test_an_audience_that_was_half_written_is_stale_too(people, campaign, settings):
    settings.QUIET_HOURS = None
    send = launch_send(schedule_send(campaign, scheduled_at=NOON, at=NOON), at=NOON)
    materialise(send, at=NOON, until=float("-inf"))  # killed here
    later = NOON + timedelta(hours=12)
    assert engine.run_once(at=later).accepted == 0
    send.refresh_from_db()
    assert send.state == "paused"
    resume_send(send, at=later)
    assert engine.run_once(at=later).accepted == 12


def test_of_two_at_one_address_who_can_be_reached_in_time_gets_it(
    world, campaign, lane
):
    asleep, awake = world.add_customers(2)
    asleep.timezone, awake.timezone = "America/Los_Angeles", "Europe/London"
    awake.email, awake.address_key = asleep.email, asleep.address_key
    asleep.save()
    awake.save()
    campaign.expires_at = NOON + timedelta(hours=3)
    send = prepared(campaign, at=NOON)
    deliver_all(lane, NOON)
    told = dict(send.messages.values_list("customer", "state"))
    assert told == {asleep.pk: "left_out", awake.pk: "accepted"}


@pytest.mark.parametrize("what", ["night", "end"])
def test_between_two_groups_somebody_may_fall_asleep(
    world, campaign, lane, channel, monkeypatch, what
):
    world.add_customers(12)
    campaign.template.variants.exclude(tone="neutral").delete()
    if what == "end":
        campaign.expires_at = NOON + timedelta(minutes=1)
    begins = NOON if what == "end" else NOON + timedelta(hours=9, minutes=-1)
    send = prepared(campaign, at=begins)
    clock = [begins]
    monkeypatch.setattr(protocol._Clock, "now", lambda _: clock[0])

    def slow(mails):
        clock[0] += timedelta(seconds=45)

    channel.before = slow
    deliver_next_batch(lane, now=begins)
    # Groups of four, 45 seconds each: the second one ends after the minute.
    assert channel.groups == [4, 4]
    deliver_all(lane, clock[0])
    assert send.messages.filter(state="accepted").count() == 8
    rest = send.messages.exclude(state="accepted")
    if what == "end":
        assert {one.reason for one in rest} == {"expired"}
    else:
        morning = datetime(2026, 3, 3, 8, 0, tzinfo=UTC)
        assert {one.batch.not_before for one in rest} == {morning}


def test_an_end_within_a_day_shuts_sleepers_out_and_preflight_says_so(world, campaign):
    world.add_customers(3)
    campaign.expires_at = NOON + timedelta(hours=23)
    assert any("who sleeps until then" in one for one in warnings_of(campaign))
    campaign.at_night = True
    assert not any("who sleeps" in one for one in warnings_of(campaign))


def warnings_of(campaign):
    return preflight(campaign, at=NOON).warnings


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("act", [pause_send, cancel_send])
def test_a_press_while_a_batch_is_cut_up_is_heard_and_nobody_lost(
    world, lane, channel, monkeypatch, at_once, act
):
    campaign = world.add_campaign()
    customers = world.add_customers(6)
    for number, one in enumerate(customers):
        one.timezone = ZONES[number % 2]
        one.save()
    send = prepared(campaign, at=NOON - timedelta(hours=1))
    first = Batch.objects.order_by("pk").first()
    send.messages.update(batch=first)
    Batch.objects.exclude(pk=first.pk).delete()
    put_off, inside = ledger.put_off, threading.Event()

    def slow(*given, **named):
        inside.set()
        sleep(0.5)
        return put_off(*given, **named)

    monkeypatch.setattr(ledger, "put_off", slow)

    def press():
        inside.wait(5)
        act(send, at=NOON)

    assert at_once(lambda: deliver_next_batch(lane, now=NOON), press) == []
    mailed = len(channel.ledger)
    deliver_all(lane, TOKYO_WAKES)
    assert len(channel.ledger) == mailed
    engine.tick(at=NOON + timedelta(minutes=5))
    if act is cancel_send:
        assert not send.messages.filter(state="waiting").exists()
    else:
        resume_send(send, at=NOON + timedelta(hours=1))
        deliver_all(lane, NOON + timedelta(hours=2))
        deliver_all(lane, TOKYO_WAKES)
        assert Counter(channel.ledger) == {one.email: 1 for one in customers}


def test_the_page_of_a_campaign_says_when_nothing_is_sent(admin_client, campaign):
    campaign.expires_at = timezone.now() + timedelta(days=3)
    campaign.save()
    address = reverse("admin:campaigns_campaign_change", args=[campaign.pk])
    text = admin_client.get(address).content.decode()
    assert "From 21:00 to 08:00 where a customer lives nothing is sent" in text
    assert "Nobody gets it after" in text
    campaign.at_night = True
    campaign.save()
    assert "nothing is sent" not in admin_client.get(address).content.decode()
