"""Where a monitor asks: for who knows the token; for all others there is nothing."""

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from prometheus_client import CONTENT_TYPE_LATEST

from engagement.metrics import exposition

BEARER = "Bearer "


# Exempt: a POST is answered as any path that is not there, too.
@csrf_exempt
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    given = request.headers.get("Authorization", "")
    token = given.removeprefix(BEARER) if given.startswith(BEARER) else ""
    known = constant_time_compare(token, settings.METRICS_TOKEN)
    if not (settings.METRICS_TOKEN and known and request.method in ("GET", "HEAD")):
        raise Http404
    said = exposition(at=timezone.now())
    return HttpResponse(said, content_type=CONTENT_TYPE_LATEST)
