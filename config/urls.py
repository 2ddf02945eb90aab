"""Who answers which path."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from engagement.metrics_views import metrics
from engagement.webhooks import webhooks_of

# The local outbox has no provider; the demo's simulation reports in this one's format.
SIMULATED_PROVIDER = "postmark"

REPORTS = SIMULATED_PROVIDER if settings.PROVIDER == "outbox" else settings.PROVIDER

if settings.BROKER_URL:
    # Pages wake workers: by this broker, not by the one that Celery would think of.
    import config.celery  # noqa: F401

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/segments/", include("segmentation.urls")),
    path("admin/campaigns/", include("campaigns.urls")),
    path("admin/engagement/", include("engagement.admin_urls")),
    path("admin/", admin.site.urls),
    path("anymail/", include(webhooks_of([REPORTS, *settings.FORMER_PROVIDERS]))),
    path("metrics", metrics, name="metrics"),
    path("", include("engagement.urls")),
]
