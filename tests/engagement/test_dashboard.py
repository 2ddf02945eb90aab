from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import Count
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from campaigns import under_way
from campaigns.models import Message
from engagement.dashboard import messages_in_doubt

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("by_index")]


def test_messages_in_doubt_are_found_by_an_index_of_their_own(send):
    counting = messages_in_doubt().values("state").annotate(n=Count("pk")).order_by()
    assert "messages_in_doubt" in counting.explain()


def test_home_tells_how_far_each_send_is(send, message_to, ada, bo, cy, admin_client):
    send.state = send.State.SENDING
    send.save()
    message_to(ada)
    message_to(bo, state="in_doubt")
    message_to(cy, state="waiting")
    shown = admin_client.get(reverse("admin:index")).content.decode()
    assert "1 of 3 accepted, 1 waiting, 1 in doubt" in shown
    assert "1 message in doubt" in shown
    assert reverse("campaigns:send", args=[send.pk]) in shown


def test_home_asks_as_much_of_more_sends_under_way(
    send, message_to, ada, at, admin_client, django_assert_num_queries
):
    send.state = send.State.SENDING
    send.save()
    message_to(ada)
    url = reverse("admin:index")
    admin_client.get(url)
    with CaptureQueriesContext(connection) as one_send:
        admin_client.get(url)
    for days in range(1, 4):
        send.pk, send.scheduled_at = None, at + timedelta(days=days)
        send.save(force_insert=True)
    with django_assert_num_queries(len(one_send)):
        admin_client.get(url)
    assert Message.objects.count() == 1


def test_home_says_of_when_a_large_send_was_counted(
    send, message_to, ada, at, admin_client, monkeypatch
):
    monkeypatch.setattr(under_way, "COUNTED_AT_ONCE", 0)
    send.state, send.audience_size = send.State.SENDING, 1
    send.save()
    message_to(ada)
    url = reverse("admin:index")
    assert "Not counted yet" in admin_client.get(url).content.decode()
    under_way.count_under_way(at=at)
    shown = admin_client.get(url).content.decode()
    assert "1 of 1 accepted, 0 waiting · counted 2 Mar" in shown
