"""Providers that sign with a key of their own: only what it signed is believed."""

import base64
import json
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from anymail.exceptions import AnymailWebhookValidationFailure
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from engagement.models import TrackingEvent, WebhookCall

pytestmark = pytest.mark.django_db
SENDGRID = "X-Twilio-Email-Event-Webhook-"


def public_of(key):
    """The lines between the marks of a PEM file, as a setting holds them."""
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return "".join(pem.decode().splitlines()[1:-1])


class Postal:
    said = json.dumps({"event": "MessageDelayed", "payload": {}})

    def __init__(self):
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.options = {"POSTAL_WEBHOOK_KEY": public_of(self.key)}

    def headers(self, body):
        # Postal signs with SHA-1; there is no other way to speak as it does.
        signature = self.key.sign(body.encode(), padding.PKCS1v15(), hashes.SHA1())  # noqa: S303
        return {"X-Postal-Signature": base64.b64encode(signature).decode()}


class Sendgrid:
    said = json.dumps([{"event": "delivered", "email": "p1@example.com"}])

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.options = {
            "SENDGRID_TRACKING_WEBHOOK_VERIFICATION_KEY": public_of(self.key)
        }

    def headers(self, body):
        when = str(int(datetime.now(UTC).timestamp()))
        signature = self.key.sign((when + body).encode(), ec.ECDSA(hashes.SHA256()))
        return {
            f"{SENDGRID}Signature": base64.b64encode(signature).decode(),
            f"{SENDGRID}Timestamp": when,
        }


@pytest.fixture(params=[Postal, Sendgrid])
def signer(request, settings):
    found = request.param()
    settings.ANYMAIL = settings.ANYMAIL | found.options
    return found


def believed(post, signer, body, headers):
    """Whether a call is answered well; else it has left nothing."""
    with suppress(AnymailWebhookValidationFailure):
        return post(type(signer).__name__.lower(), body, **headers).status_code == 200
    assert not WebhookCall.objects.exists()
    assert not TrackingEvent.objects.exists()
    return False


def test_what_the_key_signed_is_believed(post, signer):
    assert believed(post, signer, signer.said, signer.headers(signer.said))
    assert WebhookCall.objects.count() == 1


def test_a_body_that_was_changed_afterwards_is_not(post, signer):
    assert not believed(post, signer, signer.said + " ", signer.headers(signer.said))


def test_what_another_key_signed_is_not(post, signer):
    other = type(signer)()
    assert not believed(post, signer, signer.said, other.headers(signer.said))


@pytest.mark.parametrize("forged", ["", "AAAA", "no base64 at all!"])
def test_what_nobody_signed_is_not(post, signer, forged):
    assert not believed(post, signer, signer.said, {})
    headers = dict.fromkeys(signer.headers(signer.said), forged)
    if isinstance(signer, Sendgrid):
        headers[f"{SENDGRID}Timestamp"] = str(int(datetime.now(UTC).timestamp()))
    assert not believed(post, signer, signer.said, headers)
