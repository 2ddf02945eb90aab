"""Who answers which path."""

from anymail import urls as anymail_urls
from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, include, path
from django.views.generic import RedirectView

# The local outbox has no provider; the demo's simulation reports in this one's format.
SIMULATED_PROVIDER = "postmark"


def provider_webhooks(provider: str) -> list[URLPattern]:
    """The tracking address of the provider in use; any other is not found.

    A path of a provider that is not set up would answer everybody with an error.
    """
    reports = SIMULATED_PROVIDER if provider == "outbox" else provider
    return [
        one
        for one in anymail_urls.urlpatterns
        if isinstance(one, URLPattern) and one.name == f"{reports}_tracking_webhook"
    ]


if settings.BROKER_URL:
    # Pages wake workers: by this broker, not by the one that Celery would think of.
    import config.celery  # noqa: F401

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/segments/", include("segmentation.urls")),
    path("admin/campaigns/", include("campaigns.urls")),
    path("admin/engagement/", include("engagement.admin_urls")),
    path("admin/", admin.site.urls),
    path("anymail/", include(provider_webhooks(settings.PROVIDER))),
    path("", include("engagement.urls")),
]
