"""Content security policies: one for the admin, a strict one for everything public."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

# Unfold's Alpine needs 'unsafe-eval'; nothing may come from, or go to, another host.
ADMIN_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval' 'unsafe-inline'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "frame-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'self'"
)
PUBLIC_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def content_security_policy(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Set the policy of each answer that has not brought its own."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if "Content-Security-Policy" not in response:
            inside = request.path.startswith("/admin/")
            response["Content-Security-Policy"] = (
                ADMIN_POLICY if inside else PUBLIC_POLICY
            )
        return response

    return middleware
