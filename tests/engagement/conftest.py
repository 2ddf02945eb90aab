"""A sent message to Ada, without a sending engine: engagement starts where it left."""

import base64
import importlib.util
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import responses
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from django.conf import settings as django_settings
from django.core.cache import cache
from django.test import RequestFactory

from campaigns.models import Campaign, Message, Send, SendVariant
from campaigns.services import compile_template, starter_template
from customers.addresses import address_wire
from engagement import sns
from engagement.webhooks import provider_webhooks

TOPIC = "arn:aws:sns:eu-west-1:123456789012:mail"
CERTIFICATE = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a1b2c.pem"


@pytest.fixture(scope="session")
def mails():
    """Mails that come back, loaded by path: tests are not a package."""
    path = Path(__file__).with_name("mails.py")
    spec = importlib.util.spec_from_file_location("engagement_mails", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def _opens_are_stored_at_once(settings):
    settings.OPENS_FLUSH_MS = 0


@pytest.fixture
def send(sender, at):
    template = starter_template("announcement")
    campaign = Campaign.objects.create(name="Spring", template=template, sender=sender)
    made = Send.objects.create(
        campaign=campaign,
        scheduled_at=at,
        started_at=at,
        state=Send.State.SENT,
        frozen={"sender": {"shop_name": sender.shop_name}},
        content_hash="spring",
    )
    for tone in ("neutral", "grateful"):
        SendVariant.objects.create(
            send=made,
            tone=tone,
            compiled=compile_template(template, tone, sender=sender).to_json(),
        )
    return made


@pytest.fixture
def message_to(send, at):
    def make(customer, *, state="accepted", segment="trusting", tone="grateful"):
        return Message.objects.create(
            send=send,
            customer=customer,
            state=state,
            address_wire=address_wire(customer.email),
            segment_key=segment,
            tone=tone,
            arm="neutral" if tone == "neutral" else "fitting",
            handed_over_at=at - timedelta(hours=1),
        )

    return make


@pytest.fixture
def message(message_to, ada):
    return message_to(ada)


@pytest.fixture
def post(at):
    """What a provider posts, by who knows the password, to an address of its own."""

    def send(provider, said, *, content_type="application/json", login=None, **more):
        (address,) = provider_webhooks(provider)
        login = login or f"attune:{django_settings.WEBHOOK_SECRET}"
        body = said if isinstance(said, (bytes, str)) else json.dumps(said)
        request = RequestFactory().generic(
            "POST",
            f"/anymail/{provider}/tracking/",
            body,
            content_type=content_type,
            headers={
                "Authorization": f"Basic {base64.b64encode(login.encode()).decode()}",
                **more,
            },
        )
        return address.callback(request)

    return send


@pytest.fixture
def sendgrid():
    """One event as SendGrid reports it; several make a call."""

    def sendgrid(number, event="delivered", **more):
        return {
            "event": event,
            "email": f"p{number}@example.com",
            "sg_message_id": f"m{number}",
            "smtp-id": f"<m{number}>",
            "sg_event_id": f"e{number}{event}",
            "timestamp": 1461095246 + number,
        } | more

    return sendgrid


@pytest.fixture(scope="session")
def key_and_certificate():
    """Made here; of Amazon's the private half is nobody's."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2010, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2040, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    return key, certificate.public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def amazon(key_and_certificate, settings):
    """Signs as SNS does; its certificate lies where Amazon keeps such."""
    key, certificate = key_and_certificate
    settings.SES_TOPICS = [TOPIC]
    cache.clear()

    def sign(said, *, version="2", by=key):
        said = {
            "Type": "Notification",
            "MessageId": "m",
            "Message": "{}",
            "TopicArn": TOPIC,
            "Timestamp": datetime.now(UTC).isoformat(),
            "SigningCertURL": CERTIFICATE,
        } | said
        said["SignatureVersion"] = version
        kind = {"1": hashes.SHA1, "2": hashes.SHA256}[version]()
        made = by.sign(sns.text_to_sign(said), padding.PKCS1v15(), kind)
        return said | {"Signature": base64.b64encode(made).decode()}

    with responses.RequestsMock(assert_all_requests_are_fired=False) as web:
        web.get(CERTIFICATE, body=certificate)
        sign.web, sign.certificate = web, CERTIFICATE
        yield sign
