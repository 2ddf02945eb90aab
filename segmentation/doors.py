"""How every page of this room is made."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse


def shown_page(request: HttpRequest, template: str, **context: Any) -> HttpResponse:
    """A page of ours inside the admin."""
    return TemplateResponse(
        request, template, {**admin.site.each_context(request), **context}
    )
