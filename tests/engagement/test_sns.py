import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
import requests
from anymail.exceptions import AnymailWebhookValidationFailure
from anymail.webhooks.amazon_ses import AmazonSESBaseWebhookView
from cryptography.hazmat.primitives.asymmetric import rsa

from config import env
from engagement.models import WebhookCall

pytestmark = pytest.mark.django_db
DELIVERED = json.dumps(
    {
        "eventType": "Delivery",
        "mail": {"messageId": "1", "destination": ["ada@example.com"]},
        "delivery": {
            "timestamp": "2026-03-02T09:00:00.000Z",
            "recipients": ["ada@example.com"],
        },
    }
)


@pytest.fixture
def taken(post):
    """Is a call of Amazon's taken, or refused without a trace?"""

    def taken(said):
        headers = {
            "x-amz-sns-message-type": str(said.get("Type")),
            "x-amz-sns-message-id": str(said.get("MessageId")),
        }
        with suppress(AnymailWebhookValidationFailure):
            assert post("amazon_ses", said, **headers).status_code == 200
            return True
        assert not WebhookCall.objects.exists()
        return False

    return taken


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", [{}, {"Subject": "Amazon SES"}])
def test_what_amazon_signed_is_taken(amazon, taken, version, subject):
    assert taken(amazon({"Message": DELIVERED} | subject, version=version))
    assert WebhookCall.objects.count() == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"Message": DELIVERED.replace("ada", "bo")},
        {"Subject": "put in"},
        {"Timestamp": datetime.now(UTC).isoformat()},
        {"Signature": "AAAA"},
        {"Signature": "no base 64"},
        {"Signature": None},
        {"SignatureVersion": "3"},
        {"SignatureVersion": ["2"]},
        {"Message": {"a": 1}},
        {"Type": "Hello"},
    ],
)
def test_what_was_changed_under_its_signature_leaves_nothing(amazon, taken, changed):
    said = amazon({"Message": DELIVERED, "Timestamp": "2026-03-02T09:00:00Z"})
    with suppress(Exception):  # Anymail raises others before it is looked at
        assert not taken(said | changed)
    assert not WebhookCall.objects.exists()


def test_a_key_that_is_not_amazons_leaves_nothing(amazon, taken):
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert not taken(amazon({"Message": DELIVERED}, by=other))


@pytest.mark.parametrize(
    "address",
    [
        "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a1b2c.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0a1b2c.pem",
        "https://sns.eu-west-1.amazonaws.com.evil.example/SimpleNotificationService-0.pem",
        "https://evil.example/SimpleNotificationService-0a1b2c.pem",
        "https://a@sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a1b2c.pem",
        "https://sns.eu-west-1.amazonaws.com:444/SimpleNotificationService-0a1b2c.pem",
        "https://sns.eu-west-1.amazonaws.com/bucket/mine.pem",
        "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a1b2c.pem?x=1",
        "file:///etc/passwd",
        "https://[sns",
    ],
)
def test_a_certificate_is_asked_of_amazons_own_hosts_only(amazon, taken, address):
    assert not taken(amazon({"SigningCertURL": address}))
    assert len(amazon.web.calls) == 0


def test_a_topic_that_is_not_ours_is_not_believed_whoever_signed_it(amazon, taken):
    theirs = "arn:aws:sns:eu-west-1:210987654321:mail"
    assert not taken(amazon({"TopicArn": theirs}))
    assert len(amazon.web.calls) == 0


@pytest.mark.parametrize(
    ("age", "believed"),
    [
        (timedelta(hours=71), True),
        (timedelta(hours=73), False),
        (timedelta(minutes=-20), False),
    ],
)
def test_what_was_signed_long_ago_is_a_replay(amazon, taken, age, believed):
    said = {"Timestamp": (datetime.now(UTC) - age).isoformat(), "Message": DELIVERED}
    assert taken(amazon(said)) is believed


def test_a_certificate_is_fetched_once(amazon, taken):
    for number in range(3):
        assert taken(amazon({"Message": DELIVERED, "MessageId": str(number)}))
    assert len(amazon.web.calls) == 1


def test_a_certificate_that_cannot_be_had_has_amazon_ask_again(amazon, taken):
    amazon.web.replace("GET", amazon.certificate, status=503)
    for _ in range(2):
        with pytest.raises(requests.HTTPError):
            taken(amazon({"Message": DELIVERED}))
    amazon.web.replace("GET", amazon.certificate, body="no certificate")
    assert not taken(amazon({"Message": DELIVERED}))


def test_only_a_listed_topic_is_subscribed_to(amazon, taken, monkeypatch, settings):
    confirmed = []

    class Sns:
        def confirm_subscription(self, **named):
            confirmed.append(named["TopicArn"])

        def close(self):
            pass

    monkeypatch.setattr(
        AmazonSESBaseWebhookView, "get_boto_client", lambda *_, **__: Sns()
    )
    said = {"Type": "SubscriptionConfirmation", "Token": "t"}
    said |= {"SubscribeURL": "https://sns.eu-west-1.amazonaws.com/"}
    assert taken(amazon(said))
    assert confirmed == settings.SES_TOPICS
    assert not taken(amazon(said | {"TopicArn": settings.SES_TOPICS[0] + "2"}))
    assert len(confirmed) == 1


def test_a_topic_that_is_none_stops_the_start(monkeypatch):
    monkeypatch.setenv("ATTUNE_X", "arn:aws:sns:eu-west-1:123456789012:a, mail")
    with pytest.raises(env.ImproperlyConfigured, match="ATTUNE_X needs topics such as"):
        env.topics("ATTUNE_X")
