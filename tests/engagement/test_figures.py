from datetime import timedelta

import pytest
from django.urls import reverse

from campaigns.models import Send
from engagement import figures
from engagement.figures import count_send, count_what_moved, report_for_page
from engagement.models import SendFigures
from engagement.reporting import as_json, report
from engagement.services import Event, record_event

pytestmark = pytest.mark.django_db

LATER = timedelta(minutes=2)


@pytest.fixture
def large(send, message_to, ada, bo, cy, at, monkeypatch):
    """Three messages, where a page counts two: delivered, in doubt, left out."""
    monkeypatch.setattr(figures, "COUNTED_AT_ONCE", 2)
    send.audience_size, send.finished_at = 3, at
    send.save()
    message_to(bo, segment="anxious", tone="neutral", state="in_doubt")
    message_to(cy, state="left_out")
    return message_to(ada)


def click(message, at):
    event = Event("clicked", at, "attune", public_id=message.public_id, verdict="human")
    record_event(event, at=at)


def clicks(send):
    return report_for_page(send).total.counts["clicked"]


def test_a_small_send_is_counted_as_it_is(send, message_to, ada, at):
    message = message_to(ada)
    send.audience_size = 1
    assert clicks(send) == 0
    click(message, at)
    assert clicks(send) == 1
    assert report_for_page(send).counted_at is None
    assert count_what_moved(at=at) == 0


def test_what_is_kept_is_what_is_counted(large, send, at):
    click(large, at)
    count_send(send, at=at)
    kept = report_for_page(send)
    assert as_json(kept) == as_json(report(send))
    assert kept.counted_at == at


def test_a_large_send_that_nobody_has_counted_has_no_report(large, send, at):
    assert report_for_page(send) is None
    assert count_what_moved(at=at) == 1
    assert report_for_page(send).total.customers == 3


def test_a_late_click_is_counted_once_it_may_be(large, send, at):
    count_send(send, at=at + LATER)
    click(large, at + LATER)
    assert count_what_moved(at=at + LATER + timedelta(seconds=59)) == 0
    assert clicks(send) == 0
    assert count_what_moved(at=at + 2 * LATER) == 1
    assert clicks(send) == 1


def test_a_finished_send_of_which_nothing_is_new_is_left_alone(large, send, at):
    count_send(send, at=at + LATER)
    assert count_what_moved(at=at + timedelta(days=3)) == 0


def test_a_send_under_way_is_counted_again_and_again(large, send, at):
    send.state, send.finished_at = send.State.SENDING, None
    send.save()
    count_send(send, at=at)
    assert count_what_moved(at=at + LATER) == 1


def test_a_doubt_that_was_settled_is_news(large, send, at):
    count_send(send, at=at + LATER)
    send.messages.filter(state="in_doubt").update(state="accepted", settled_at=at)
    assert count_what_moved(at=at + 2 * LATER) == 1
    assert report_for_page(send).total.in_doubt == 0


def test_counting_takes_a_twentieth_of_the_time_at_most(large, send, at):
    count_send(send, at=at + LATER)
    SendFigures.objects.update(took_seconds=30.0)
    click(large, at + LATER)
    assert count_what_moved(at=at + LATER + timedelta(minutes=9)) == 0
    assert count_what_moved(at=at + LATER + timedelta(minutes=10)) == 1


def test_a_send_of_long_ago_waits_to_be_asked_for(large, send, at):
    assert count_what_moved(at=at + timedelta(days=61)) == 0


def test_pages_say_of_when_the_figures_are(large, send, at, admin_client):
    page = reverse("engagement_admin:report", args=[send.pk])
    listed = reverse("engagement_admin:reports")
    for url in (page, listed, reverse("admin:index")):
        assert "ot counted yet" in admin_client.get(url).content.decode().replace(
            "has not been counted yet", "not counted yet"
        )
    admin_client.post(reverse("engagement_admin:count", args=[send.pk]))
    for url in (page, listed, reverse("admin:index")):
        assert "ounted " in admin_client.get(url).content.decode()
    assert "What came back since is not in it yet" in (
        admin_client.get(page).content.decode()
    )


def test_looking_at_a_report_counts_nothing(large, send, admin_client):
    admin_client.get(reverse("engagement_admin:report", args=[send.pk]))
    assert not SendFigures.objects.exists()


def test_a_large_send_that_stands_open_is_counted_however_long_ago_it_began(
    large, send, at
):
    long_ago = at - figures.FOLLOWED_FOR - timedelta(days=1)
    Send.objects.update(scheduled_at=long_ago)
    assert count_what_moved(at=at) == 0
    Send.objects.update(standing=Send.Standing.OPEN, state="sending", finished_at=None)
    assert count_what_moved(at=at) == 1
