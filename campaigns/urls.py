"""Pages of templates, campaigns, sends and the outbox, inside the admin."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.urls import URLPattern, path

from campaigns.pages import outbox, sends, templates

app_name = "campaigns"


def _page(route: str, view: Callable[..., Any], name: str) -> URLPattern:
    return path(route, admin.site.admin_view(view), name=name)


urlpatterns = [
    _page("outbox/", outbox.listing, "outbox"),
    _page("outbox/<path:name>/frame/", outbox.frame, "outbox_frame"),
    _page("outbox/<path:name>/", outbox.mail, "outbox_mail"),
    _page("template/<int:pk>/words/<slug:tone>/", templates.words, "words"),
    _page("template/<int:pk>/remove/<slug:tone>/", templates.remove, "remove_tone"),
    _page("template/<int:pk>/shared/", templates.shared, "shared"),
    _page("template/<int:pk>/layout/", templates.layout, "layout"),
    _page("template/<int:pk>/preview/<slug:tone>/", templates.preview, "preview"),
    _page("template/<int:pk>/test/", templates.test_mail, "test_mail"),
    _page("plan/<int:pk>/schedule/", sends.schedule, "schedule"),
    _page("plan/<int:pk>/out/<slug:reason>/", sends.left_out_now, "left_out_now"),
    _page("send/<int:pk>/", sends.send, "send"),
    _page("send/<int:pk>/live/", sends.live, "live"),
    _page("send/<int:pk>/names/<slug:state>/", sends.names, "names"),
    _page("send/<int:pk>/do/<slug:action>/", sends.act, "act"),
    _page("message/<int:pk>/settle/<slug:as_>/", sends.settle, "settle"),
]
