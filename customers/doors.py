"""The way into pages of our own inside the admin."""

from collections.abc import Callable, Iterator
from typing import Any

from django.contrib import admin
from django.contrib.auth.decorators import permission_required
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    StreamingHttpResponse,
)
from django.template.response import TemplateResponse
from django.urls import URLPattern, path


def admin_page(
    route: str, view: Callable[..., Any], name: str, permission: str
) -> URLPattern:
    """A page for whoever is logged in and may do this: "campaigns.view_send"."""
    allowed = permission_required(permission, raise_exception=True)
    return path(route, admin.site.admin_view(allowed(view)), name=name)


def shown_page(request: HttpRequest, template: str, /, **context: Any) -> HttpResponse:
    """One of our pages inside the admin."""
    return TemplateResponse(
        request, template, {**admin.site.each_context(request), **context}
    )


def download(lines: Iterator[str], name: str, kind: str) -> HttpResponseBase:
    """A file that goes out while it is made."""
    response = StreamingHttpResponse(lines, content_type=kind)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
