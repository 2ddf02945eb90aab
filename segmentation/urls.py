"""Pages of segments, inside the admin."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.auth.decorators import permission_required
from django.urls import URLPattern, path

from segmentation import views

app_name = "segmentation"


def _page(
    route: str, view: Callable[..., Any], name: str, permission: str = "view_segment"
) -> URLPattern:
    """A page for whoever is logged in and may see this."""
    allowed = permission_required(f"segmentation.{permission}", raise_exception=True)
    return path(route, admin.site.admin_view(allowed(view)), name=name)


urlpatterns = [
    _page("", views.segments, "segments"),
    _page("disagreeing/", views.disagreeing, "disagreeing"),
    _page("runs/<int:pk>/approve/", views.approve, "approve", "change_segmentationrun"),
    _page("<slug:key>/", views.segment, "segment"),
    _page("<slug:key>/members/", views.members, "members"),
]
