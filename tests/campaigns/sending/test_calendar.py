"""On the shop's days of rest nothing promotional leaves, whatever happened before."""

import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from campaigns.errors import NoDayLeft
from campaigns.models import Batch, ProviderNote, RestDay
from campaigns.planning import preflight
from campaigns.quiet_hours import hours_of
from campaigns.resting import remove_rest_day, set_rest_day, set_weekdays
from campaigns.sending import engine
from campaigns.sending.protocol import deliver_next_batch
from campaigns.services import launch_send, materialise, schedule_send
from customers.models import Customer

pytestmark = pytest.mark.django_db

FRIDAY = datetime(2026, 3, 6, 18, 0, tzinfo=UTC)
MONDAY = datetime(2026, 3, 9, 8, 0, tzinfo=UTC)
# Friday at six in London is Saturday at three in Tokyo.
ZONES = ("Europe/London", "Asia/Tokyo")


@pytest.fixture
def by():
    return User.objects.create_superuser("mara")


@pytest.fixture
def weekend(settings, by):
    settings.QUIET_HOURS = hours_of("21:00-08:00")
    set_weekdays([5, 6], at=FRIDAY, by=by)


@pytest.fixture
def people(world):
    customers = world.add_customers(6)
    for number, one in enumerate(customers):
        one.timezone = ZONES[number % 2]
    Customer.objects.bulk_update(customers, ["timezone"])


def prepared(campaign, *, at=FRIDAY):
    send = launch_send(schedule_send(campaign, scheduled_at=at, at=at), at=at)
    assert materialise(send, at=at)
    send.refresh_from_db()
    return send


def deliver_all(lane, now):
    while deliver_next_batch(lane, now=now) is not None:
        pass


def reached(send):
    mailed = send.messages.filter(state="accepted")
    return Counter(mailed.values_list("customer__timezone", flat=True))


def test_whose_saturday_has_begun_gets_it_on_monday_morning(
    weekend, people, campaign, lane
):
    send = prepared(campaign)
    deliver_all(lane, FRIDAY + timedelta(hours=2))
    assert reached(send) == {"Europe/London": 3}
    tokyo = MONDAY - timedelta(hours=9)
    deliver_all(lane, tokyo - timedelta(seconds=1))
    assert reached(send).total() == 3
    deliver_all(lane, tokyo)
    assert reached(send) == {"Europe/London": 3, "Asia/Tokyo": 3}


def test_an_outage_that_ends_on_a_holiday_ends_in_no_mail_on_it(
    people, campaign, lane, by
):
    """The day was entered after the send had been written down."""
    send = prepared(campaign)
    set_rest_day(date(2026, 3, 7), name="Stocktaking", at=FRIDAY, by=by)
    deliver_all(lane, FRIDAY + timedelta(hours=10))
    assert reached(send).total() == 0
    waiting = Batch.objects.filter(state="waiting").values_list("not_before", flat=True)
    assert set(waiting) == {
        datetime(2026, 3, 8, 0, tzinfo=UTC),
        datetime(2026, 3, 7, 15, tzinfo=UTC),
    }
    deliver_all(lane, MONDAY)
    engine.wind_up(at=MONDAY)
    send.refresh_from_db()
    assert (reached(send).total(), send.state) == (6, "sent")


def test_mail_about_an_order_comes_on_any_day_and_a_night_owl_rests_too(
    weekend, people, world, campaign, lane
):
    night = world.add_campaign(campaign.template, at_night=True)
    late = prepared(night, at=FRIDAY + timedelta(hours=12))
    deliver_all(lane, FRIDAY + timedelta(hours=12))
    assert reached(late).total() == 0
    campaign.template.purpose = "service"
    campaign.template.save()
    order = prepared(campaign, at=FRIDAY + timedelta(hours=12))
    deliver_all(lane, FRIDAY + timedelta(hours=12))
    assert reached(order).total() == 6


def test_what_ends_on_a_day_of_rest_reaches_nobody_and_preflight_says_so(
    weekend, people, campaign, lane
):
    campaign.expires_at = MONDAY - timedelta(hours=10)
    campaign.save()
    saturday = FRIDAY + timedelta(hours=12)
    told = preflight(campaign, at=saturday).warnings
    # In any other year the year is said, too.
    monday = re.compile("nothing leaves before 9 Mar( 2026)?, 8:00 UTC")
    assert any(map(monday.search, told))
    send = prepared(campaign, at=saturday)
    deliver_all(lane, MONDAY)
    assert send.messages.filter(reason="expired").count() == 6


def test_seven_days_a_week_are_refused_and_who_set_what_is_kept(by):
    set_weekdays([6], at=FRIDAY, by=by)
    with pytest.raises(NoDayLeft, match="leave at least one"):
        set_weekdays(range(7), at=FRIDAY, by=by)
    assert [row.weekday for row in RestDay.objects.all()] == [6]
    day = set_rest_day(date(2026, 12, 25), name="X", yearly=True, at=FRIDAY, by=by)
    set_rest_day(date(2026, 12, 25), name="Christmas Day", at=FRIDAY, by=by)
    remove_rest_day(RestDay.objects.get(pk=day.pk), at=FRIDAY, by=by)
    assert [one.sentence for one in ProviderNote.objects.order_by("pk")] == [
        "mara set: no promotion on every Sunday.",
        "mara set: no promotion on X (25 December of every year).",
        "mara set: no promotion on Christmas Day (25 December 2026).",
        "mara set: promotions leave on Christmas Day (25 December 2026) again.",
    ]


def test_the_page_keeps_days_and_the_campaign_tells_of_them(admin_client, campaign):
    page = reverse("campaigns:calendar")
    admin_client.post(reverse("campaigns:rest_weekdays"), {"weekdays": ["5", "6"]})
    admin_client.post(
        reverse("campaigns:rest_day"),
        {"day": "2030-12-25", "name": "Christmas Day", "yearly": "on"},
    )
    text = admin_client.get(page).content.decode()
    assert "Without promotion: every Saturday, every Sunday and 1 date." in text
    plan = reverse("admin:campaigns_campaign_change", args=[campaign.pk])
    told = admin_client.get(plan).content.decode()
    assert "Christmas Day (25 December of every year)" in told
    row = RestDay.objects.get(day__isnull=False)
    admin_client.post(reverse("campaigns:remove_rest_day", args=[row.pk]))
    assert "None to come." in admin_client.get(page).content.decode()
    answer = admin_client.post(reverse("campaigns:rest_day"), {"day": "soon"})
    assert "Enter a valid date." in answer.content.decode()
