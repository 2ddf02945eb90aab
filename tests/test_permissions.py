"""Who may log in may not yet do everything."""

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from campaigns.models import Campaign, Send
from campaigns.services import starter_template


@pytest.fixture
def campaign(sender):
    template = starter_template("announcement")
    return Campaign.objects.create(name="Spring", template=template, sender=sender)


@pytest.fixture
def staff(client, db):
    user = User.objects.create_user("trainee", password="x", is_staff=True)
    client.force_login(user)
    return user


def pages(campaign):
    template = campaign.template_id
    return [
        reverse("admin:campaigns_campaign_add"),
        reverse("admin:campaigns_campaign_change", args=[campaign.pk]),
        reverse("admin:campaigns_emailtemplate_add"),
        reverse("admin:campaigns_emailtemplate_change", args=[template]),
        reverse("campaigns:words", args=[template, "neutral"]),
        reverse("campaigns:layout", args=[template]),
        reverse("campaigns:outbox"),
        reverse("segmentation:segments"),
        reverse("segmentation:segment", args=["anxious"]),
        reverse("segmentation:runs"),
        reverse("segmentation:changes"),
        reverse("segmentation:drift"),
        reverse("segmentation:diagnostics"),
        reverse("segmentation:map"),
        reverse("segmentation:changes_csv"),
        reverse("segmentation:profiles_csv"),
        reverse("segmentation:segment_changes", args=["anxious"]),
        reverse("segmentation:model"),
        reverse("segmentation:words"),
        reverse("segmentation:to_read"),
        reverse("segmentation:rules"),
        reverse("segmentation:pins"),
        reverse("segmentation:groups"),
        reverse("segmentation:new_rule"),
        reverse("segmentation:corrections"),
        reverse("engagement_admin:reports"),
        reverse("engagement_admin:doctor"),
        reverse("campaigns:timeline"),
        reverse("campaigns:calendar"),
    ]


def test_without_a_permission_no_page_opens_and_nothing_is_sent(
    client, staff, campaign
):
    answers = {path: client.get(path).status_code for path in pages(campaign)}
    assert set(answers.values()) == {403}
    schedule = reverse("campaigns:schedule", args=[campaign.pk])
    assert client.post(schedule, {}).status_code == 403
    assert not Send.objects.exists()


def test_who_may_view_may_not_change(client, staff, campaign):
    for name in ("view_campaign", "view_emailtemplate"):
        staff.user_permissions.add(Permission.objects.get(codename=name))
    page = reverse("admin:campaigns_campaign_change", args=[campaign.pk])
    assert client.get(page).status_code == 200
    assert client.get(f"{page}?edit=1").status_code == 403
    schedule = reverse("campaigns:schedule", args=[campaign.pk])
    assert client.post(schedule, {}).status_code == 403


def test_the_owner_opens_every_page(admin_client, campaign):
    for path in pages(campaign):
        # Nobody has been sorted yet: there is no page of a segment so far.
        expected = 404 if path.endswith("/anxious/") else 200
        assert admin_client.get(path).status_code == expected, path
