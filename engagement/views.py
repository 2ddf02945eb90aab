"""Public doors: picture, click, web view, unsubscribe, preferences.

GET changes nothing: scanners follow every link of every mail. Whoever holds a wrong
token learns nothing: the same page, whatever is wrong with it.
"""

from datetime import timedelta

from django.conf import settings
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
)
from django.shortcuts import render
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from campaigns.content.links import MANAGE, TRACK, read_token
from campaigns.content.problems import TemplateError, UndefinedValue
from campaigns.models import Message, Variant
from campaigns.services import link_count, link_destination, web_view_of
from customers.services import allow_profiling, is_suppressed, object_to_profiling
from engagement.hits import OPENS, Open
from engagement.models import TrackingEvent
from engagement.services import CLICKED, UNSUBSCRIBED, Event, record_event
from engagement.services import unsubscribe as heed_unsubscribe
from engagement.verdict import Hit, judge

# A transparent picture of one pixel.
PIXEL = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002"
    "0144003b"
)
# A simulation marks its requests, so that nothing it does passes for real.
SIMULATION_HEADER = "X-Attune-Simulation"
BURST = timedelta(seconds=5)
MAIL_POLICY = (
    "default-src 'none'; img-src 'self' https: data:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def _public_id(token: str, purpose: int) -> int | None:
    return read_token(token, purpose, settings.TRACKING_KEYS)


def _message(token: str, purpose: int) -> Message | None:
    public_id = _public_id(token, purpose)
    if public_id is None:
        return None
    return (
        Message.objects.select_related("customer", "send", "send__campaign")
        .filter(public_id=public_id)
        .first()
    )


def _hit(request: HttpRequest, *, is_click: bool) -> Hit:
    purpose = request.headers.get("Sec-Purpose", "") + request.headers.get(
        "Purpose", ""
    )
    return Hit(
        is_click=is_click,
        user_agent=request.headers.get("User-Agent", "")[:300],
        method=request.method or "GET",
        prefetch="prefetch" in purpose,
    )


def _simulated(request: HttpRequest) -> str:
    """The mark of a simulation that proves to be ours: nobody else may make real
    figures look simulated."""
    mark, _, proof = request.headers.get(SIMULATION_HEADER, "").partition(";")
    ours = constant_time_compare(proof.strip(), settings.WEBHOOK_SECRET)
    return mark.strip()[:60] if ours else ""


def _unknown_link(request: HttpRequest) -> HttpResponse:
    return render(request, "engagement/unknown_link.html", status=404)


@require_safe
def pixel(request: HttpRequest, token: str) -> HttpResponse:
    """The picture that tells of an open; the same answer whatever the token says."""
    public_id = _public_id(token, TRACK)
    if public_id is not None and request.method == "GET":
        hit = _hit(request, is_click=False)
        OPENS.keep(Open(public_id, timezone.now(), hit, _simulated(request)))
    return HttpResponse(
        PIXEL, content_type="image/gif", headers={"Cache-Control": "no-store, private"}
    )


@require_safe
def click(request: HttpRequest, token: str, link: int) -> HttpResponseBase:
    """Count a click and go where the frozen link table says; nowhere else."""
    message = _message(token, TRACK)
    destination = link_destination(message, link) if message else None
    if message is None or destination is None:
        return _unknown_link(request)
    if request.method == "GET":
        _keep_click(request, message, link)
    return HttpResponseRedirect(
        destination,
        headers={
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store, private",
            "X-Robots-Tag": "noindex",
        },
    )


def _keep_click(request: HttpRequest, message: Message, link: int) -> None:
    now = timezone.now()
    burst = set(
        TrackingEvent.objects.filter(
            message=message, event_type=CLICKED, occurred_at__gte=now - BURST
        ).values_list("link", flat=True)
    )
    seen = _hit(request, is_click=True)
    handed_over = message.handed_over_at
    verdict, reasons = judge(
        Hit(
            is_click=True,
            user_agent=seen.user_agent,
            method=seen.method,
            prefetch=seen.prefetch,
            seconds_since_handover=(
                (now - handed_over).total_seconds() if handed_over else None
            ),
            links_in_burst=len(burst | {link}),
            links_in_mail=link_count(message),
        )
    )
    simulated = _simulated(request)
    record_event(
        Event(
            event_type=CLICKED,
            occurred_at=now,
            provider="attune",
            public_id=message.public_id,
            link=link,
            verdict=verdict,
            verdict_reasons=reasons,
            detail={"simulated": simulated} if simulated else {},
        ),
        at=now,
    )


@require_safe
def web_view(request: HttpRequest, token: str) -> HttpResponse:
    """The mail as a page, for those whose mail client spoils it."""
    message = _message(token, TRACK)
    if message is None:
        return _unknown_link(request)
    try:
        html = web_view_of(message)
    except (TemplateError, UndefinedValue, Variant.DoesNotExist):
        return _unknown_link(request)
    answer = HttpResponse(html)
    answer["Content-Security-Policy"] = MAIL_POLICY
    answer["X-Robots-Tag"] = "noindex"
    return answer


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST", "OPTIONS"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """One button for a person, one POST for a mail client (RFC 8058).

    No log-in, no cookie, no redirect; done before the answer; twice is once.
    """
    message = _message(token, MANAGE)
    if message is None:
        return _unknown_link(request)
    if request.method == "POST":
        now = timezone.now()
        simulated = _simulated(request)
        heed_unsubscribe(
            message,
            Event(
                event_type=UNSUBSCRIBED,
                occurred_at=now,
                provider="attune",
                public_id=message.public_id,
                event_id=f"unsubscribe {message.public_id}",
                detail={"simulated": simulated} if simulated else {},
            ),
            at=now,
        )
    return render(
        request,
        "engagement/unsubscribe.html",
        {
            "shop": message.send.frozen["sender"]["shop_name"],
            "done": is_suppressed(message.address_wire),
            "preferences": f"/p/{token}",
        },
    )


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def preferences(request: HttpRequest, token: str) -> HttpResponse:
    """What a customer can decide: mail or no mail, feelings read or not.

    The token in the address is the proof of who asks; there is no session to abuse.
    """
    message = _message(token, MANAGE)
    if message is None:
        return _unknown_link(request)
    customer = message.customer
    if request.method == "POST":
        now = timezone.now()
        choice = request.POST.get("choice", "")
        if choice == "stop_reading" and not customer.profiling_objected_at:
            object_to_profiling(customer, source="preference page", at=now)
        elif choice == "allow_reading" and customer.profiling_objected_at:
            allow_profiling(customer, source="preference page", at=now)
        customer.refresh_from_db()
    return render(
        request,
        "engagement/preferences.html",
        {
            "shop": message.send.frozen["sender"]["shop_name"],
            "mailed": not is_suppressed(message.address_wire),
            "read": customer.profiling_objected_at is None,
            "unsubscribe": f"/u/{token}",
        },
    )
