"""Journeys' seed: mail that belongs to no audience goes the way of all mail."""

import json
from collections import Counter
from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.urls import reverse

from campaigns.audience import resolve_audience
from campaigns.doubts import mind_doubts
from campaigns.errors import CannotAdd, CannotSchedule, WrongState
from campaigns.models import (
    Batch,
    EmailTemplate,
    FrequencyCap,
    Message,
    RateLimit,
    Send,
)
from campaigns.progress import send_progress, what_binds
from campaigns.quiet_hours import hours_of
from campaigns.resending import refused_by_mistake, send_failed_again
from campaigns.sending import engine
from campaigns.sending.breaker import BULK, TRANSACTIONAL
from campaigns.sending.channels import Refused
from campaigns.sending.engine import run_once
from campaigns.sending.ledger import finish_sends
from campaigns.sending.protocol import Lane, deliver_next_batch
from campaigns.services import cancel_send, pause_send, resume_send, schedule_send
from campaigns.standing import LONGEST_OCCASION, add_message, close_send, open_send
from campaigns.timeline import timeline
from campaigns.topping_up import why_not
from customers.addresses import address_key
from customers.errors import MergeRefused
from customers.merging import merge_customers
from customers.models import Customer, Suppression
from customers.services import record_consent, suppress
from segmentation.models import Segment
from tests.campaigns.chaos import invariants as harness
from tests.campaigns.chaos.inside import Outbox

LATER = timedelta(hours=2)
# A turn of a lane is long enough on a busy machine, too: nothing waits for a next one.
UNHURRIED = {"WORLD_SET": json.dumps({"campaigns.sending.engine.LANE_SECONDS": 60})}


@pytest.fixture
def notice(campaign):
    """The campaign is about what somebody has bought or asked for."""
    EmailTemplate.objects.update(purpose="service")
    campaign.refresh_from_db()
    return campaign


@pytest.fixture
def people(db, world):
    return world.add_customers(3)


@pytest.fixture
def orders(notice, people, at):
    return open_send(notice, lane=TRANSACTIONAL, at=at)


@pytest.fixture
def promotions(campaign, people, at):
    return open_send(campaign, lane=BULK, at=at)


@pytest.fixture
def by(django_user_model):
    return django_user_model.objects.create_superuser("mara")


def deliver_all(lane, now):
    while deliver_next_batch(lane, now=now):
        pass


def states(send):
    found = send.messages.order_by("pk").values_list("occasion", "state")
    return [tuple(one) for one in found]


# What is added


def test_two_occasions_of_one_customer_are_two_mails(
    orders, people, channel, invariants, at
):
    ada = people[0]
    for occasion in ("order 1", "order 2"):
        add_message(orders, ada, occasion, at=at)
    deliver_all(Lane(TRANSACTIONAL, channel, "test"), at)
    assert channel.ledger == ["person0@example.com"] * 2
    assert states(orders) == [("order 1", "accepted"), ("order 2", "accepted")]
    assert invariants(channel).messages == {"accepted": 2}


def test_the_same_occasion_twice_is_one_mail_also_after_it_has_left(
    orders, people, channel, invariants, at
):
    lane = Lane(TRANSACTIONAL, channel, "test")
    first = add_message(orders, people[0], "order 1", at=at)
    assert add_message(orders, people[0], " order 1", at=at) == first
    deliver_all(lane, at)
    assert add_message(orders, people[0], "order 1", at=at + LATER) == first
    deliver_all(lane, at + LATER)
    assert len(channel.ledger) == 1
    orders.refresh_from_db()
    assert (orders.audience_size, orders.batches.count()) == (1, 1)
    invariants(channel)


@pytest.mark.django_db(transaction=True)
def test_the_same_occasion_from_several_at_once_is_one_mail(
    orders, people, at_once, channel, invariants, at
):
    def add():
        for one in people:
            add_message(orders, one, "order 1", at=at)

    assert at_once(add, add, add, add) == []
    orders.refresh_from_db()
    assert orders.audience_size == orders.messages.count() == 3
    assert Batch.objects.count() == 3
    deliver_all(Lane(TRANSACTIONAL, channel, "test"), at)
    assert len(channel.ledger) == 3
    invariants(channel)


def test_several_processes_add_the_same_at_once_and_nobody_is_mailed_twice(shop):
    shop.run("standing", TRANSACTIONAL)
    adding = [shop.start("add", "order 1,order 2") for _ in range(4)]
    added = [one.answer()["added"] for one in adding]
    assert added[0] == added[1] == added[2] == added[3]
    shop.run("engine", **UNHURRIED)
    sums = harness.check(shop, Outbox(shop.folder / "outbox"), at_rest=True)
    assert (sums.audience, sums.messages) == (80, {"accepted": 80})
    assert (sums.taken, sums.send) == (80, "sending")


def test_who_said_no_gets_none_and_the_reason_stands_in_a_row(
    promotions, people, channel, invariants, at
):
    ada, bo, cy = people
    record_consent(ada, purpose="marketing", basis="withdrawn", source="test", at=at)
    suppress(bo.email, reason=Suppression.Reason.UNSUBSCRIBED, at=at)
    for one in people:
        add_message(promotions, one, "birthday", at=at)
    deliver_all(Lane(BULK, channel, "test"), at)
    assert channel.ledger == [cy.email]
    assert dict(
        promotions.messages.filter(state="left_out").values_list("customer", "reason")
    ) == {ada.pk: "no_consent", bo.pk: "suppressed"}
    # That she allows it later is no answer to what was asked then.
    record_consent(ada, purpose="marketing", basis="opt_in", source="test", at=at)
    assert add_message(promotions, ada, "birthday", at=at).state == "left_out"
    assert invariants(channel).reasons == {"no_consent": 1, "suppressed": 1}


def test_who_says_no_after_it_was_added_gets_none(
    promotions, people, channel, invariants, at
):
    add_message(promotions, people[0], "birthday", at=at)
    record_consent(
        people[0], purpose="marketing", basis="withdrawn", source="test", at=at
    )
    deliver_all(Lane(BULK, channel, "test"), at)
    assert channel.ledger == []
    assert promotions.messages.get().reason == "no_consent"
    invariants(channel)


def test_without_consent_a_notice_is_sent_and_a_promotion_is_not(orders, people, at):
    record_consent(
        people[0], purpose="marketing", basis="withdrawn", source="test", at=at
    )
    assert add_message(orders, people[0], "order 1", at=at).state == "waiting"


def test_everybody_is_decided_on_as_an_audience_is(world, campaign, at):
    everybody = world.add_customers(24)
    Customer.objects.filter(pk=everybody[3].pk).update(email="no one")
    suppress(everybody[4].email, reason=Suppression.Reason.COMPLAINED, at=at)
    dated = schedule_send(campaign, scheduled_at=at, at=at)
    expected = resolve_audience(dated, at=at)
    cancel_send(dated, at=at)
    send = open_send(campaign, lane=BULK, at=at)
    added = [add_message(send, one, "step 1", at=at) for one in everybody]
    assert {
        one.customer_id: (one.tone, one.arm, one.segment_key)
        for one in added
        if one.state == "waiting"
    } == {
        pk: (one.tone, one.arm, one.segment_key)
        for pk, one in expected.included.items()
    }
    assert {
        one.customer_id: one.reason for one in added if one.state == "left_out"
    } == expected.left_out
    assert len(expected.left_out) == 2
    assert {one.batch.variant.tone for one in added if one.batch} == {
        one.tone for one in expected.included.values()
    }


def test_a_customer_is_in_one_arm_whatever_the_occasion(world, campaign, at):
    campaign.neutral_share = 0.5
    send = open_send(campaign, lane=BULK, at=at)
    for one in world.add_customers(24):
        for number in range(3):
            add_message(send, one, f"step {number}", at=at)
    arms = set(send.messages.values_list("customer", "arm"))
    assert len(arms) == 24
    assert Counter(arm for _, arm in arms)["neutral"] > 0


def test_two_with_one_mailbox_get_one_mail_an_occasion(
    orders, people, channel, invariants, at
):
    ada, bo, cy = people
    Customer.objects.filter(pk=bo.pk).update(
        email=ada.email.upper(), address_key=address_key(ada.email)
    )
    add_message(orders, ada, "order 1", at=at)
    assert add_message(orders, bo, "order 1", at=at).reason == "duplicate_address"
    assert add_message(orders, bo, "order 2", at=at).state == "waiting"
    # She has another address since; the mail on its way to the old one stays there.
    Customer.objects.filter(pk=cy.pk).update(email=ada.email)
    Customer.objects.filter(pk=ada.pk).update(
        email="ada@example.com", address_key="ada@example.com"
    )
    assert add_message(orders, cy, "order 1", at=at).reason == "duplicate_address"
    deliver_all(Lane(TRANSACTIONAL, channel, "test"), at)
    assert len(channel.ledger) == 2
    invariants(channel)


@pytest.mark.parametrize(
    "occasion", ["", "  ", "x" * (LONGEST_OCCASION + 1), "two\nlines", "nul\0"]
)
def test_what_is_no_occasion_is_refused(orders, people, occasion, at):
    with pytest.raises(CannotAdd, match="An occasion needs"):
        add_message(orders, people[0], occasion, at=at)
    assert not orders.messages.exists()


def test_of_somebody_who_is_gone_nothing_is_added(orders, people, at):
    gone = people[0]
    gone.consents.all().delete()
    Customer.objects.filter(pk=gone.pk).delete()
    with pytest.raises(CannotAdd, match="no customer"):
        add_message(orders, gone, "order 1", at=at)


def test_to_a_dated_send_nothing_is_added(world, campaign, people, at):
    dated = world.prepared_send(campaign)
    (late,) = world.add_customers(1, first=50)
    with pytest.raises(WrongState, match="standing send that is open"):
        add_message(dated, late, "order 1", at=at)


# What is opened


@pytest.mark.parametrize(
    ("change", "lane", "said"),
    [
        ({"segments": ["excited"]}, BULK, "no audience"),
        ({"local_time": True}, BULK, "no hour of its own"),
        ({}, TRANSACTIONAL, "is a promotion"),
    ],
)
def test_what_is_for_an_audience_can_not_stand(campaign, change, lane, said, at):
    Segment.objects.get_or_create(key="excited")
    for name, value in change.items():
        setattr(campaign, name, value)
    with pytest.raises(CannotSchedule, match=said):
        open_send(campaign, lane=lane, at=at)
    assert not Send.objects.exists()


def test_there_is_no_third_lane(campaign, at):
    with pytest.raises(ValueError, match="bulk"):
        open_send(campaign, lane="fast", at=at)


def test_its_campaign_has_one_send_at_a_time_and_another_once_it_is_closed(
    orders, notice, at
):
    with pytest.raises(CannotSchedule, match="close it first"):
        schedule_send(notice, scheduled_at=at, at=at)
    close_send(orders, at=at)
    finish_sends(now=at)
    assert schedule_send(notice, scheduled_at=at, at=at).standing == ""


def test_words_lane_and_tones_are_frozen_when_it_is_opened(
    orders, notice, people, channel, at
):
    notice.template.variants.update(subject="Other words")
    EmailTemplate.objects.update(purpose="promotion", offer="Another offer")
    message = add_message(orders, people[0], "order 1", at=at)
    assert message.batch.lane == TRANSACTIONAL
    deliver_all(Lane(TRANSACTIONAL, channel, "test"), at)
    assert channel.ledger == ["person0@example.com"]
    assert orders.frozen["plan"]["purpose"] == "service"
    assert "Other words" not in str(orders.variants.get(tone=message.tone).compiled)


# How it is sent


def test_what_is_added_while_the_engine_runs_leaves_in_the_same_turn(
    orders, people, monkeypatch, at
):
    add_message(orders, people[0], "order 1", at=at)
    deliver = engine.deliver_next_batch

    def deliver_and_add(lane, *, now):
        add_message(orders, people[1], "order 1", at=at)
        return deliver(lane, now=now)

    monkeypatch.setattr(engine, "deliver_next_batch", deliver_and_add)
    monkeypatch.setattr(engine, "LANE_SECONDS", 60.0)
    assert run_once(at=at).accepted == 2


def test_it_stays_open_when_nothing_is_left_and_ends_once_it_is_closed(
    orders, people, invariants, settings, at
):
    add_message(orders, people[0], "order 1", at=at)
    run_once(at=at)
    orders.refresh_from_db()
    assert (orders.state, orders.is_open) == ("sending", True)
    add_message(orders, people[1], "order 1", at=at + LATER)
    close_send(orders, at=at + LATER)
    orders.refresh_from_db()
    assert orders.state == "sending"
    with pytest.raises(WrongState):
        add_message(orders, people[2], "order 1", at=at + LATER)
    run_once(at=at + LATER)
    orders.refresh_from_db()
    assert (orders.state, orders.finished_at is not None) == ("sent", True)
    assert invariants(Outbox(settings.OUTBOX_DIR)).messages == {"accepted": 2}
    with pytest.raises(WrongState, match="only a standing send that is open"):
        close_send(orders, at=at)


def test_while_it_is_paused_what_is_added_waits_and_leaves_when_it_is_resumed(
    orders, people, invariants, settings, at
):
    pause_send(orders, at=at)
    add_message(orders, people[0], "order 1", at=at)
    assert run_once(at=at).accepted == 0
    assert states(orders) == [("order 1", "waiting")]
    resume_send(orders, at=at)
    assert run_once(at=at).accepted == 1
    orders.refresh_from_db()
    assert orders.is_open
    invariants(Outbox(settings.OUTBOX_DIR))


@pytest.mark.parametrize("waits", [True, False])
def test_closed_while_it_is_paused_it_ends_once_nobody_waits(
    orders, people, invariants, settings, waits, at
):
    if waits:
        add_message(orders, people[0], "order 1", at=at)
    pause_send(orders, at=at)
    close_send(orders, at=at)
    run_once(at=at)
    orders.refresh_from_db()
    assert orders.state == ("paused" if waits else "sent")
    if waits:
        resume_send(orders, at=at)
        run_once(at=at)
        orders.refresh_from_db()
        assert orders.state == "sent"
    invariants(Outbox(settings.OUTBOX_DIR))


def test_cancelled_it_takes_and_sends_nothing_more(
    orders, people, invariants, settings, at
):
    add_message(orders, people[0], "order 1", at=at)
    cancel_send(orders, at=at)
    with pytest.raises(WrongState):
        add_message(orders, people[1], "order 1", at=at)
    assert run_once(at=at).accepted == 0
    assert states(orders) == [("order 1", "cancelled")]
    invariants(Outbox(settings.OUTBOX_DIR))


def test_after_a_quiet_week_the_next_order_leaves_at_once(orders, people, at):
    add_message(orders, people[0], "order 1", at=at)
    run_once(at=at)
    later = at + timedelta(days=7)
    add_message(orders, people[0], "order 2", at=later)
    assert run_once(at=later).accepted == 1


def test_orders_do_not_wait_for_limits_that_promotions_wait_for(
    world, orders, people, invariants, settings, at
):
    template = world.add_template("Summer")
    promotions = open_send(world.add_campaign(template), lane=BULK, at=at)
    RateLimit.objects.create(provider="outbox", window="day", most=1)
    for one in people:
        add_message(promotions, one, "birthday", at=at)
        add_message(orders, one, "order 1", at=at)
    shown = send_progress(orders, at=at)
    assert (shown.waiting, shown.time_left) == (3, None)
    assert send_progress(promotions, at=at).time_left > timedelta(days=1)
    run_once(at=at)
    assert Counter(orders.messages.values_list("state", flat=True)) == {"accepted": 3}
    # The orders count, too: nothing is left of the limit for those.
    assert Counter(promotions.messages.values_list("state", flat=True)) == {
        "waiting": 3
    }
    invariants(Outbox(settings.OUTBOX_DIR))


def test_each_promotion_takes_one_place_and_the_cap_holds_across_occasions(
    promotions, people, channel, invariants, at
):
    FrequencyCap.objects.create(most=2, days=7)
    for number in (1, 2, 3, 1, 2, 3):
        add_message(promotions, people[0], f"step {number}", at=at)
    deliver_all(Lane(BULK, channel, "test"), at)
    assert states(promotions) == [
        ("step 1", "accepted"),
        ("step 2", "accepted"),
        ("step 3", "left_out"),
    ]
    assert people[0].mail_places.count() == 2
    assert invariants(channel).reasons == {"capped": 1}


def test_at_night_a_promotion_waits_for_the_morning_and_an_order_does_not(
    orders, world, people, settings, at
):
    settings.QUIET_HOURS = hours_of("21:00-08:00")
    night = at.replace(hour=23)
    template = world.add_template("Summer")
    promotions = open_send(world.add_campaign(template), lane=BULK, at=night)
    late = add_message(promotions, people[0], "birthday", at=night)
    assert late.batch.not_before > night
    assert add_message(orders, people[0], "order", at=night).batch.not_before == night


def test_what_has_ended_is_left_out_by_name(campaign, people, at):
    campaign.expires_at = at + timedelta(days=1)
    send = open_send(campaign, lane=BULK, at=at)
    late = add_message(send, people[0], "birthday", at=at + timedelta(days=2))
    assert (late.state, late.reason) == ("left_out", "expired")


def test_what_was_refused_is_sent_again_though_she_has_mail_of_another_occasion(
    orders, people, channel, by, invariants, at
):
    lane = Lane(TRANSACTIONAL, channel, "test")
    channel.answers["person0@example.com"] = Refused("not_sent_bad", "status 422")
    for occasion in ("order 1", "order 2"):
        add_message(orders, people[0], occasion, at=at)
        deliver_all(lane, at)
        channel.answers["person1@example.com"] = Refused("not_sent_bad", "status 422")
    add_message(orders, people[0], "order 3", at=at)
    channel.answers.clear()
    deliver_all(lane, at)
    assert refused_by_mistake(orders).count() == 2
    assert send_failed_again(orders, by=by, at=at) == 2
    waiting = orders.messages.filter(state="waiting")
    # Whoever looks at a batch finds each customer in it once.
    assert len(set(waiting.values_list("batch", flat=True))) == 2
    deliver_all(lane, at)
    assert {state for _, state in states(orders)} == {"accepted"}
    assert len(channel.ledger) == 3
    invariants(channel)


def test_a_notice_in_doubt_to_an_address_that_lives_is_sent_again_beside_a_dead_one(
    notice, people, at
):
    notice.if_in_doubt = "again"
    notice.save()
    send = open_send(notice, lane=TRANSACTIONAL, at=at)
    old = add_message(send, people[0], "order 1", at=at)
    Customer.objects.filter(pk=people[0].pk).update(
        email="new@example.com", address_key="new@example.com"
    )
    new = add_message(send, people[0], "order 2", at=at)
    Message.objects.update(state="in_doubt", handed_over_at=at)
    Batch.objects.update(state="in_doubt")
    suppress(old.address_wire, reason=Suppression.Reason.BOUNCED, at=at)
    assert mind_doubts(at=at + LATER) == 1
    old.refresh_from_db()
    new.refresh_from_db()
    assert (old.state, new.state) == ("in_doubt", "waiting")


# Two who are one


def test_two_who_are_one_keep_the_mails_of_all_their_occasions(
    orders, people, channel, invariants, at
):
    ada, bo, _ = people
    add_message(orders, ada, "order 1", at=at)
    add_message(orders, bo, "order 2", at=at)
    merge_customers(ada, bo, by=None, at=at)
    assert set(orders.messages.values_list("customer", flat=True)) == {ada.pk}
    deliver_all(Lane(TRANSACTIONAL, channel, "test"), at)
    assert sorted(channel.ledger) == ["person0@example.com", "person1@example.com"]
    invariants(channel)


def test_two_who_are_mailed_on_the_same_occasion_can_not_become_one(orders, people, at):
    ada, bo, _ = people
    for one in (ada, bo):
        add_message(orders, one, "order 1", at=at)
        add_message(orders, one, f"ticket {one.pk}", at=at)
    with pytest.raises(MergeRefused, match="Both are written to"):
        merge_customers(ada, bo, by=None, at=at)


def test_where_one_was_left_out_on_an_occasion_the_mail_stays_and_sums_close(
    orders, people, channel, invariants, at
):
    ada, bo, _ = people
    suppress(bo.email, reason=Suppression.Reason.BOUNCED, at=at)
    for one in (ada, bo):
        add_message(orders, one, "order 1", at=at)
    add_message(orders, bo, "order 2", at=at)
    merge_customers(ada, bo, by=None, at=at)
    orders.refresh_from_db()
    assert orders.audience_size == 2
    assert states(orders) == [("order 1", "waiting"), ("order 2", "left_out")]
    invariants(channel)


# Killed


@pytest.mark.parametrize(
    ("point", "doubts", "taken"),
    [
        ("after_claim", 0, 80),
        ("after_intent", 1, 79),
        ("after_accept", 1, 80),
        ("inside_outcome", 1, 80),
    ],
)
def test_a_kill_leaves_at_most_one_of_a_standing_send_in_doubt_and_mails_nobody_twice(
    shop, point, doubts, taken
):
    shop.run("standing", TRANSACTIONAL)
    shop.run("bound")
    shop.run("add", "order 1,order 2")
    dying = {"ATTUNE_CRASH_AT": f"{point}:3", "ATTUNE_CRASH_TESTS": "yes"}
    assert shop.run("engine", **UNHURRIED, **dying) is None
    check(shop)
    for minutes in ("1", "60"):
        shop.run("engine", minutes, **UNHURRIED)
        sums = check(shop)
    # It stands open all the same, and ends when somebody closes it.
    assert sums.send == "sending"
    # Added once more after everything, nothing of it is new.
    shop.run("add", "order 1,order 2")
    shop.run("close")
    shop.run("engine", "61", **UNHURRIED)
    sums = check(shop)
    assert (sums.send, sums.audience, sums.taken) == ("sent", 80, taken)
    assert sums.messages == Counter({"accepted": 80 - doubts, "in_doubt": doubts})


def check(shop):
    outbox = Outbox(shop.folder / "outbox")
    return harness.check(shop, outbox, at_rest=True, calm=False)


def test_a_kill_while_a_message_is_added_leaves_none_of_it(shop):
    shop.run("standing", TRANSACTIONAL)
    dying = {"ATTUNE_CRASH_AT": "inside_add:3", "ATTUNE_CRASH_TESTS": "yes"}
    assert shop.run("add", "order 1", **dying) is None
    assert check(shop).messages == {"waiting": 2}
    shop.run("add", "order 1")
    shop.run("engine", **UNHURRIED)
    assert check(shop).messages == {"accepted": 40}


# What pages say of it


@pytest.fixture
def page(admin_client):
    def page(name, *arguments, query=""):
        answer = admin_client.get(reverse(name, args=arguments) + query)
        assert answer.status_code == 200
        return " ".join(answer.content.decode().split())

    return page


def test_pages_say_what_stands_open_and_that_nothing_holds_it(
    orders, page, settings, at
):
    run_once(at=at)
    found = page("campaigns:send", orders.pk)
    assert "Spring: open." in found
    assert "A standing send, opened" in found
    assert "No message was added yet." in found
    assert "Close</button>" in found
    assert "Who came since" not in found
    assert what_binds(orders, 0, at=at) == "It is open: mail leaves as it is added."
    found = page("campaigns:timeline")
    assert "what stands open takes messages" in found
    assert "it leaves now" not in found
    assert timeline(at=at).to_come == 0
    campaign = orders.campaign_id
    found = page("admin:campaigns_campaign_change", campaign)
    assert '<span class="tag">standing</span><span class="tag">open</span>' in found
    assert "open" in page("admin:campaigns_campaign_changelist")
    assert "open, " in page("admin:index")


def test_the_page_shows_what_is_counted_and_who_it_is_by_occasion(
    orders, people, channel, page, at
):
    for occasion in ("order 1", "order 2"):
        add_message(orders, people[0], occasion, at=at)
    deliver_all(Lane(TRANSACTIONAL, channel, "test"), at)
    suppress(people[1].email, reason=Suppression.Reason.BOUNCED, at=at)
    add_message(orders, people[1], "order 3", at=at)
    add_message(orders, people[2], "order 4", at=at)
    found = page("campaigns:send", orders.pk)
    assert "Spring: 2 of 4 accepted." in found
    assert (
        'aria-label="2 accepted, 0 being handed over, 0 in doubt, 1 not sent, '
        '1 waiting"'
    ) in found
    found = page("campaigns:names", orders.pk, "not_sent")
    assert "order 3: suppressed" in found
    report = page("engagement_admin:report", orders.pk)
    assert "4 mails, 2 accepted" in report
    assert "several mails of a standing send" in report
    person = page("admin:customers_customer_change", people[2].pk)
    assert "order 4" in person
    assert "2 of 4 accepted, 1 waiting" in page("admin:index")


def test_names_by_fifty_show_every_message_of_a_customer_once(
    orders, people, page, settings, at
):
    wanted = [f"order {number:03}" for number in range(70)]
    for occasion in wanted:
        for one in people[:2]:
            add_message(orders, one, occasion, at=at)
    shown, query = [], ""
    for expected in (50, 50, 40):
        found = page("campaigns:names", orders.pk, "waiting", query=query)
        shown += [part[:9] for part in found.split('data-l="Why">')[1:]]
        assert len(found.split('data-l="Why">')) - 1 == expected
        link = found.partition('btn sm" href="')[2].partition('"')[0]
        query = link.replace("&amp;", "&")
    assert shown == [*wanted, *wanted]
    assert query == ""


def test_a_person_closes_it_on_its_page(orders, admin_client, at):
    address = reverse("campaigns:act", args=[orders.pk, "close"])
    assert admin_client.get(address).status_code == 405
    answer = admin_client.post(address, follow=True)
    assert "Nothing more is added" in answer.content.decode()
    orders.refresh_from_db()
    assert orders.standing == "closed"
    assert "Closed: nothing more is added." in answer.content.decode()


def test_it_has_no_newcomers_and_can_not_be_topped_up(orders, admin_client, at):
    close_send(orders, at=at)
    finish_sends(now=at)
    orders.refresh_from_db()
    assert "had no audience" in why_not(orders, at=at)[0]
    address = reverse("campaigns:newcomers", args=[orders.pk])
    assert admin_client.get(address).status_code == 404


def test_a_send_that_ended_before_is_topped_up_after_one_that_stood(
    world, notice, people, at
):
    dated = world.prepared_send(notice)
    run_once(at=at)
    standing = open_send(notice, lane=BULK, at=at)
    close_send(standing, at=at)
    finish_sends(now=at)
    dated.refresh_from_db()
    assert why_not(dated, at=at) == []


def test_the_tables_go_back_only_while_no_occasion_would_be_forgotten(
    orders, people, at
):
    refuse = import_module("campaigns.migrations.0020_occasions").refuse_to_forget
    refuse(apps, None)
    add_message(orders, people[0], "order 1", at=at)
    with pytest.raises(RuntimeError, match="mailed twice"):
        refuse(apps, None)
