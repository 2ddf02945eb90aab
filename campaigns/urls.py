"""Pages of templates, campaigns, sends and the outbox, inside the admin."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.auth.decorators import permission_required
from django.urls import URLPattern, path

from campaigns.pages import outbox, sends, templates

app_name = "campaigns"


def _page(
    route: str, view: Callable[..., Any], name: str, permission: str
) -> URLPattern:
    """A page for whoever is logged in and may do this."""
    allowed = permission_required(f"campaigns.{permission}", raise_exception=True)
    return path(route, admin.site.admin_view(allowed(view)), name=name)


urlpatterns = [
    _page("outbox/", outbox.listing, "outbox", "view_message"),
    _page("outbox/<path:name>/frame/", outbox.frame, "outbox_frame", "view_message"),
    _page("outbox/<path:name>/", outbox.mail, "outbox_mail", "view_message"),
    _page(
        "template/<int:pk>/words/<slug:tone>/",
        templates.words,
        "words",
        "change_emailtemplate",
    ),
    _page(
        "template/<int:pk>/remove/<slug:tone>/",
        templates.remove,
        "remove_tone",
        "change_emailtemplate",
    ),
    _page(
        "template/<int:pk>/shared/", templates.shared, "shared", "change_emailtemplate"
    ),
    _page(
        "template/<int:pk>/layout/", templates.layout, "layout", "change_emailtemplate"
    ),
    _page(
        "template/<int:pk>/preview/<slug:tone>/",
        templates.preview,
        "preview",
        "view_emailtemplate",
    ),
    _page(
        "template/<int:pk>/test/",
        templates.test_mail,
        "test_mail",
        "change_emailtemplate",
    ),
    _page("plan/<int:pk>/schedule/", sends.schedule, "schedule", "add_send"),
    _page(
        "plan/<int:pk>/out/<slug:reason>/",
        sends.left_out_now,
        "left_out_now",
        "view_campaign",
    ),
    _page("send/<int:pk>/", sends.send, "send", "view_send"),
    _page("send/<int:pk>/live/", sends.live, "live", "view_send"),
    _page("send/<int:pk>/names/<slug:state>/", sends.names, "names", "view_send"),
    _page("send/<int:pk>/do/<slug:action>/", sends.act, "act", "change_send"),
    _page(
        "message/<int:pk>/settle/<slug:as_>/", sends.settle, "settle", "change_message"
    ),
]
