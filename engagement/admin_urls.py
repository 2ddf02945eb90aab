"""Report pages inside the admin."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.auth.decorators import permission_required
from django.urls import URLPattern, path

from engagement import report_views as views

app_name = "engagement_admin"


def _page(route: str, view: Callable[..., Any], name: str) -> URLPattern:
    """A page for whoever is logged in and may see sends."""
    allowed = permission_required("campaigns.view_send", raise_exception=True)
    return path(route, admin.site.admin_view(allowed(view)), name=name)


urlpatterns = [
    _page("reports/", views.reports, "reports"),
    _page("reports/<int:pk>/", views.report_page, "report"),
    _page("reports/<int:pk>/<slug:form>/", views.download, "download"),
]
