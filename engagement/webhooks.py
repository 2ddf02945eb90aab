"""The address where a provider reports: received at once, taken in afterwards."""

from typing import Any, Final

from anymail.webhooks.base import AnymailCoreWebhookView
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone

from engagement import inbox

# Amazon's own header: SubscriptionConfirmation, UnsubscribeConfirmation.
SNS_TYPE: Final = "x-amz-sns-message-type"


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

        def parse_events(self, request: HttpRequest) -> list[Any]:
            if request.headers.get(SNS_TYPE, "").endswith("Confirmation"):
                # Nothing is told: it is to be answered now, or to be asked again.
                said: list[Any] = super().parse_events(request)
                return said
            inbox.keep(provider, request, at=timezone.now())
            return []

    return Receiving
