"""Doors: customers whom a person has placed, one at a time and as a list."""

from datetime import date
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from customers.doors import shown_page
from customers.models import Customer
from segmentation.clustering.anchors import UNKNOWN
from segmentation.errors import DecisionRefused
from segmentation.models import Pin, Segment
from segmentation.pins import PINS_A_PAGE, pin_customer, pin_of, remove_pin
from segmentation.places import segment_called
from segmentation.reasons import CHARACTERS_MOST

SHOWN_OF_ONE = 10
MAY_PIN = "segmentation.add_pin"
MAY_END = "segmentation.change_pin"


@require_safe
def pins(request: HttpRequest) -> HttpResponse:
    """Who is placed by hand, by whom and why; ?ended=1 for those that ended."""
    ended = request.GET.get("ended") == "1"
    found = Pin.objects.filter(ended_at__isnull=not ended).order_by("-pk")
    before = request.GET.get("before", "")
    if before.isdecimal():
        found = found.filter(pk__lt=int(before[:18]))
    page = list(
        found.select_related("customer", "segment", "pinned_by", "ended_by")[
            :PINS_A_PAGE
        ]
    )
    return shown_page(
        request,
        "segmentation/pins.html",
        title="Placed by hand",
        crumbs=[
            ("Segments", reverse("segmentation:segments")),
            ("Placed by hand", None),
        ],
        pins=page,
        ended=ended,
        following=page[-1].pk if len(page) == PINS_A_PAGE else None,
        may_end=request.user.has_perm(MAY_END),
    )


@require_POST
def pin(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Place a customer."""
    customer = get_object_or_404(Customer, pk=pk)
    segment = segment_called(request.POST.get("segment", ""))
    if segment is None:
        raise Http404("There is no such segment.")
    try:
        pin_customer(
            customer,
            segment=segment,
            reason=request.POST.get("reason", ""),
            until=_day(request.POST.get("until", "")),
            by=request.user,
            at=timezone.now(),
        )
        messages.success(request, f"{customer} is in {segment} now, placed by you.")
    except DecisionRefused as problem:
        messages.error(request, str(problem))
    return redirect("admin:customers_customer_change", customer.pk)


@require_POST
def unpin(request: HttpRequest, pk: int) -> HttpResponseBase:
    """End it: the customer is where the run has them."""
    found = get_object_or_404(Pin.objects.select_related("customer"), pk=pk)
    try:
        remove_pin(found, by=request.user, at=timezone.now())
        messages.success(request, f"{found.customer} is not placed by hand any more.")
    except DecisionRefused as problem:
        messages.error(request, str(problem))
    return redirect("admin:customers_customer_change", found.customer_id)


def _day(text: str) -> date | None:
    if not text.strip():
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError as problem:
        raise DecisionRefused(
            f"“{text[:20]}” is no day: write it as 2026-03-31, or leave it empty."
        ) from problem


def pin_panel(request: HttpRequest, customer: Customer) -> dict[str, Any] | None:
    """Where a person has placed this customer, those before, and the form for one."""
    if not request.user.has_perm("segmentation.view_pin"):
        return None
    may_pin = request.user.has_perm(MAY_PIN)
    known = list(
        Pin.objects.filter(customer=customer).select_related(
            "segment", "pinned_by", "ended_by"
        )[:SHOWN_OF_ONE]
    )
    if customer.profiling_objected_at is not None or not (known or may_pin):
        return None
    return {
        "customer": customer,
        "standing": pin_of(customer, at=timezone.now()),
        "known": known,
        "segments": Segment.objects.exclude(key=UNKNOWN),
        "characters": CHARACTERS_MOST,
        "may_pin": may_pin,
        "may_end": request.user.has_perm(MAY_END),
    }
