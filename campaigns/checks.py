"""What must not be wrong with a deployment that sends, each as one sentence."""

from base64 import b64decode
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from campaigns.sending.channels.anymail import OUTBOX, PROVIDERS

SMTP, RESEND = "smtp", "resend"


@register("attune")
def provider_is_known(**kwargs: Any) -> list[CheckMessage]:
    known = (OUTBOX, SMTP, *PROVIDERS)
    if settings.PROVIDER not in known:
        return [
            Error(
                f"ATTUNE_PROVIDER needs one of {', '.join(known)}; "
                f"it is {settings.PROVIDER!r}.",
                id="attune.E001",
            )
        ]
    if others := [one for one in settings.FORMER_PROVIDERS if one not in PROVIDERS]:
        return [
            Error(
                f"ATTUNE_FORMER_PROVIDERS needs names of {', '.join(PROVIDERS)}; "
                f"it has {', '.join(others)}.",
                id="attune.E008",
            )
        ]
    if settings.PROVIDER == "amazon_ses":
        return _amazon_is_ready()
    if settings.PROVIDER == "sendgrid":
        return [
            Warning(
                "Anymail no longer tests its SendGrid backend: choose another provider "
                "where you can.",
                id="attune.W001",
            )
        ]
    return []


def _amazon_is_ready() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    missing = [one for one in ("boto3", "cryptography") if find_spec(one) is None]
    if missing:
        found.append(
            Error(
                f"ATTUNE_PROVIDER is amazon_ses, which needs {' and '.join(missing)}: "
                "install attune[production].",
                id="attune.E002",
            )
        )
    if not settings.SES_TOPICS:
        found.append(
            Warning(
                "ATTUNE_SES_TOPICS names no topic, so nothing that Amazon reports is "
                "believed: no bounce and no complaint stops mail to anybody.",
                id="attune.W003",
            )
        )
    return found


@register("attune")
def what_resend_signs_can_be_checked(**kwargs: Any) -> list[CheckMessage]:
    """Else each of its reports would end in an error, and nobody's no be heard."""
    secret = settings.ANYMAIL.get("RESEND_SIGNING_SECRET")
    if secret is None or RESEND not in (settings.PROVIDER, *settings.FORMER_PROVIDERS):
        return []
    if find_spec("svix") is None:
        return [
            Error(
                "RESEND_SIGNING_SECRET is set, and svix, which checks with it what "
                "Resend reports, is not installed: no bounce and no complaint would "
                "stop mail to anybody. Install attune[resend], or take it out of "
                "ATTUNE_PROVIDER_OPTIONS.",
                id="attune.E009",
            )
        ]
    if not _is_signing_secret(secret):
        return [
            Error(
                "RESEND_SIGNING_SECRET needs what Resend shows of the webhook, whsec_ "
                "and letters after it: no report could be checked with what it is.",
                id="attune.E010",
            )
        ]
    return []


def _is_signing_secret(secret: object) -> bool:
    try:
        return bool(b64decode(str(secret).removeprefix("whsec_"), validate=True))
    except ValueError:
        return False


@register("attune")
def anymail_is_strict(**kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if settings.ANYMAIL.get("IGNORE_UNSUPPORTED_FEATURES"):
        found.append(
            Error(
                "IGNORE_UNSUPPORTED_FEATURES would drop List-Unsubscribe from mails "
                "without a word: take it out of ATTUNE_PROVIDER_OPTIONS.",
                id="attune.E003",
            )
        )
    if settings.ANYMAIL.get("DEBUG_API_REQUESTS") and not settings.DEBUG:
        found.append(
            Error(
                "DEBUG_API_REQUESTS prints every mail and the provider's key: take it "
                "out of ATTUNE_PROVIDER_OPTIONS.",
                id="attune.E004",
            )
        )
    if settings.ANYMAIL.get("IGNORE_RECIPIENT_STATUS"):
        found.append(
            Error(
                "IGNORE_RECIPIENT_STATUS would count refused mails as sent: take it "
                "out of ATTUNE_PROVIDER_OPTIONS.",
                id="attune.E005",
            )
        )
    return found


@register("attune")
def secrets_are_long(**kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if any(len(key) < 16 for key in settings.TRACKING_KEYS):
        found.append(
            Error(
                "A key of ATTUNE_TRACKING_KEYS is shorter than 16 characters: anybody "
                "could guess unsubscribe links. Make it longer.",
                id="attune.E006",
            )
        )
    if len(settings.WEBHOOK_SECRET) < 16:
        found.append(
            Error(
                "ATTUNE_WEBHOOK_SECRET is shorter than 16 characters: anybody could "
                "forge a provider's reports. Make it longer.",
                id="attune.E007",
            )
        )
    return found


@register("attune", deploy=True)
def links_can_be_reached(**kwargs: Any) -> list[CheckMessage]:
    base = urlsplit(settings.BASE_URL)
    if base.scheme != "https" or (base.hostname or "").startswith(("127.", "local")):
        return [
            Warning(
                f"ATTUNE_BASE_URL is {settings.BASE_URL}: one-click unsubscribe needs "
                "an https address that everybody can reach.",
                id="attune.W002",
            )
        ]
    return []
