"""The address where a provider reports: received at once, taken in afterwards."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from anymail.exceptions import AnymailAPIError, AnymailWebhookValidationFailure
from anymail.webhooks.base import AnymailCoreWebhookView
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone

from engagement import inbox, sns

# Amazon's own header: SubscriptionConfirmation, UnsubscribeConfirmation.
SNS_TYPE: Final = "x-amz-sns-message-type"
# Providers try for three days at most; what was signed before is a replay.
# Source: sending.md 1.8.
SIGNED_WITHIN: Final = timedelta(hours=72)
CLOCKS_APART_MOST: Final = timedelta(minutes=15)
# Where a provider says when it signed. Mailgun says it in the body.
_SIGNED_AT: Final = {
    "sendgrid": "x-twilio-email-event-webhook-timestamp",
    "resend": "svix-timestamp",
}
# What Anymail's checks end in where a body is of a form that no provider gives it: who
# posts that is refused like who does not know the password, and is no error of ours.
ONLY_STRANGERS: Final = (
    AnymailAPIError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
MAILGUN: Final = "mailgun"
AMAZON: Final = "amazon_ses"


def webhooks_of(providers: Iterable[str]) -> list[URLPattern]:
    """The tracking addresses of the provider in use and of former ones."""
    return [
        address
        for provider in dict.fromkeys(providers)
        for address in provider_webhooks(provider)
    ]


def provider_webhooks(provider: str) -> list[URLPattern]:
    """The tracking address of one provider; any other is not found.

    A path of a provider that is not set up would answer everybody with an error.
    """
    known = inbox.tracking_views().get(provider)
    if known is None:
        return []
    pattern, view_class = known
    receiving = _receiving(provider, view_class)
    return [path(str(pattern.pattern), receiving.as_view(), name=pattern.name)]


def _receiving(
    provider: str, view_class: type[AnymailCoreWebhookView]
) -> type[AnymailCoreWebhookView]:
    """Anymail's view, which checks who is calling, but keeps what it says unread."""

    class Receiving(view_class):  # type: ignore[misc, valid-type]
        def post(self, request: HttpRequest, *given: Any, **named: Any) -> HttpResponse:
            # Before a signature is checked that reads a form: a body is read once.
            _ = request.body
            answer: HttpResponse = super().post(request, *given, **named)
            return answer

        def run_validators(self, request: HttpRequest) -> None:
            try:
                super().run_validators(request)
            except ONLY_STRANGERS as problem:
                raise AnymailWebhookValidationFailure(
                    f"{provider} posts nothing like it, or its key is none: {problem!r}"
                ) from problem
            if provider == AMAZON:
                _check_amazon(request)
            signed_at, _ = _signed(provider, request)
            if signed_at and not _is_fresh(signed_at, at=timezone.now()):
                raise AnymailWebhookValidationFailure("It was signed too long ago.")

        def parse_events(self, request: HttpRequest) -> list[Any]:
            if request.headers.get(SNS_TYPE, "").endswith("Confirmation"):
                # Nothing is told: it is to be answered now, or to be asked again. That
                # Amazon signed it, and of which topic, was looked at before.
                said: list[Any] = super().parse_events(request)
                return said
            _, token = _signed(provider, request)
            if not inbox.keep(provider, request, at=timezone.now(), token=token):
                raise AnymailWebhookValidationFailure(
                    "Its signature came with another body before."
                )
            return []

    return Receiving


def _check_amazon(request: HttpRequest) -> None:
    try:
        sns.check(
            request.body,
            topics=settings.SES_TOPICS,
            at=timezone.now(),
            within=SIGNED_WITHIN,
            ahead=CLOCKS_APART_MOST,
        )
    except sns.NotFromAmazon as problem:
        raise AnymailWebhookValidationFailure(str(problem)) from None


def _signed(provider: str, request: HttpRequest) -> tuple[str, str]:
    """When a provider signed, and its token if the signature covers no body.

    After Anymail has found the signature in order; empty where there is none.
    """
    if provider != MAILGUN:
        return request.headers.get(_SIGNED_AT.get(provider, ""), ""), ""
    if request.content_type == "application/json":
        signed = json.loads(request.body)["signature"]
    else:
        signed = request.POST
    return str(signed["timestamp"]), str(signed["token"])


def _is_fresh(signed_at: str, *, at: datetime) -> bool:
    try:
        age = at - datetime.fromtimestamp(int(signed_at), UTC)
    except (ValueError, OverflowError, OSError):
        return False
    return -CLOCKS_APART_MOST <= age <= SIGNED_WITHIN
