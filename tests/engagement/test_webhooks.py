import base64
import hmac
import json
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import ModuleType
from urllib.parse import urlencode

import pytest
from anymail.exceptions import AnymailWebhookValidationFailure
from anymail.webhooks import amazon_ses
from django.conf import settings
from django.test import override_settings
from django.urls import include, path

from customers.models import Suppression
from engagement import inbox
from engagement.models import TrackingEvent, WebhookCall
from engagement.webhooks import provider_webhooks, webhooks_of

pytestmark = pytest.mark.django_db
FORM = "application/x-www-form-urlencoded"


KEYS = {
    "MAILGUN_WEBHOOK_SIGNING_KEY": "a key",
    "MAILERSEND_SIGNING_SECRET": "a secret",
    "MAILTRAP_TRACKING_SECRET": "a secret",
    "MANDRILL_WEBHOOK_KEY": "a key",
    "POSTAL_WEBHOOK_KEY": "a key",
    "UNISENDER_GO_API_KEY": "a key",
}
SNS = {"x-amz-sns-message-type": "Notification", "x-amz-sns-message-id": "m"}
# Who sign what they post, and where; the others have the password alone.
SIGNED = {
    "mailersend": "Signature",
    "mailtrap": "Mailtrap-Signature",
    "mandrill": "X-Mandrill-Signature",
}


@pytest.fixture
def _with_keys(settings):
    settings.ANYMAIL = settings.ANYMAIL | KEYS


def refused(post, provider, said, **more):
    """Whether a call is turned away and leaves nothing."""
    with suppress(AnymailWebhookValidationFailure):
        if post(provider, said, **more).status_code != 401:
            return False
    return not WebhookCall.objects.exists() and not TrackingEvent.objects.exists()


@pytest.mark.usefixtures("_with_keys")
@pytest.mark.parametrize("provider", sorted(set(inbox.tracking_views()) - {"postal"}))
@pytest.mark.parametrize("login", ["attune:guess", ":", "attune"])
def test_who_does_not_know_the_password_leaves_nothing(post, provider, login):
    said = {"Type": "Notification", "MessageId": "m", "event": "spam"}
    assert refused(post, provider, said, login=login, **SNS)


@pytest.mark.usefixtures("_with_keys")
@pytest.mark.parametrize("provider", SIGNED)
def test_the_password_does_not_stand_in_for_a_signature(post, provider):
    for forged in ({}, {SIGNED[provider]: ""}, {SIGNED[provider]: "0" * 64}):
        assert refused(post, provider, {"events": []}, **forged)


@pytest.mark.usefixtures("_with_keys")
def test_a_body_that_was_changed_under_its_signature_leaves_nothing(post):
    said = json.dumps({"type": "activity.spam_complaint", "data": {"type": "sent"}})
    signature = hmac.new(b"a secret", said.encode(), "sha256").hexdigest()
    changed = said.replace('"sent"', '"spam_complaint"')
    assert refused(post, "mailersend", changed, Signature=signature)
    assert post("mailersend", said, Signature=signature).status_code == 200


@pytest.mark.usefixtures("_with_keys")
def test_a_notification_of_amazon_whose_header_does_not_fit_leaves_nothing(post):
    said = {"Type": "Notification", "MessageId": "another"}
    assert refused(post, "amazon_ses", said, **SNS)


@pytest.mark.usefixtures("_with_keys")
@pytest.mark.parametrize("auth", ["", "0" * 32, None])
def test_a_call_of_unisender_that_is_signed_by_nobody_leaves_nothing(post, auth):
    assert refused(post, "unisender_go", {"auth": auth, "events_by_user": []})


@pytest.mark.usefixtures("_with_keys")
@pytest.mark.parametrize(
    "body", ["[]", "7", "null", "", "[" * 100_000, '{"signature": [], "auth": 5}']
)
@pytest.mark.parametrize("provider", ["amazon_ses", "mailgun", "unisender_go"])
def test_a_body_that_no_provider_posts_is_refused_and_is_no_error(post, provider, body):
    headers = SNS | {"x-amz-sns-message-type": "Gossip"}
    with pytest.raises(AnymailWebhookValidationFailure):
        post(provider, body, **headers)
    assert not WebhookCall.objects.exists()


def mailgun(*, age=timedelta(0), event="delivered"):
    signed_at = str(int((datetime.now(UTC) - age).timestamp()))
    signature = hmac.new(b"a key", f"{signed_at}t1".encode(), "sha256").hexdigest()
    block = {"timestamp": signed_at, "token": "t1", "signature": signature}
    data = {"event": event, "recipient": "p1@example.com", "timestamp": 1700000000.5}
    return {"signature": block, "event-data": data | {"id": "e1"}}


@pytest.mark.usefixtures("_with_keys")
@pytest.mark.parametrize(
    ("age", "answered"),
    [
        (timedelta(days=3, minutes=5), False),
        (timedelta(days=2, hours=23), True),
        (timedelta(minutes=-10), True),
        (timedelta(minutes=-20), False),
    ],
)
def test_what_was_signed_long_ago_or_in_days_to_come_leaves_nothing(
    post, age, answered
):
    assert refused(post, "mailgun", mailgun(age=age)) is not answered
    form = urlencode(mailgun(age=age)["signature"])
    WebhookCall.objects.all().delete()
    assert refused(post, "mailgun", form, content_type=FORM) is not answered


@pytest.mark.parametrize(
    ("provider", "header"),
    [
        ("sendgrid", "X-Twilio-Email-Event-Webhook-Timestamp"),
        ("resend", "svix-timestamp"),
    ],
)
@pytest.mark.parametrize("when", ["1461095246", "9999999999999", "soon", "1e9"])
def test_a_signature_of_an_old_or_impossible_time_leaves_nothing(
    post, sendgrid, provider, header, when
):
    assert refused(post, provider, [sendgrid(1)], **{header: when})


@pytest.mark.usefixtures("_with_keys")
def test_another_body_under_a_token_of_mailgun_that_was_used_leaves_nothing(post):
    said = mailgun()
    assert post("mailgun", said).status_code == 200
    swapped = mailgun(event="complained") | {"signature": said["signature"]}
    with pytest.raises(AnymailWebhookValidationFailure):
        post("mailgun", swapped)
    # What Mailgun itself posts again is what it was.
    assert post("mailgun", said).status_code == 200
    assert [one.event_type for one in TrackingEvent.objects.all()] == ["delivered"]
    assert WebhookCall.objects.count() == 1
    assert not Suppression.objects.exists()


@pytest.fixture
def resend(settings):
    """What Resend posts, signed as its manual says: a body, and its headers."""
    pytest.importorskip("svix", reason="needs the extra `resend`")
    key = b"a key of thirty-two bytes, or so"
    settings.ANYMAIL = settings.ANYMAIL | {
        "RESEND_SIGNING_SECRET": f"whsec_{base64.b64encode(key).decode()}"
    }

    def resend(*, age=timedelta(0)):
        data = {"email_id": "r1", "to": ["p1@example.com"], "tags": {}}
        moment = datetime.now(UTC) - age
        body = json.dumps(
            {
                "type": "email.complained",
                "created_at": moment.isoformat(),
                "data": data,
            }
        )
        signed_at = str(int(moment.timestamp()))
        signed = hmac.new(key, f"msg_1.{signed_at}.{body}".encode(), "sha256").digest()
        return body, {
            "svix-id": "msg_1",
            "svix-timestamp": signed_at,
            "svix-signature": f"v1,{base64.b64encode(signed).decode()}",
        }

    return resend


def test_what_resend_has_signed_is_taken_and_heeded(post, resend):
    body, signed = resend()
    assert post("resend", body, **signed).status_code == 200
    assert [one.event_type for one in TrackingEvent.objects.all()] == ["complained"]
    assert Suppression.objects.get().address == "p1@example.com"


def test_what_resend_has_not_signed_leaves_nothing_whoever_knows_the_password(
    post, resend
):
    body, signed = resend()
    assert refused(post, "resend", body)
    assert refused(post, "resend", body.replace("p1@", "p2@"), **signed)
    assert refused(post, "resend", body, **{**signed, "svix-id": "msg_2"})
    other = signed["svix-signature"].replace("v1,", "v1,AA")
    assert refused(post, "resend", body, **{**signed, "svix-signature": other})


def test_what_resend_signed_long_ago_leaves_nothing(post, resend):
    for age in (timedelta(minutes=10), timedelta(minutes=-10)):
        body, signed = resend(age=age)
        assert refused(post, "resend", body, **signed)


def test_every_provider_of_anymail_has_an_address_of_its_own():
    for provider in inbox.tracking_views():
        (address,) = provider_webhooks(provider)
        assert provider in str(address.pattern)
    assert provider_webhooks("no such provider") == []


@pytest.mark.usefixtures("_with_keys")
def test_a_former_provider_is_still_heard(client, monkeypatch):
    urls = ModuleType("urls_of_a_shop_that_changed")
    urls.urlpatterns = [path("anymail/", include(webhooks_of(["brevo", "mailgun"])))]
    monkeypatch.setitem(sys.modules, urls.__name__, urls)
    login = base64.b64encode(f"attune:{settings.WEBHOOK_SECRET}".encode()).decode()

    def told(provider):
        return client.post(
            f"/anymail/{provider}/tracking/",
            json.dumps(mailgun(event="complained")),
            content_type="application/json",
            headers={"Authorization": f"Basic {login}"},
        ).status_code

    with override_settings(ROOT_URLCONF=urls.__name__):
        assert (told("mailgun"), told("postmark")) == (200, 404)
    assert Suppression.objects.get().address == "p1@example.com"
    assert len(webhooks_of(["mailgun", "mailgun"])) == 1


def test_a_subscription_that_could_not_be_confirmed_is_asked_for_again(
    post, amazon, monkeypatch
):
    def away(*_, **__):
        raise ConnectionError

    monkeypatch.setattr(amazon_ses.AmazonSESBaseWebhookView, "get_boto_client", away)
    kind = "SubscriptionConfirmation"
    said = amazon({"Type": kind, "SubscribeURL": "https://x.example", "Token": "t"})
    headers = {"x-amz-sns-message-type": kind, "x-amz-sns-message-id": "m"}
    for _ in range(2):
        with pytest.raises(ConnectionError):
            post("amazon_ses", said, **headers)
    assert not WebhookCall.objects.exists()


def test_a_signature_that_does_not_fit_leaves_nothing(post, settings):
    settings.ANYMAIL = settings.ANYMAIL | {"MAILGUN_WEBHOOK_SIGNING_KEY": "a key"}
    bad = {"token": "t", "timestamp": "1", "signature": "bad"}
    for body, kind in (
        (json.dumps({"signature": bad, "event-data": {}}), "application/json"),
        ("token=t&timestamp=1&signature=bad", FORM),
    ):
        with pytest.raises(AnymailWebhookValidationFailure):
            post("mailgun", body, content_type=kind)
    assert not WebhookCall.objects.exists()
