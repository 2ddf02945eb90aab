"""Copies for the shop's own mailboxes."""

from collections import Counter
from datetime import timedelta
from email import message_from_bytes, policy

import pytest
from django.urls import reverse

from campaigns.models import Seed, Send
from campaigns.sending import breaker, engine, limits, seeding
from campaigns.sending.channels import Busy, InDoubt, Refused
from campaigns.services import cancel_send, pause_send, resume_send, schedule_send
from customers.services import record_consent, suppress

pytestmark = pytest.mark.django_db
SEED = "look@ours.example"


@pytest.fixture
def seed(campaign):
    """With it the campaign has three tones, whoever its customers are."""
    campaign.neutral_share = 0.0
    campaign.save()
    return Seed.objects.create(sender=campaign.sender, address=SEED)


@pytest.fixture
def send(world, campaign, seed, at):
    world.add_customers(30)
    return schedule_send(campaign, scheduled_at=at, at=at)


def copies(send):
    return Counter(send.seed_mails.values_list("state", flat=True))


def mails(settings, address=SEED):
    read = (
        message_from_bytes(path.read_bytes(), policy=policy.default)
        for path in sorted(settings.OUTBOX_DIR.rglob("*.eml"))
    )
    return [mail for mail in read if mail["To"] == address]


def pumped(lane, at):
    return seeding.send_due(
        lane, clock=lambda: at, until=float("inf"), stopping=lambda: False
    )


def test_each_tone_comes_once_to_each_seed_and_is_in_no_figure(send, at, settings):
    report = engine.run_once(at=at)
    tones = set(send.messages.values_list("tone", flat=True))
    assert len(tones) == 3
    assert (report.accepted, copies(send)) == (30, {"accepted": 3})
    assert send.messages.count() == 30
    found = mails(settings)
    assert len({mail["Subject"] for mail in found}) == len(found) == 3
    assert len({mail["Message-ID"] for mail in found}) == 3
    engine.run_once(at=at + timedelta(hours=1))
    assert len(mails(settings)) == 3


def test_a_copy_is_for_nobody_in_particular_and_leads_nowhere(send, at, settings):
    engine.run_once(at=at)
    for mail in mails(settings):
        html = mail.get_body(("html",)).get_content()
        assert "there," in html
        assert "Name" not in html
        assert "/t/" not in html
        assert settings.BASE_URL not in html


def test_a_seed_who_is_a_customer_gets_it_with_her_own_name(send, seed, at, settings):
    Seed.objects.filter(pk=seed.pk).update(address="person1@example.com")
    engine.run_once(at=at)
    found = mails(settings, "person1@example.com")
    # Her own mail, and a copy of each tone.
    assert len(found) == 4
    assert all("Name1," in one.get_body(("html",)).get_content() for one in found)


def test_no_copy_leaves_before_a_mail_of_its_tone_was_accepted(
    world, campaign, seed, lane, channel, at
):
    world.add_customers(12)
    send = world.prepared_send(campaign)
    assert copies(send) == {"waiting": 3}
    assert pumped(lane, at) == 0
    assert not seeding.due(lane.name, at=at).exists()
    assert not channel.ledger


def test_a_paused_send_mails_no_copy_and_goes_on_with_them(
    world, send, lane, channel, at
):
    assert engine.tick(at=at) == [send.pk]
    assert engine.prepare(send.pk, at=at, until=float("inf"))
    engine.pump(lane, clock=lambda: at, until=float("inf"))
    send.refresh_from_db()
    pause_send(send, at=at)
    assert pumped(lane, at) == 0
    send.refresh_from_db()
    resume_send(send, at=at)
    assert pumped(lane, at) == 3
    assert Counter(channel.ledger)[SEED] == 3


def test_a_cancelled_send_says_why_its_copies_did_not_leave(world, campaign, seed, at):
    world.add_customers(12)
    send = world.prepared_send(campaign)
    cancel_send(send, at=at)
    seeding.sweep(at=at)
    assert copies(send) == {"left_out": 3}
    assert set(send.seed_mails.values_list("reason", flat=True)) == {
        "the send was cancelled"
    }


def test_a_tone_of_which_nothing_was_accepted_has_no_copy(
    world, campaign, seed, lane, channel, at
):
    world.add_customers(6)
    send = world.prepared_send(campaign)
    channel.answers = {
        f"person{number}@example.com": Refused("invalid", "no such mailbox")
        for number in range(6)
    }
    engine.pump(lane, clock=lambda: at, until=float("inf"))
    engine.wind_up(at=at)
    send.refresh_from_db()
    assert send.state == Send.State.SENT
    assert copies(send) == {"left_out": 3}


@pytest.mark.parametrize("how", ["suppressed", "withdrawn"])
def test_a_seed_that_said_no_gets_none(world, send, seed, at, settings, how):
    if how == "suppressed":
        suppress(SEED, reason="complained", at=at)
    else:
        (customer,) = world.add_customers(1, first=500)
        Seed.objects.filter(pk=seed.pk).update(address="person500@example.com")
        record_consent(
            customer, purpose="marketing", basis="withdrawn", source="test", at=at
        )
    engine.run_once(at=at)
    assert copies(send) == {"left_out": 3}
    assert not mails(settings, SEED)
    assert not mails(settings, "person500@example.com")


def test_a_copy_in_doubt_opens_the_breaker_and_is_never_sent_again(
    world, campaign, seed, lane, channel, at, admin_user
):
    world.add_customers(12)
    send = world.prepared_send(campaign)
    channel.answers[SEED] = InDoubt("in_doubt", "no answer")
    engine.pump(lane, clock=lambda: at, until=float("inf"))
    assert pumped(lane, at) == 1
    assert copies(send) == {"in_doubt": 1, "waiting": 2}
    assert pumped(lane, at) == 0
    later = at + timedelta(hours=2)
    breaker.close_breaker(lane.way, at=later, by=admin_user)
    channel.answers.clear()
    assert pumped(lane, later) == 2
    assert Counter(channel.ledger)[SEED] == 2


def test_a_busy_provider_gets_a_copy_later_and_not_for_ever(
    world, campaign, seed, lane, channel, at
):
    world.add_customers(12)
    send = world.prepared_send(campaign)
    channel.answers[SEED] = Busy("not_sent_throttle", "slow down", 5.0)
    engine.pump(lane, clock=lambda: at, until=float("inf"))
    for hour in range(40):
        pumped(lane, at + timedelta(hours=hour))
    assert copies(send) == {"failed": 3}
    assert set(send.seed_mails.values_list("tries", flat=True)) == {seeding.TRIES_MOST}


def test_copies_take_of_the_limits(
    world, campaign, seed, lane, channel, at, admin_user
):
    world.add_customers(12)
    send = world.prepared_send(campaign)
    engine.pump(lane, clock=lambda: at, until=float("inf"))
    limits.set_limit(lane.provider, window="hour", most=2, at=at, by=admin_user)
    pumped(lane, at)
    assert copies(send) == {"accepted": 2, "waiting": 1}
    pumped(lane, at + timedelta(hours=2))
    assert copies(send) == {"accepted": 3}


@pytest.mark.parametrize(("point", "left"), [("after_intent", 2), ("after_accept", 3)])
def test_whoever_dies_with_a_copy_leaves_it_in_doubt(sqlite_shop, point, left):
    shop = sqlite_shop
    shop.run("engine")
    outbox = len(shop.run("state")["outbox"])
    # A campaign that has mailed everybody, with its copies still to come.
    shop.execute(
        "INSERT INTO campaigns_seedmail"  # noqa: S608
        " (send_id, variant_id, lane, address, state, reason, tries, at)"
        f" SELECT DISTINCT send_id, variant_id, lane, '{SEED}', 'waiting', '', 0,"
        " '2026-03-02 09:00:00' FROM campaigns_batch"
    )
    crash = {"ATTUNE_CRASH_AT": point, "ATTUNE_CRASH_TESTS": "yes"}
    assert shop.run("engine", "1", **crash) is None
    # It may still be alive: nobody touches its copy. A quarter of an hour later it is
    # dead.
    shop.run("engine", "2")
    states = "SELECT state, count(*) FROM campaigns_seedmail GROUP BY state"
    assert dict(shop.execute(states)) == {"handing_over": 1, "accepted": 2}
    shop.run("engine", "60")
    assert dict(shop.execute(states)) == {"in_doubt": 1, "accepted": 2}
    assert len(shop.run("state")["outbox"]) == outbox + left


def test_seeds_are_written_down_with_their_sender(admin_client, campaign):
    page = reverse("admin:campaigns_sender_change", args=[campaign.sender_id])
    sender = campaign.sender
    words = {
        "shop_name": sender.shop_name,
        "from_name": sender.from_name,
        "from_address": sender.from_address,
        "reply_to": "",
        "postal_address": sender.postal_address,
        "seeds-TOTAL_FORMS": 1,
        "seeds-INITIAL_FORMS": 0,
        "seeds-0-sender": campaign.sender_id,
    }
    refused = admin_client.post(page, words | {"seeds-0-address": "nobody at all"})
    assert refused.status_code == 200
    assert not sender.seeds.exists()
    assert admin_client.post(page, words | {"seeds-0-address": SEED}).status_code == 302
    assert [str(one) for one in sender.seeds.all()] == [SEED]
    shown = admin_client.get(
        reverse("admin:campaigns_campaign_change", args=[campaign.pk])
    )
    assert f"A copy of each tone goes to {SEED}." in shown.content.decode()


def test_the_page_of_a_send_lists_its_copies(admin_client, send, at):
    engine.run_once(at=at)
    page = admin_client.get(reverse("campaigns:send", args=[send.pk])).content.decode()
    assert page.count(SEED) == 1
    assert "Accepted: Lively, Neutral, Reassuring" in page
