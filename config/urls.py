"""Who answers which path."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/segments/", include("segmentation.urls")),
    path("admin/campaigns/", include("campaigns.urls")),
    path("admin/engagement/", include("engagement.admin_urls")),
    path("admin/", admin.site.urls),
    path("anymail/", include("anymail.urls")),
    path("", include("engagement.urls")),
]
