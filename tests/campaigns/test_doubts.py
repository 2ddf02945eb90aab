import re
from collections import Counter
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.urls import reverse

from campaigns import tasks
from campaigns.doubts import DOUBTED_FOR, mind_doubts
from campaigns.errors import CannotSchedule
from campaigns.forms import CampaignForm
from campaigns.models import Batch, Breaker, KeptCall, Message, SecondTry, Send
from campaigns.resending import send_doubtful_again, send_failed_again
from campaigns.sending import engine, ledger
from campaigns.sending.breaker import close_breaker, open_breaker
from campaigns.sending.channels import Busy, InDoubt, Refused
from campaigns.sending.protocol import deliver_next_batch
from campaigns.services import (
    cancel_send,
    confirm_accepted,
    launch_send,
    materialise,
    pause_send,
    resume_send,
    schedule_send,
    settle_in_doubt,
    top_up,
)
from customers.merging import merge_customers
from customers.models import Customer
from customers.services import suppress

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
PEOPLE = 4


class Died(BaseException):
    pass


@pytest.fixture
def by():
    return get_user_model().objects.create_superuser("mara")


@pytest.fixture
def notice(campaign):
    """A campaign that may be sent again where it is in doubt."""
    campaign.template.purpose = "service"
    campaign.template.save()
    campaign.if_in_doubt = "again"
    campaign.save()
    return campaign


@pytest.fixture
def later(at):
    return at + DOUBTED_FOR + 10 * MINUTE


@pytest.fixture
def die(channel, lane):
    """Whoever hands over the next group dies, and it is taken up."""

    def die(now):
        def died(mails):
            raise Died

        channel.before = died
        with pytest.raises(Died):
            deliver_next_batch(lane, now=now)
        channel.before = lambda mails: None
        ledger.sweep(now=now + lane.lease + MINUTE)

    return die


@pytest.fixture
def doubtful(world, die, at):
    """A prepared send of this campaign, all of it in doubt."""

    def doubtful(campaign, count=PEOPLE, **frozen):
        spread, world.SEGMENTS = world.SEGMENTS, ("excited",)
        world.add_customers(count)
        world.SEGMENTS = spread
        # One tone for all, and so one batch, whatever numbers the customers have.
        campaign.neutral_share = 0.0
        campaign.save(update_fields=["neutral_share"])
        send = world.prepared_send(campaign)
        send.frozen |= frozen
        send.save(update_fields=["frozen"])
        die(at)
        ledger.finish_sends(now=at)
        send.refresh_from_db()
        assert (send.state, states(send)) == ("sent", {"in_doubt": count})
        return send

    return doubtful


def states(send):
    return Counter(send.messages.values_list("state", flat=True))


def deliver_all(lane, now):
    while deliver_next_batch(lane, now=now):
        pass
    ledger.finish_sends(now=now)


def test_a_notice_in_doubt_is_sent_again_after_half_an_hour_and_once(
    notice, doubtful, lane, channel, at, later
):
    send = doubtful(notice)
    assert mind_doubts(at=at + DOUBTED_FOR - MINUTE) == 0
    assert mind_doubts(at=at + DOUBTED_FOR + MINUTE) == PEOPLE
    send.refresh_from_db()
    assert send.state == Send.State.SENDING
    assert mind_doubts(at=later) == 0
    deliver_all(lane, later)
    send.refresh_from_db()
    assert (send.state, states(send)) == ("sent", {"accepted": PEOPLE})
    assert len(channel.ledger) == len(set(channel.ledger)) == PEOPLE
    assert set(send.batches.values_list("state", flat=True)) == {"done"}
    for days in range(3):
        assert mind_doubts(at=later + timedelta(days=days)) == 0


def test_what_is_kept_of_it_says_that_no_person_did_it(notice, doubtful, later):
    send = doubtful(notice)
    mind_doubts(at=later)
    notes = send.notes.exclude(message=None)
    assert {one.message_id for one in notes} == set(
        send.messages.values_list("pk", flat=True)
    )
    assert {(one.by, one.by_name) for one in notes} == {(None, "")}
    assert all("as its campaign says" in one.sentence for one in notes)


def test_who_is_in_doubt_twice_waits_for_a_person(
    notice, doubtful, die, lane, channel, by, later
):
    send = doubtful(notice)
    mind_doubts(at=later)
    die(later)
    assert states(send) == {"in_doubt": PEOPLE}
    much_later = later + timedelta(days=1)
    assert mind_doubts(at=much_later) == 0
    assert states(send) == {"in_doubt": PEOPLE}
    one = send.messages.first()
    send_doubtful_again(one, by=by, at=much_later)
    deliver_all(lane, much_later)
    assert channel.ledger == [one.address_wire]


def test_what_a_person_had_sent_again_is_not_sent_a_third_time_by_itself(
    notice, doubtful, die, by, at, later
):
    send = doubtful(notice, 1)
    send_doubtful_again(send.messages.get(), by=by, at=at)
    die(at)
    assert states(send) == {"in_doubt": 1}
    assert mind_doubts(at=later) == 0


def test_what_a_report_proved_or_a_person_decided_is_not_sent_again(
    notice, doubtful, by, at, later
):
    first, second, third, _ = doubtful(notice).messages.order_by("pk")
    confirm_accepted(first.public_id, at=at)
    settle_in_doubt(second, as_="left", by=by, at=at)
    settle_in_doubt(third, as_="accepted", by=by, at=at)
    assert mind_doubts(at=later) == 1


@pytest.mark.parametrize("chosen", ["leave", "ask"])
def test_other_choices_send_nothing_again(notice, doubtful, chosen, later):
    notice.if_in_doubt = chosen
    send = doubtful(notice)
    assert mind_doubts(at=later) == 0
    assert states(send) == {"in_doubt": PEOPLE}


def test_a_send_of_before_there_was_a_choice_is_not_sent_again(notice, doubtful, later):
    send = doubtful(notice)
    del send.frozen["if_in_doubt"]
    send.save()
    assert send.if_in_doubt == "ask"
    assert mind_doubts(at=later) == 0


def test_a_promotion_is_never_sent_again_whatever_is_frozen_with_it(
    campaign, doubtful, lane, channel, later
):
    send = doubtful(campaign, if_in_doubt="again")
    assert send.frozen["plan"]["purpose"] == "promotion"
    # What its template is called today does not make a notice of it.
    campaign.template.purpose = "service"
    campaign.template.save()
    campaign.if_in_doubt = "again"
    campaign.save()
    for hours in range(0, 100, 7):
        engine.tick(at=later + timedelta(hours=hours))
        deliver_all(lane, later + timedelta(hours=hours))
    assert states(send) == {"in_doubt": PEOPLE}
    assert channel.ledger == []
    assert not SecondTry.objects.exists()


def test_a_template_called_a_promotion_after_scheduling_is_not_sent_again_either(
    notice, doubtful, later
):
    send = doubtful(notice)
    assert send.frozen["plan"]["purpose"] == "service"
    notice.template.purpose = "promotion"
    notice.template.save()
    assert mind_doubts(at=later) == 0
    assert states(send) == {"in_doubt": PEOPLE}


def test_a_promotion_with_it_is_refused_by_the_form_the_model_and_the_timetable(
    campaign, admin_client, at
):
    given = {
        "name": "Summer",
        "template": campaign.template_id,
        "sender": campaign.sender_id,
        "neutral_share": 0.2,
        "if_in_doubt": "again",
    }
    words = "for service notices only, since somebody may get it twice"
    assert words in CampaignForm(given).errors["if_in_doubt"][0]
    answer = admin_client.post(reverse("admin:campaigns_campaign_add"), given)
    assert words in answer.content.decode()
    campaign.if_in_doubt = "again"
    with pytest.raises(ValidationError, match=words):
        campaign.full_clean()
    campaign.save()
    with pytest.raises(CannotSchedule, match=words):
        schedule_send(campaign, scheduled_at=at, at=at)
    assert not Send.objects.exists()
    campaign.template.purpose = "service"
    campaign.template.save()
    campaign.full_clean()
    assert CampaignForm(given).is_valid()


def test_whoever_does_not_say_keeps_what_was_chosen(notice, admin_client):
    given = {
        "name": "Another name",
        "template": notice.template_id,
        "sender": notice.sender_id,
        "neutral_share": 0.2,
    }
    page = reverse("admin:campaigns_campaign_change", args=[notice.pk])
    for more in ({}, {"if_in_doubt": ""}):
        admin_client.post(f"{page}?edit=1", given | more)
        notice.refresh_from_db()
        assert (notice.name, notice.if_in_doubt) == ("Another name", "again")


def test_who_said_no_is_not_sent_it_again_and_the_page_says_why(
    notice, doubtful, lane, channel, admin_client, at, later
):
    send = doubtful(notice)
    first = send.messages.order_by("pk").first()
    suppress(first.address_wire, reason="complained", source="test", at=at)
    assert mind_doubts(at=later) == PEOPLE - 1
    deliver_all(lane, later)
    assert first.address_wire not in channel.ledger
    assert states(send) == {"accepted": PEOPLE - 1, "in_doubt": 1}
    page = reverse("campaigns:send", args=[send.pk])
    assert "Not sent again: never mail." in admin_client.get(page).content.decode()
    assert mind_doubts(at=later + timedelta(days=1)) == 0


def test_when_everybody_said_no_the_send_stays_ended(notice, doubtful, at, later):
    send = doubtful(notice, 1)
    suppress("person0@example.com", reason="complained", source="test", at=at)
    assert mind_doubts(at=later) == 0
    send.refresh_from_db()
    assert send.state == Send.State.SENT
    assert send.batches.count() == 1


def test_after_its_end_nothing_is_sent_again(notice, doubtful, later):
    notice.expires_at = later
    send = doubtful(notice)
    assert mind_doubts(at=later) == 0
    assert mind_doubts(at=later - MINUTE) == PEOPLE
    assert states(send) == {"waiting": PEOPLE}


def test_of_a_send_that_is_cancelled_or_rests_nothing_is_sent_again(
    notice, doubtful, at, later
):
    send = doubtful(notice)
    Send.objects.update(state="sending")
    pause_send(send, at=at)
    assert mind_doubts(at=later) == 0
    resume_send(send, at=later)
    assert mind_doubts(at=later) == PEOPLE
    cancel_send(send, at=later)
    assert mind_doubts(at=later + MINUTE) == 0
    # Whoever may have it is not called unsent.
    assert states(send) == {"in_doubt": PEOPLE}


def test_who_became_one_with_somebody_who_has_it_is_not_sent_it_again(
    world, notice, doubtful, lane, at, later
):
    send = doubtful(notice, 1)
    world.add_customers(1, first=1)
    made = launch_send(top_up(send, at=at), at=at)
    assert made.if_in_doubt == "again"
    assert materialise(made, at=at)
    deliver_all(lane, at)
    assert states(made) == {"accepted": 1}
    one, other = Customer.objects.order_by("pk")
    merge_customers(one, other, by=None, at=at)
    assert mind_doubts(at=later) == 0


def test_while_the_breaker_is_open_nobody_is_sent_it_again(
    notice, doubtful, lane, by, at, later
):
    send = doubtful(notice)
    open_breaker(lane.way, at=at, by=by)
    assert mind_doubts(at=later) == 0
    close_breaker(lane.way, at=later, by=by)
    assert mind_doubts(at=later) == PEOPLE
    assert states(send) == {"waiting": PEOPLE}


def test_where_nothing_else_would_ask_the_provider_one_of_them_does(
    notice, world, lane, channel, at, later
):
    """The last mail of a send opens the breaker: nobody would ever close it."""
    world.add_customers(1)
    first = world.prepared_send(notice)
    channel.answers["person0@example.com"] = InDoubt("in_doubt", "no answer")
    deliver_all(lane, at)
    assert states(first) == {"in_doubt": 1}
    channel.answers.clear()
    assert mind_doubts(at=later) == 1
    deliver_all(lane, later)
    assert channel.ledger == ["person0@example.com"]


def test_only_one_asks_and_the_others_follow_when_it_was_answered(
    notice, doubtful, lane, channel, by, at, later
):
    send = doubtful(notice)
    open_breaker(lane.way, at=at, by=by)
    Breaker.objects.filter(lane=lane.name).update(until=later - MINUTE)
    assert mind_doubts(at=later) == 1
    assert mind_doubts(at=later) == 0
    deliver_all(lane, later)
    assert len(channel.ledger) == 1
    assert mind_doubts(at=later + MINUTE) == PEOPLE - 1
    deliver_all(lane, later + MINUTE)
    assert states(send) == {"accepted": PEOPLE}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Refused("not_sent_bad", "status 422"), "status 422"),
        (Refused("invalid", "no such address"), "no such address"),
    ],
)
def test_a_second_try_that_is_refused_leaves_the_first_in_doubt(
    notice, doubtful, lane, channel, by, later, answer, said
):
    send = doubtful(notice, 1)
    mind_doubts(at=later)
    channel.answers["person0@example.com"] = answer
    deliver_all(lane, later)
    assert send_failed_again(send, by=by, at=later) == 0
    assert mind_doubts(at=later + MINUTE) == 0
    message = send.messages.get()
    assert (message.state, message.settled_at) == ("in_doubt", None)
    assert said in message.detail
    assert mind_doubts(at=later + timedelta(days=1)) == 0
    assert states(send) == {"in_doubt": 1}


def test_who_says_no_just_before_the_second_try_is_in_doubt_as_before(
    notice, doubtful, lane, channel, later
):
    send = doubtful(notice, 1)
    mind_doubts(at=later)
    suppress("person0@example.com", reason="unsubscribed", source="test", at=later)
    deliver_all(lane, later)
    assert channel.ledger == []
    mind_doubts(at=later)
    message = send.messages.get()
    assert (message.state, message.detail) == (
        "in_doubt",
        "the second try: never mail",
    )


def test_a_report_of_the_first_takes_the_second_back_also_from_a_busy_provider(
    notice, doubtful, lane, channel, later
):
    send = doubtful(notice, 1)
    mind_doubts(at=later)
    channel.answers["person0@example.com"] = Busy("not_sent_throttle", "429", 60.0)
    deliver_next_batch(lane, now=later)
    message = send.messages.get()
    assert (message.state, message.handed_over_at) == ("waiting", None)
    assert confirm_accepted(message.public_id, at=later)
    channel.answers.clear()
    deliver_all(lane, later + timedelta(hours=1))
    assert channel.ledger == []
    assert states(send) == {"accepted": 1}


def test_while_its_call_may_be_made_again_under_its_key_it_is_not_sent_again(
    notice, doubtful, at, later
):
    send = doubtful(notice)
    call = KeptCall.objects.create(
        batch=send.batches.get(), provider="resend", lane="bulk", left_at=at, due_at=at
    )
    assert mind_doubts(at=later) == 0
    call.delete()
    assert mind_doubts(at=later) == PEOPLE


def test_a_turn_takes_so_many_and_the_next_one_the_others(
    notice, doubtful, lane, channel, later, monkeypatch
):
    send = doubtful(notice)
    monkeypatch.setattr("campaigns.doubts.MOST_A_TURN", 3)
    assert [mind_doubts(at=later) for _ in range(3)] == [3, 1, 0]
    deliver_all(lane, later)
    assert states(send) == {"accepted": PEOPLE}
    assert set(Counter(channel.ledger).values()) == {1}


@pytest.mark.django_db(transaction=True)
def test_several_at_once_send_it_again_once(notice, doubtful, lane, later, at_once):
    send = doubtful(notice)
    assert at_once(*[lambda: mind_doubts(at=later)] * 4) == []
    assert states(send) == {"waiting": PEOPLE}
    assert Batch.objects.filter(send=send).count() == 2
    assert SecondTry.objects.count() == PEOPLE
    assert send.notes.exclude(message=None).count() == PEOPLE


def test_run_engine_does_it_and_a_tick_of_celery_does_it(
    notice, doubtful, later, monkeypatch
):
    send = doubtful(notice)
    monkeypatch.setattr(tasks.timezone, "now", lambda: later)
    monkeypatch.setattr(tasks, "wake", lambda *_: None)
    tasks.tick()
    assert states(send) == {"waiting": PEOPLE}
    report = engine.run_once(at=later)
    assert (report.accepted, report.sent_again) == (PEOPLE, 0)
    Message.objects.update(state="in_doubt", settled_at=None)
    SecondTry.objects.all().delete()
    report = engine.run_once(at=later + DOUBTED_FOR + MINUTE)
    assert (report.accepted, report.sent_again) == (PEOPLE, PEOPLE)


def test_the_pages_say_plainly_that_somebody_may_get_it_twice(
    notice, doubtful, admin_client, at, later
):
    warned = "somebody may get this notice twice"
    page = reverse("admin:campaigns_campaign_change", args=[notice.pk])
    assert warned in admin_client.get(page).content.decode()
    assert (
        "If a mail is in doubt" in admin_client.get(f"{page}?edit=1").content.decode()
    )
    send = doubtful(notice)
    page = reverse("campaigns:send", args=[send.pk])
    shown = admin_client.get(page).content.decode()
    assert warned in shown
    assert re.search(r"Sent again from 2 Mar( 2026)?, 9:30 UTC on\.", shown)
    mind_doubts(at=later)
    shown = admin_client.get(page).content.decode()
    assert warned in shown
    assert "Sent again by itself, as its campaign says" in shown
    assert "itself</td>" in shown


def test_the_queue_says_what_a_promotion_in_doubt_waits_for(
    campaign, doubtful, admin_client
):
    send = doubtful(campaign)
    page = reverse("campaigns:send", args=[send.pk])
    shown = admin_client.get(page).content.decode()
    assert "ask again under its key" in shown
    assert "Sent again from" not in shown
