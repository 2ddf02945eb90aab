from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.urls import reverse
from django.utils import timezone

from campaigns.models import Breaker, ProviderNote, RateLimit

pytestmark = pytest.mark.django_db


def switch(client, action):
    return client.post(
        reverse("campaigns:switch_breaker", args=["bulk", action]), follow=True
    )


def test_the_page_says_that_mail_leaves_and_changes_nothing(admin_client):
    content = admin_client.get(reverse("campaigns:provider")).content.decode()
    assert "Mail leaves by outbox." in content
    assert not Breaker.objects.exists()


def test_a_person_stops_mail_and_lets_it_leave_with_their_name(admin_client):
    assert (
        "does not leave by outbox now" in switch(admin_client, "open").content.decode()
    )
    assert Breaker.objects.get().state == "open"
    assert "Mail leaves by outbox." in switch(admin_client, "close").content.decode()
    assert set(ProviderNote.objects.values_list("by__username", flat=True)) == {"admin"}


def test_an_open_breaker_says_why_since_when_and_when_it_asks(admin_client):
    Breaker.objects.create(
        provider=settings.PROVIDER,
        lane="bulk",
        state="open",
        reason="the provider answered 502",
        opened_at=timezone.now(),
        until=timezone.now() + timedelta(minutes=3),
    )
    content = admin_client.get(reverse("campaigns:provider")).content.decode()
    assert "the provider answered 502" in content
    assert "one mail asks whether it does again" in content


def test_the_seed_address_is_kept_for_all_lanes(admin_client):
    admin_client.post(reverse("campaigns:seed"), {"seed_address": "me@shop.example"})
    assert set(Breaker.objects.values_list("lane", "seed_address")) == {
        ("bulk", "me@shop.example"),
        ("transactional", "me@shop.example"),
    }
    again = admin_client.post(reverse("campaigns:seed"), {"seed_address": "no address"})
    assert "valid email address" in again.content.decode()


def test_a_limit_is_set_changed_shown_and_removed_with_who_did(admin_client, campaign):
    form = {"most": "1000", "window": "hour", "mailboxes": "gmail", "campaign": ""}
    admin_client.post(reverse("campaigns:set_limit"), form)
    admin_client.post(reverse("campaigns:set_limit"), {**form, "most": "800"})
    content = admin_client.get(reverse("campaigns:provider")).content.decode()
    assert "At most 800 an hour to Gmail" in content
    assert "800 left" in content
    limit = RateLimit.objects.get()
    admin_client.post(reverse("campaigns:remove_limit", args=[limit.pk]))
    assert not RateLimit.objects.exists()
    said = list(ProviderNote.objects.order_by("pk").values_list("sentence", flat=True))
    assert said == [
        "admin set: at most 1,000 an hour to Gmail.",
        "admin set: at most 800 an hour to Gmail.",
        "admin removed: at most 800 an hour to Gmail.",
    ]


def test_a_warm_up_goes_by_the_day(admin_client):
    form = {"most": "500", "window": "hour", "grows_percent": "50", "ceiling": "9000"}
    refused = admin_client.post(reverse("campaigns:set_limit"), form)
    assert "Only what is allowed a day grows by day" in refused.content.decode()
    admin_client.post(reverse("campaigns:set_limit"), {**form, "window": "day"})
    content = admin_client.get(reverse("campaigns:provider")).content.decode()
    assert "At most 500 a day, as it warms up" in content


def test_who_may_only_look_sees_no_switch_and_can_not_use_it(client):
    viewer = User.objects.create_user("vera", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_breaker"))
    client.force_login(viewer)
    content = client.get(reverse("campaigns:provider")).content.decode()
    assert "Breaker" in content
    assert "Let mail leave" not in content
    assert switch(client, "open").status_code == 403
    assert not Breaker.objects.exists()
