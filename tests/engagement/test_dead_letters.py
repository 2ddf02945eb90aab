from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse

from engagement import inbox, services
from engagement.inbox import KEPT_FOR
from engagement.models import (
    DeadLetter,
    TrackingEvent,
    WebhookCall,
)

pytestmark = pytest.mark.django_db


def test_one_malformed_event_costs_none_of_the_others(post, sendgrid):
    events = [sendgrid(1), {"event": "bounce", "timestamp": "soon"}, sendgrid(3)]
    events.insert(2, "not even an object")
    assert post("sendgrid", events).status_code == 200
    assert TrackingEvent.objects.count() == 2
    first, second = DeadLetter.objects.order_by("place")
    assert (first.place, second.place) == (1, 2)
    assert "soon" in first.said
    assert first.problem.startswith("TypeError:")
    assert WebhookCall.objects.get().done_at is not None


def test_of_five_hundred_events_one_malformed_one_is_a_letter(post, sendgrid):
    events = [sendgrid(number) for number in range(499)]
    events.insert(250, {"event": "bounce", "timestamp": "soon"})
    assert post("sendgrid", events).status_code == 200
    inbox.take_in_open(at=datetime.now(UTC))
    assert TrackingEvent.objects.count() == 499
    assert DeadLetter.objects.get().place == 250
    assert WebhookCall.objects.get().done_at is not None


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1", b"\xff\xfe", b"null", b"7", b'{"a": [1], "b": [2]}']
)
def test_what_is_no_report_at_all_is_a_letter_and_no_error(post, body):
    assert post("sendgrid", body).status_code == 200
    letter = DeadLetter.objects.get()
    assert letter.place == inbox.WHOLE
    assert letter.problem
    assert not TrackingEvent.objects.exists()


def test_an_event_that_breaks_something_costs_none_of_the_others(
    post, monkeypatch, sendgrid
):
    store = services._store

    def breaks(events, messages):
        if any(event.recipient == "p2@example.com" for event in events):
            raise ValueError("nobody foresaw this")
        return store(events, messages)

    monkeypatch.setattr(services, "_store", breaks)
    post("sendgrid", [sendgrid(number) for number in range(5)])
    assert TrackingEvent.objects.count() == 4
    letter = DeadLetter.objects.get()
    assert letter.place == 2
    assert "nobody foresaw this" in letter.problem


def test_a_letter_is_taken_in_once_more_when_a_person_says_so(
    post, monkeypatch, at, sendgrid
):
    with monkeypatch.context() as broken:
        broken.setattr(services, "_store", lambda *_: 1 / 0)
        post("sendgrid", [sendgrid(1), sendgrid(2)])
    assert not TrackingEvent.objects.exists()
    one, two = DeadLetter.objects.all()
    inbox.try_again(one, at=at)
    inbox.try_again(one, at=at)
    assert TrackingEvent.objects.count() == 1
    inbox.try_again(two, at=at)
    assert TrackingEvent.objects.count() == 2
    assert not DeadLetter.objects.exists()


def test_letters_have_a_page_with_a_way_back_and_a_line_on_home(
    admin_client, post, monkeypatch, sendgrid
):
    with monkeypatch.context() as broken:
        broken.setattr(services, "_store", lambda *_: 1 / 0)
        post("sendgrid", [sendgrid(1)])
    post("sendgrid", b"{")
    home = admin_client.get(reverse("admin:index")).content.decode()
    assert "2 reports of the provider not understood" in home
    listing = reverse("admin:engagement_deadletter_changelist")
    assert "ZeroDivisionError" in admin_client.get(listing).content.decode()
    letters = list(DeadLetter.objects.values_list("pk", flat=True))
    page = admin_client.get(
        reverse("admin:engagement_deadletter_change", args=letters[:1])
    )
    assert page.status_code == 200
    admin_client.post(
        listing, {"action": "try_again", "_selected_action": letters}, follow=True
    )
    assert TrackingEvent.objects.count() == 1
    assert DeadLetter.objects.get().place == inbox.WHOLE


def test_a_letter_is_forgotten_when_a_person_says_so(admin_client, post):
    post("sendgrid", b"{")
    listing = reverse("admin:engagement_deadletter_changelist")
    chosen = list(DeadLetter.objects.values_list("pk", flat=True))
    admin_client.post(listing, {"action": "dismiss", "_selected_action": chosen})
    assert not DeadLetter.objects.exists()
    now = datetime.now(UTC)
    assert inbox.forget_old_calls(at=now + KEPT_FOR + timedelta(days=1)) == 1


def test_a_provider_that_is_in_use_no_more_holds_up_nobody(post, monkeypatch, sendgrid):
    now = datetime.now(UTC)
    old = WebhookCall.objects.create(
        provider="mailersend",
        body=b"{}",
        sha256="x",
        received_at=now - timedelta(hours=1),
        not_before=now - timedelta(hours=1),
    )
    monkeypatch.setattr(inbox, "begin", lambda *_, **__: None)
    post("sendgrid", [sendgrid(1)])
    assert inbox.take_in_open(at=datetime.now(UTC)) == 2
    assert TrackingEvent.objects.count() == 1
    letter = DeadLetter.objects.get(call=old, place=inbox.WHOLE)
    assert "mailersend" in letter.problem.lower()
    monkeypatch.undo()
    inbox.try_again(letter, at=now)
    assert DeadLetter.objects.get().call == old
