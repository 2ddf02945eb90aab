import re
from datetime import datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from campaigns import under_way
from campaigns.models import EngineNode, Send
from campaigns.quiet_hours import hours_of
from campaigns.sending.protocol import deliver_next_batch
from campaigns.services import pause_send, schedule_send
from campaigns.timeline import timeline
from campaigns.under_way import count_under_way
from customers.models import Customer

pytestmark = pytest.mark.django_db


@pytest.fixture
def spread(world, campaign, settings, at):
    """At nine in London two are awake; two in Tokyo from 23:00 UTC on."""
    settings.QUIET_HOURS = hours_of("17:00-08:00")
    people = world.add_customers(4)
    for number, one in enumerate(people):
        one.timezone = "Asia/Tokyo" if number % 2 else "Europe/London"
    Customer.objects.bulk_update(people, ["timezone"])
    EngineNode.objects.create(name="x", role="engine", started_at=at, last_seen=at)
    return world.prepared_send(campaign)


def hours_with_mail(found):
    return {
        one.begins.isoformat(): one.messages
        for one in (*found.hours, *found.later)
        if one.messages
    }


def test_each_hour_says_how_many_may_leave_then(spread, lane, at):
    assert hours_with_mail(timeline(at=at)) == {
        "2026-03-02T09:00:00+00:00": 2,
        "2026-03-02T23:00:00+00:00": 2,
    }
    while deliver_next_batch(lane, now=at):
        pass
    found = timeline(at=at)
    assert hours_with_mail(found) == {"2026-03-02T23:00:00+00:00": 2}
    leave = r"The next mails leave on 2 Mar( 2026)?, 23:00 UTC\."
    assert re.search(leave, found.planned[0].binds)
    # By the shop's own clock: seventeen to eight.
    night = [one.begins.hour for one in found.hours[:24] if one.rests]
    assert night == [*range(17, 24), *range(8)]


def test_what_is_overdue_is_due_now_and_who_stopped_it_is_told(spread, at):
    later = at + timedelta(hours=3, minutes=20)
    pause_send(spread, at=later)
    found = timeline(at=later)
    first = found.hours[0]
    assert (first.begins, first.messages) == (at + timedelta(hours=3), 2)
    # Two batches of two hours that have passed are one number.
    spread.batches.update(not_before=at)
    spread.batches.filter(pk=spread.batches.first().pk).update(not_before=later)
    assert [count for _, count, _ in timeline(at=later).hours[0].sends] == [4]
    assert found.planned[0].binds == "Paused."


def test_what_is_planned_only_has_no_number_yet(world, campaign, at):
    schedule_send(campaign, scheduled_at=at + timedelta(days=3), at=at)
    found = timeline(at=at)
    assert (found.planned[0].waiting, hours_with_mail(found)) == (None, {})
    assert found.planned[0].begins == datetime.fromisoformat("2026-03-05T09:00Z")


def test_a_large_send_is_not_counted_by_the_page(spread, at, monkeypatch):
    monkeypatch.setattr(under_way, "COUNTED_AT_ONCE", 1)
    assert timeline(at=at).planned[0].waiting is None
    count_under_way(at=at)
    found = timeline(at=at)
    assert found.planned[0].waiting == 4
    assert sum(hours_with_mail(found).values()) == pytest.approx(4, abs=1)
    assert found.hours[0].sends[0][2]  # told as "about"


def test_the_page_says_it_in_a_picture_and_a_table(world, campaign, admin_client):
    page = reverse("campaigns:timeline")
    assert "Nothing is planned." in admin_client.get(page).content.decode()
    world.add_customers(2)
    now = timezone.now()
    world.prepared_send(campaign, at=now)
    text = admin_client.get(page).content.decode()
    assert "2 messages wait to be sent." in text
    assert "No sender is running" in text
    assert '<th scope="row">now</th>' in text
    assert Send.objects.get().state == "sending"
