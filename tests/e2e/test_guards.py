"""Pages that say what is sent when, what is not, and why, as they look."""

from datetime import date, timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from campaigns.models import Campaign, Sender
from campaigns.quiet_hours import hours_of
from campaigns.resting import set_rest_day, set_weekdays
from campaigns.sending.channels import channel_for
from campaigns.sending.engine import heartbeat
from campaigns.sending.ledger import finish_sends
from campaigns.sending.protocol import Lane, deliver_next_batch
from campaigns.services import (
    launch_send,
    materialise,
    schedule_send,
    starter_template,
)
from customers.models import Consent, Customer

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
]
ZONES = ("Europe/London", "Asia/Tokyo", "America/Los_Angeles", "Australia/Sydney")


def come(numbers) -> None:
    customers = Customer.objects.bulk_create(
        Customer(
            external_id=f"c{number}",
            email=f"person{number}@lindenpost.example",
            address_key=f"person{number}@lindenpost.example",
            address_wire=f"person{number}@lindenpost.example",
            first_name=f"Name{number}",
            timezone=ZONES[number % len(ZONES)],
        )
        for number in numbers
    )
    Consent.objects.bulk_create(
        Consent(
            customer=one,
            purpose="marketing",
            basis="existing_customer",
            source="test",
            occurred_at=timezone.now() - timedelta(days=9),
        )
        for one in customers
    )


@pytest.fixture
def shop(transactional_db, settings, tmp_path):
    settings.OUTBOX_DIR = tmp_path / "outbox"
    settings.OUTBOX_DIR.mkdir()
    settings.QUIET_HOURS = hours_of("21:00-08:00")
    User.objects.create_superuser("marketer", "", "a quiet garden", first_name="Mara")
    Sender.objects.create(
        shop_name="Linden & Loam",
        from_name="Linden & Loam",
        from_address="hello@lindenandloam.example",
        postal_address="Linden & Loam, 8 Sample Lane, Northport",
    )
    come(range(200))


def plan(name: str, **more) -> Campaign:
    template = starter_template("announcement", name=name)
    sender = Sender.objects.get()
    return Campaign.objects.create(name=name, template=template, sender=sender, **more)


@pytest.fixture
def busy(shop):
    """One send has ended, one waits for mornings all over the world, one is planned."""
    now, by = timezone.now(), User.objects.get()
    lane = Lane("bulk", channel_for("outbox"), "the walk")
    ended = schedule_send(plan("Night post", at_night=True), scheduled_at=now, at=now)
    materialise(launch_send(ended, at=now), at=now)
    while deliver_next_batch(lane, now=timezone.now()):
        pass
    finish_sends(now=timezone.now())
    come(range(200, 212))
    letter = plan("Spring letter", local_time=True)
    waits = schedule_send(letter, scheduled_at=now, at=now)
    materialise(launch_send(waits, at=now), at=now)
    later = now + timedelta(days=1)
    schedule_send(plan("Garden day"), scheduled_at=later, at=now)
    set_weekdays([6], at=now, by=by)
    set_rest_day(date(2030, 12, 25), name="Christmas Day", yearly=True, at=now, by=by)
    heartbeat("the walk", "run_engine", at=timezone.now(), since=now)
    return ended


def test_what_is_sent_when_and_what_rests_fits_every_screen(open_page, busy, screen):
    watched = open_page(*screen)
    name = screen[2] if screen[2] == "dark" else str(screen[0])
    pages = {
        "timeline": ("/admin/campaigns/timeline/", "Garden day"),
        "calendar": ("/admin/campaigns/calendar/", "Christmas Day"),
        "newcomers": (f"/admin/campaigns/send/{busy.pk}/newcomers/", "12 people"),
        "doctor": ("/admin/engagement/doctor/", "The database is this deployment"),
    }
    for page, (path, words) in pages.items():
        watched.go(path)
        assert words in watched.page.content()
        watched.picture(f"{page}_{name}")
        wide = watched.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= screen[0], page
    watched.go(pages["newcomers"][0])
    watched.page.get_by_role("button", name="Send it to them now").click()
    watched.page.wait_for_load_state("load")
    assert "It tops up" in watched.page.content()
    assert watched.complaints == []
