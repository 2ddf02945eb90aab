"""The page of the provider and a send that a limit holds up, as they look."""

import socket
from datetime import timedelta

import pytest
from aiosmtpd.controller import Controller
from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from campaigns.models import Batch, Breaker, Campaign, FrequencyCap, Sender
from campaigns.sending import limits
from campaigns.sending.breaker import Way, close_breaker
from campaigns.sending.channels import channel_for
from campaigns.sending.engine import heartbeat
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


@pytest.fixture
def shop(transactional_db, settings, tmp_path):
    """Three hundred customers are enough here: nothing has to be read or sorted."""
    settings.OUTBOX_DIR = tmp_path / "outbox"
    settings.OUTBOX_DIR.mkdir()
    User.objects.create_superuser("marketer", "", "a quiet garden", first_name="Mara")
    Sender.objects.create(
        shop_name="Linden & Loam",
        from_name="Linden & Loam",
        from_address="hello@lindenandloam.example",
        postal_address="Linden & Loam, 8 Sample Lane, Northport",
    )
    boxes = ("gmail.com", "outlook.com", "yahoo.com", "lindenpost.example")
    customers = Customer.objects.bulk_create(
        Customer(
            external_id=f"c{number}",
            email=f"person{number}@{boxes[number % 4]}",
            address_key=f"person{number}@{boxes[number % 4]}",
            address_wire=f"person{number}@{boxes[number % 4]}",
            first_name=f"Name{number}",
        )
        for number in range(300)
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


def spring_letter():
    return Campaign.objects.create(
        name="Spring letter",
        template=starter_template("announcement"),
        sender=Sender.objects.get(),
        at_night=True,
    )


@pytest.fixture
def limited(shop):
    """A send under way that met a limit, and a provider that was in trouble."""
    now, by = timezone.now(), User.objects.get()
    campaign = spring_letter()
    limits.set_limit("outbox", window="hour", most=120, at=now, by=by)
    limits.set_limit("outbox", window="hour", most=25, mailboxes="gmail", at=now, by=by)
    limits.set_limit(
        "outbox",
        window="day",
        most=500,
        grows_percent=50,
        ceiling=20_000,
        at=now,
        by=by,
    )
    FrequencyCap.objects.create(most=3, days=7)
    send = launch_send(schedule_send(campaign, scheduled_at=now, at=now), at=now)
    materialise(send, at=now)
    lane = Lane("bulk", channel_for("outbox"), "the walk")
    while deliver_next_batch(lane, now=timezone.now()):
        pass
    heartbeat("the walk", "run_engine", at=timezone.now(), since=now)
    return send


def test_limits_and_breaker_fit_every_screen_and_say_what_binds(
    open_page, limited, screen
):
    watched = open_page(*screen)
    name = screen[2] if screen[2] == "dark" else str(screen[0])
    watched.go(f"/admin/campaigns/send/{limited.pk}/")
    assert "at most 120 an hour" in watched.page.content()
    watched.picture(f"limited_{name}")
    watched.go("/admin/campaigns/provider/")
    assert "At most 25 an hour to Gmail" in watched.page.content()
    watched.picture(f"limits_{name}")
    Breaker.objects.filter(provider=settings.PROVIDER, lane="bulk").update(
        state="open",
        reason="the provider answered 502",
        opened_at=timezone.now(),
        until=timezone.now() + timedelta(minutes=4),
    )
    watched.go("/admin/campaigns/provider/")
    assert "one mail asks whether it does again" in watched.page.content()
    watched.picture(f"breaker_{name}")
    wide = watched.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= screen[0]
    watched.page.get_by_role("button", name="Let mail leave").click()
    watched.page.wait_for_load_state("load")
    assert Breaker.objects.get(lane="bulk").state == "closed"
    assert watched.complaints == []


class HangsUp:
    """A mail server that is gone after the content of some mails, without an answer."""

    left_after = ("person3@", "person8@", "person9@")

    async def handle_DATA(self, server, session, envelope):
        [to] = envelope.rcpt_tos
        if to.startswith(self.left_after):
            server.transport.close()
        return "250 taken"


@pytest.fixture
def doubtful(shop, settings):
    """A send of which three mails were handed over and never answered for."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings.PROVIDER, settings.SMTP_URL = "smtp", f"smtp://127.0.0.1:{port}"
    now, by = timezone.now(), User.objects.get()
    campaign = spring_letter()
    server = Controller(HangsUp(), hostname="127.0.0.1", port=port)
    server.start()
    send = launch_send(schedule_send(campaign, scheduled_at=now, at=now), at=now)
    materialise(send, at=now)
    lane = Lane("bulk", channel_for("smtp"), "the walk")
    for _ in HangsUp.left_after:
        while deliver_next_batch(lane, now=timezone.now()):
            pass
        close_breaker(Way("smtp", "bulk"), at=timezone.now(), by=by)
        Batch.objects.filter(state="waiting").update(not_before=now)  # no half minute
    lane.channel.close()
    server.stop()
    heartbeat("the walk", "run_engine", at=timezone.now(), since=now)
    return send


def test_mail_in_doubt_waits_for_a_person_who_settles_it(open_page, doubtful, screen):
    watched = open_page(*screen)
    name = screen[2] if screen[2] == "dark" else str(screen[0])
    watched.go(f"/admin/campaigns/send/{doubtful.pk}/")
    watched.picture(f"in_doubt_{name}")
    wide = watched.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= screen[0]
    assert doubtful.messages.filter(state="in_doubt").count() == 3
    watched.page.get_by_role("button", name="It was sent").first.click()
    watched.page.wait_for_load_state("load")
    assert doubtful.messages.filter(state="in_doubt").count() == 2
    watched.page.get_by_text("Send again …").first.click()
    assert "gets it twice" in watched.page.content()
    assert watched.complaints == []
