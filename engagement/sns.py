"""Is it Amazon who calls? What SNS posts is signed; Anymail looks at the password only.

The signature covers what counts of the body, the topic among it, under a certificate
that the body names. Only Amazon's own hosts of that region are asked for it, once each.
Source: Amazon SNS developer guide, "Verifying the signatures of Amazon SNS messages".
"""

import json
import re
from base64 import b64decode
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import requests
from django.core.cache import cache

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_CONFIRMATION: Final = (
    "Message",
    "MessageId",
    "SubscribeURL",
    "Timestamp",
    "Token",
    "TopicArn",
    "Type",
)
# What is signed, in this order; a subject only where there is one.
SIGNED: Final = {
    "Notification": (
        "Message",
        "MessageId",
        "Subject",
        "Timestamp",
        "TopicArn",
        "Type",
    ),
    "SubscriptionConfirmation": _CONFIRMATION,
    "UnsubscribeConfirmation": _CONFIRMATION,
}
OPTIONAL: Final = {"Subject"}
HASHES: Final = {"1": "SHA1", "2": "SHA256"}
_TOPIC: Final = re.compile(r"arn:aws(?P<part>|-cn|-us-gov):sns:(?P<region>[a-z0-9-]+):")
_FILE: Final = re.compile(r"/SimpleNotificationService-[0-9A-Za-z]{1,64}\.pem")
CERTIFICATE_BYTES: Final = 16 * 1024
ANSWER_SECONDS: Final = 5.0
KEPT_SECONDS: Final = 24 * 3600


class NotFromAmazon(ValueError):
    """A call that nobody at Amazon signed, of a topic that is not ours, or too old."""


def check(
    body: bytes, *, topics: list[str], at: datetime, within: timedelta, ahead: timedelta
) -> None:
    """Raise NotFromAmazon unless SNS signed this body, of one of these topics.

    within, ahead: how long ago, and how far in days to come, it may say it was signed.
    Raises requests.RequestException where the certificate can't be had: to be tried
    again, as nobody knows who called.
    """
    said = _said(body)
    topic = said["TopicArn"]
    if topic not in topics:
        raise NotFromAmazon(f"Topic {topic[:200]!r} is not in ATTUNE_SES_TOPICS.")
    hash_name = HASHES.get(str(said.get("SignatureVersion")))
    if hash_name is None:
        raise NotFromAmazon("Its signature is of no version known.")
    certificate = _certificate(_address(said))
    if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
        raise NotFromAmazon("The certificate that it was signed with has run out.")
    _verify(certificate, said, hash_name)
    # Nothing is known of the time before somebody has signed it.
    if not -ahead <= at - _signed_at(said) <= within:
        raise NotFromAmazon("It was signed too long ago, or in days to come.")


def _said(body: bytes) -> dict[str, Any]:
    try:
        said: dict[str, Any] = json.loads(body)
    except ValueError:
        raise NotFromAmazon("It is no JSON.") from None
    fields = SIGNED.get(str(said.get("Type"))) if isinstance(said, dict) else None
    if fields is None:
        raise NotFromAmazon("It is of no type that SNS sends.")
    for name in (*fields, "Signature", "SigningCertURL"):
        if not isinstance(said.get(name, "" if name in OPTIONAL else None), str):
            raise NotFromAmazon(f"It has no {name}.")
    return said


def _address(said: dict[str, Any]) -> str:
    """The certificate's, if it lies with Amazon in the region of the topic."""
    topic = _TOPIC.match(said["TopicArn"])
    try:
        parts = urlsplit(said["SigningCertURL"])
    except ValueError:
        raise NotFromAmazon("Its certificate has no address.") from None
    if topic is None:
        raise NotFromAmazon("Its topic has no region.")
    china = ".cn" if topic["part"] == "-cn" else ""
    host = f"sns.{topic['region']}.amazonaws.com{china}"
    # The whole authority: neither a log-in nor a port goes with it.
    if parts.scheme != "https" or parts.netloc != host or parts.query or parts.fragment:
        raise NotFromAmazon(f"Its certificate is not at https://{host}/.")
    if not _FILE.fullmatch(parts.path):
        raise NotFromAmazon("Its certificate is in no file of SNS.")
    return f"https://{host}{parts.path}"


def _certificate(address: str) -> "Certificate":
    from cryptography.x509 import load_pem_x509_certificate

    key = f"sns-{address.removeprefix('https://').replace('/', '-')}"
    pem = cache.get(key)
    if pem is None:
        pem = fetch(address)
    try:
        certificate = load_pem_x509_certificate(pem)
    except ValueError:
        raise NotFromAmazon("What lies there is no certificate.") from None
    cache.set(key, pem, KEPT_SECONDS)
    return certificate


def fetch(address: str) -> bytes:
    """What lies at an address that was looked at before. Raises RequestException."""
    with requests.get(
        address, timeout=ANSWER_SECONDS, allow_redirects=False, stream=True
    ) as answer:
        answer.raise_for_status()
        pem: bytes = answer.raw.read(CERTIFICATE_BYTES, decode_content=True)
    return pem


def _verify(certificate: "Certificate", said: dict[str, Any], hash_name: str) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    key = certificate.public_key()
    if not isinstance(key, RSAPublicKey):
        raise NotFromAmazon("The certificate has no RSA key.")
    try:
        signature = b64decode(said["Signature"], validate=True)
        key.verify(
            signature, text_to_sign(said), PKCS1v15(), getattr(hashes, hash_name)()
        )
    except (ValueError, InvalidSignature):
        raise NotFromAmazon("Its signature does not fit.") from None


def text_to_sign(said: dict[str, Any]) -> bytes:
    """Name and value of each signed field, a line each."""
    lines = [f"{name}\n{said[name]}\n" for name in SIGNED[said["Type"]] if name in said]
    return "".join(lines).encode()


def _signed_at(said: dict[str, Any]) -> datetime:
    try:
        signed_at = datetime.fromisoformat(said["Timestamp"])
    except ValueError:
        raise NotFromAmazon("It does not say when it was signed.") from None
    if signed_at.tzinfo is None:
        raise NotFromAmazon("It does not say when it was signed.")
    return signed_at
