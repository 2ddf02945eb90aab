"""Doors for marketers: read input, call one service, show what it returned."""

from django.http import HttpRequest, HttpResponse

# A mail in a frame: nothing runs, nothing is fetched, nothing can be submitted.
FRAME_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'"
)


def number_in(request: HttpRequest, name: str, *, default: int = 0) -> int:
    """A number in the address that a database can hold; the default for rubbish."""
    value = request.GET.get(name, "")
    ordinary = value.isascii() and value.isdecimal() and len(value) < 19
    return int(value) if ordinary else default


def framed(html: str) -> HttpResponse:
    """A mail's HTML for a sandboxed frame."""
    answer = HttpResponse(html)
    answer["Content-Security-Policy"] = FRAME_POLICY
    answer["X-Frame-Options"] = "SAMEORIGIN"
    answer["Referrer-Policy"] = "no-referrer"
    return answer
