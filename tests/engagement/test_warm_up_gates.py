"""A sender domain's warm-up goes on by days that were used and did no harm."""

from datetime import date, timedelta

import pytest

from campaigns.models import Message, ProviderNote, Send, SenderDomainWarmUp
from campaigns.sending import warming
from customers.models import Customer
from engagement.guards import gate_domains
from engagement.models import MessageEngagement

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def warm_up(send, at, admin_user):
    """Of the sender's domain, since yesterday; its second day allows 1,000."""
    frozen = {**send.frozen, "sender": {"from_address": "us@shop.example"}}
    before = at - 5 * DAY
    Send.objects.update(
        frozen=frozen, state="sending", prepared_at=before, started_at=before
    )
    made = SenderDomainWarmUp(domain="shop.example", day=2, caps=[500, 1000, 2000])
    warming.keep(made, at=at - DAY, by=admin_user)
    return made


@pytest.fixture
def mailed(send, at):
    """So many mails of yesterday, of which some came back."""

    def add(count, *, bounced=0, complained=0, on=at - DAY, of=send):
        first = Customer.objects.count()
        people = Customer.objects.bulk_create(
            Customer(external_id=f"w{number}") for number in range(first, first + count)
        )
        messages = Message.objects.bulk_create(
            Message(
                send=of,
                customer=one,
                state="accepted",
                address_wire=f"{one.external_id}@x.org",
                handed_over_at=on,
            )
            for one in people
        )
        MessageEngagement.objects.bulk_create(
            MessageEngagement(
                message=one,
                bounced_at=at if number < bounced else None,
                complained_at=at if number >= count - complained else None,
            )
            for number, one in enumerate(messages)
            if number < bounced or number >= count - complained
        )

    return add


def day_of(warm_up):
    warm_up.refresh_from_db()
    return warm_up.day


@pytest.mark.parametrize(
    ("mails", "came_back", "day"),
    [
        (1000, {}, 3),
        (500, {}, 3),
        (499, {}, 2),  # less than half of what it allowed says nothing
        (0, {}, 2),
        (1000, {"bounced": 50, "complained": 2}, 3),
        (1000, {"bounced": 51}, 2),
        (1000, {"complained": 3}, 2),
        (600, {"complained": 2}, 2),
        (600, {"complained": 1}, 3),
        (1000, {"bounced": 100}, 2),
        (1000, {"bounced": 101}, 1),  # twice what stops a send: it goes back a day
        (1000, {"complained": 6}, 1),
    ],
)
def test_it_goes_on_after_a_day_that_was_used_and_harmed_nobody(
    mailed, warm_up, at, mails, came_back, day
):
    mailed(mails, **came_back)
    mailed(900, bounced=900, on=at)  # of today nothing is known yet
    assert gate_domains(at=at) == 1
    assert gate_domains(at=at) == 0  # judged once a day
    assert day_of(warm_up) == day
    told = ProviderNote.objects.filter(sentence__contains="The warm-up of shop.example")
    assert told.exists() == (day < 3 and bool(came_back))
    assert bool(warming.why_it_stays(warm_up, at=at)) == (day < 3)


def test_the_figures_of_the_day_that_was_judged_are_kept(mailed, warm_up, at):
    mailed(800, bounced=60, complained=1)
    gate_domains(at=at)
    warm_up.refresh_from_db()
    kept = {key: warm_up.last_day[key] for key in ("mails", "bounced", "complained")}
    assert kept == {"mails": 800, "bounced": 60, "complained": 1}
    assert "60 of 800 mails" in warm_up.last_day["because"]


def test_addresses_refused_at_once_count_as_bounces(mailed, warm_up, at):
    mailed(800)
    some = Message.objects.order_by("pk").values_list("pk", flat=True)[:41]
    Message.objects.filter(pk__in=list(some)).update(state="failed", reason="invalid")
    gate_domains(at=at)
    assert day_of(warm_up) == 2


def test_mail_of_another_domain_moves_nothing(mailed, warm_up, send, at):
    other = Send.objects.create(
        campaign=send.campaign,
        scheduled_at=at,
        started_at=at - 2 * DAY,
        state="sending",
        frozen={**send.frozen, "sender": {"from_address": "us@old.example"}},
    )
    mailed(1000, of=other)
    gate_domains(at=at)
    assert day_of(warm_up) == 2
    assert "only 0 were used" in warm_up.last_day["because"]


def test_a_day_is_the_shop_s_and_not_utc_s(mailed, warm_up, at, settings):
    from campaigns.timing import zone_of

    settings.TIME_ZONE = "Pacific/Auckland"
    zone_of.cache_clear()
    try:
        # Judged up to the 2nd in UTC's words; there it is the 3rd from 11:00 UTC on.
        midnight = at.replace(hour=11)
        mailed(1000, on=midnight - timedelta(minutes=1))
        SenderDomainWarmUp.objects.update(judged_on=date(2026, 3, 2))
        assert gate_domains(at=midnight - timedelta(minutes=1)) == 0
        assert gate_domains(at=midnight + timedelta(minutes=1)) == 1
        assert day_of(warm_up) == 3
    finally:
        zone_of.cache_clear()


def test_each_day_that_nobody_judged_is_judged_later(mailed, warm_up, at):
    mailed(1000)
    mailed(2000, bounced=150, on=at)
    mailed(2000, on=at + DAY)
    assert gate_domains(at=at + 2 * DAY) == 1
    assert day_of(warm_up) == 4  # on, stays, on: past the end of its table
    words = ProviderNote.objects.latest("pk").sentence
    assert words == "shop.example has warmed up."


def test_a_clock_that_goes_back_judges_no_day_twice(mailed, warm_up, at):
    mailed(1000)
    gate_domains(at=at)
    assert gate_domains(at=at - 10 * DAY) == 0
    assert "clock stood at 2026-03-02" in warming.why_it_stays(
        SenderDomainWarmUp.objects.get(), at=at - 10 * DAY
    )
    assert gate_domains(at=at) == 0
    assert day_of(warm_up) == 3


def test_two_who_judge_at_once_go_on_by_one_day(warm_up, at):
    days = {(at - DAY).date(): warming.WarmDay(1000)}
    for _ in range(2):
        warming.judge(warm_up, days, today=at.date(), at=at)
    assert day_of(warm_up) == 3


def test_days_on_which_it_was_off_are_judged_by_nobody(mailed, warm_up, at, admin_user):
    warm_up.on = False
    warming.keep(warm_up, at=at - DAY, by=admin_user)
    mailed(1000)
    assert gate_domains(at=at) == 0
    warm_up.on = True
    warming.keep(warm_up, at=at, by=admin_user)
    assert gate_domains(at=at) == 0
    assert day_of(warm_up) == 2


def test_its_first_day_is_never_gone_back_from(mailed, warm_up, at):
    SenderDomainWarmUp.objects.update(day=1)
    mailed(500, bounced=400)
    gate_domains(at=at)
    assert day_of(warm_up) == 1
