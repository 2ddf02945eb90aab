from datetime import timedelta

import pytest
from django.utils import timezone

from campaigns.models import Message, ProviderNote, Send, SendNote
from campaigns.sending import limits
from campaigns.services import resume_send
from customers.models import Customer
from engagement import guards, tasks
from engagement.beside import mind_harm
from engagement.guards import Harm, gate_warm_ups, harm_of, stop_what_harms
from engagement.models import MessageEngagement

pytestmark = pytest.mark.django_db


@pytest.fixture
def mailed(send, at):
    """So many mails of a send under way, of which some came back."""
    before = at - timedelta(days=5)
    Send.objects.update(state="sending", prepared_at=before, started_at=before)

    def add(count, *, bounced=0, complained=0, in_doubt=0, handed_over_at=at):
        first = Customer.objects.count()
        people = Customer.objects.bulk_create(
            Customer(external_id=f"c{number}")
            for number in range(first, first + count + in_doubt)
        )
        batch = send.batches.create(
            variant=send.variants.first(),
            state="done",
            not_before=before,
            intent_at=handed_over_at,
        )
        messages = Message.objects.bulk_create(
            Message(
                send=send,
                batch=batch,
                customer=one,
                state="accepted" if number < count else "in_doubt",
                address_wire=f"{one.external_id}@x.org",
                handed_over_at=handed_over_at,
            )
            for number, one in enumerate(people)
        )
        MessageEngagement.objects.bulk_create(
            MessageEngagement(
                message=one,
                bounced_at=at if number < bounced else None,
                complained_at=at if number >= count - complained else None,
            )
            for number, one in enumerate(messages[:count])
            if number < bounced or number >= count - complained
        )
        return send

    return add


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (Harm(199, bounced=199, handed_over=199), ""),
        (Harm(200, bounced=10, handed_over=200), ""),
        (Harm(200, bounced=11, handed_over=200), "11 of 200 mails came back"),
        (Harm(300, complained=2, handed_over=300), ""),
        (Harm(900, complained=3, handed_over=900), "3 of 900 people called it spam"),
        (Harm(2000, complained=5, handed_over=2000), ""),
        (Harm(2000, complained=6, handed_over=2000), "6 of 2,000 people called it"),
        (Harm(300, handed_over=303, in_doubt=3), ""),
        (Harm(300, handed_over=304, in_doubt=4), "4 mails are in doubt"),
        (Harm(5000, handed_over=900_000, in_doubt=4000), ""),
    ],
)
def test_the_lines_are_where_mailbox_providers_draw_them(harm, words):
    assert words in harm.because
    assert bool(harm.because) is bool(words)


@pytest.mark.parametrize("harm", [{"bounced": 20}, {"complained": 4}, {"in_doubt": 5}])
def test_a_send_that_does_harm_stops_and_says_why(mailed, at, harm):
    send = mailed(300, **harm)
    assert stop_what_harms(at=at) == 1
    assert stop_what_harms(at=at) == 0
    send.refresh_from_db()
    assert send.state == "paused"
    assert send.state_reason == harm_of(send).because != ""


def test_a_send_that_does_none_goes_on(mailed, at):
    send = mailed(300, bounced=15, complained=2, in_doubt=3)
    assert mind_harm(at, float("inf")) == 0
    send.refresh_from_db()
    assert send.state == "sending"


def test_addresses_that_are_refused_at_once_count_as_mail_that_came_back(mailed, at):
    send = mailed(300, bounced=5)
    dead = Message.objects.order_by("pk").values_list("pk", flat=True)[20:31]
    Message.objects.filter(pk__in=list(dead)).update(state="failed", reason="invalid")
    assert (harm_of(send).bounced, harm_of(send).looked_at) == (16, 300)
    assert stop_what_harms(at=at) == 1
    send.refresh_from_db()
    assert "16 of 300 mails came back or were refused" in send.state_reason


def test_refusals_that_say_nothing_of_an_address_do_not_count_as_such(mailed, at):
    send = mailed(300)
    some = list(Message.objects.order_by("pk").values_list("pk", flat=True)[:50])
    Message.objects.filter(pk__in=some).update(state="failed", reason="not_sent_bad")
    assert (harm_of(send).bounced, harm_of(send).looked_at) == (0, 250)


def test_what_a_person_has_seen_stops_it_no_second_time(mailed, at):
    send = mailed(300, bounced=20, in_doubt=9)
    stop_what_harms(at=at)
    resume_send(send, at=at + timedelta(minutes=1))
    assert stop_what_harms(at=at) == 0
    later = at + timedelta(minutes=2)
    mailed(150, bounced=100, handed_over_at=later)
    assert stop_what_harms(at=at) == 0
    mailed(60, handed_over_at=later)
    assert stop_what_harms(at=at) == 1


def test_only_the_first_mails_are_looked_at_but_doubt_is_of_all(
    mailed, at, monkeypatch
):
    monkeypatch.setattr(guards, "LOOKED_AT", 250)
    send = mailed(250, bounced=5)
    mailed(400, bounced=400, in_doubt=6)
    found = harm_of(Send.objects.get())
    assert (found.looked_at, found.bounced) == (250, 5)
    assert (found.handed_over, found.in_doubt) == (656, 6)
    assert found.because == ""
    assert send.pk


def test_however_many_batches_the_first_mails_are_in_they_are_found(
    mailed, at, monkeypatch
):
    monkeypatch.setattr(guards, "LOOKED_AT", 250)
    monkeypatch.setattr(guards, "BATCHES_AT_FIRST", 1)
    for number in range(9):
        mailed(30, bounced=number)
    send = Send.objects.get()
    assert harm_of(send) == Harm(250, bounced=36, handed_over=250)
    send.standing = Send.Standing.OPEN
    assert harm_of(send) == Harm(250, bounced=36, handed_over=250, newest=True)
    send.batches.create(variant=send.variants.first(), not_before=at)  # not yet left
    assert harm_of(send).looked_at == 250


def test_of_a_standing_send_the_last_mails_are_looked_at(mailed, at, monkeypatch):
    monkeypatch.setattr(guards, "LOOKED_AT", 250)
    mailed(300)
    send = mailed(250, bounced=20, complained=4)
    assert harm_of(send) == Harm(250, handed_over=250)
    send.standing = Send.Standing.OPEN
    send.save(update_fields=["standing"])
    found = harm_of(send)
    assert found == Harm(250, 20, 4, handed_over=250, newest=True)
    assert "4 of the last 250 people called it spam" in found.warning
    assert stop_what_harms(at=at) == 1


def test_the_timetable_looks_too(mailed):
    mailed(300, bounced=20)
    tasks.take_in_open()
    assert Send.objects.get().state == "paused"


def test_two_in_two_thousand_are_told_once_and_stop_nothing(mailed, at, admin_client):
    send = mailed(2000, complained=2)
    assert stop_what_harms(at=at) == 0
    assert stop_what_harms(at=at) == 0
    note = SendNote.objects.get(send=send)
    assert note.warns
    assert note.sentence.startswith("2 of 2,000 people called it spam: mailbox")
    send.refresh_from_db()
    assert send.state == "sending"
    SendNote.objects.update(at=timezone.now())
    assert b"below one in a thousand" in admin_client.get("/admin/").content


def test_who_complains_after_the_last_mail_is_told_too(mailed, at):
    mailed(1000, complained=4)
    Send.objects.update(state="sent", finished_at=at - timedelta(hours=40))
    assert stop_what_harms(at=at) == 0
    assert SendNote.objects.filter(warns=True).count() == 1
    SendNote.objects.all().delete()
    assert stop_what_harms(at=at + timedelta(hours=9)) == 0
    assert not SendNote.objects.exists()  # more than two days ago


@pytest.mark.parametrize("harm", [Harm(199, complained=5), Harm(300, complained=1)])
def test_one_person_s_mood_or_few_mails_warn_nobody(harm):
    assert harm.warning == ""


@pytest.fixture
def warm_up(admin_user, at):
    """500 a day and half as many more each day, since three days ago; grown twice."""
    began = at - timedelta(days=3)
    limit = limits.set_limit(
        "outbox", window="day", most=500, grows_percent=50, at=began, by=admin_user
    )
    full = limits.DayOfMail(1000)
    days = {(began + timedelta(days=n)).date(): full for n in range(2)}
    limits.judge_days(limit, days, today=(at - timedelta(days=1)).date(), at=at)
    limit.refresh_from_db()
    assert limits.most_at(limit, at) == 1125
    return limit


@pytest.mark.parametrize(
    ("mails", "came_back", "grown"),
    [
        (600, {}, 1687),
        (600, {"bounced": 30, "complained": 1}, 1687),
        (600, {"bounced": 31}, 1125),
        (600, {"complained": 2}, 1125),
        (550, {}, 1125),  # less than half of what it allows says nothing
        (0, {}, 1125),
    ],
)
def test_a_warm_up_grows_only_after_a_day_that_was_used_and_went_well(
    mailed, warm_up, at, mails, came_back, grown
):
    yesterday = at - timedelta(days=1)
    mailed(mails, handed_over_at=yesterday, **came_back)
    mailed(900, bounced=900, handed_over_at=at)  # of today nothing is known yet
    assert gate_warm_ups(at=at) == 1
    assert gate_warm_ups(at=at) == 0  # judged once a day
    warm_up.refresh_from_db()
    assert limits.most_at(warm_up, at) == grown
    told = ProviderNote.objects.filter(sentence__contains="does not grow").exists()
    assert told == bool(came_back) - (mails == 600 and came_back.get("bounced") == 30)
    # By itself it never grows.
    assert limits.most_at(warm_up, at + timedelta(days=30)) == grown


def test_each_day_that_nobody_judged_is_judged_later(mailed, warm_up, at):
    mailed(600, handed_over_at=at - timedelta(days=1))
    mailed(600, bounced=60, handed_over_at=at)
    mailed(900, handed_over_at=at + timedelta(days=1))
    assert gate_warm_ups(at=at + timedelta(days=2)) == 1
    warm_up.refresh_from_db()
    assert (warm_up.held_days, limits.most_at(warm_up, at + timedelta(days=2))) == (
        1,
        2531,
    )


def test_addresses_refused_at_once_count_as_bounces_in_a_warm_up(mailed, warm_up, at):
    mailed(700, handed_over_at=at - timedelta(days=1))
    some = Message.objects.order_by("pk").values_list("pk", flat=True)[:36]
    Message.objects.filter(pk__in=list(some)).update(state="failed", reason="invalid")
    gate_warm_ups(at=at)
    warm_up.refresh_from_db()
    assert warm_up.held_days == 1


def test_two_who_judge_at_once_hold_one_day(warm_up, at):
    today, bad = at.date(), limits.DayOfMail(900, "2 came back.")
    days = {today - timedelta(days=1): bad}
    for _ in range(2):
        limits.judge_days(warm_up, days, today=today, at=at)
    warm_up.refresh_from_db()
    assert warm_up.held_days == 1
