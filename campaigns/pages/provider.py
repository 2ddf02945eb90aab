"""The provider: does mail leave, what holds it up, who changed what."""

from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe
from unfold.widgets import UnfoldAdminEmailInputWidget

from campaigns.models import Breaker, ProviderNote
from campaigns.sending import breaker
from customers.doors import shown_page

NOTES_SHOWN = 30
SWITCHES = {"open": breaker.open_breaker, "close": breaker.close_breaker}
LANE_LABELS = {
    breaker.TRANSACTIONAL: "Mail about an order",
    breaker.BULK: "Mail to many",
}


class SeedForm(forms.Form):
    """Where the question goes whether the provider takes mail again."""

    seed_address = forms.EmailField(
        required=False,
        max_length=320,
        label="Seed address",
        widget=UnfoldAdminEmailInputWidget,
        help_text="An address of your own. After trouble one mail to it asks whether "
        "the provider takes mail again; without it, one customer’s mail asks.",
    )


@require_safe
def shown(request: HttpRequest) -> HttpResponse:
    return provider_page(request)


def provider_page(request: HttpRequest, **forms: Any) -> HttpResponse:
    now, provider = timezone.now(), settings.PROVIDER
    rows = {one.lane: one for one in Breaker.objects.filter(provider=provider)}
    seed = next((one.seed_address for one in rows.values() if one.seed_address), "")
    lanes = [_lane(name, rows.get(name), now=now) for name in breaker.LANES]
    return shown_page(
        request,
        "campaigns/provider.html",
        title="Provider",
        provider=provider,
        lanes=lanes,
        stands=[lane for lane in lanes if lane["words"]],
        notes=ProviderNote.objects.filter(provider=provider)
        .select_related("by")
        .order_by("-at", "-pk")[:NOTES_SHOWN],
        **{"seed_form": SeedForm(initial={"seed_address": seed}), **forms},
    )


def _lane(name: str, row: Breaker | None, *, now: Any) -> dict[str, Any]:
    row = row or Breaker(provider=settings.PROVIDER, lane=name)
    return {
        "name": name,
        "label": LANE_LABELS[name],
        "row": row,
        "words": breaker.in_words(row, now=now),
        "closed": row.state == Breaker.State.CLOSED,
    }


@require_POST
def switch(request: HttpRequest, lane: str, action: str) -> HttpResponse:
    """Open or close the breaker of a lane."""
    if action not in SWITCHES or lane not in breaker.LANES:
        raise Http404(f"There is no {action} of {lane}.")
    way = breaker.Way(settings.PROVIDER, lane)
    SWITCHES[action](way, at=timezone.now(), by=cast(User, request.user))
    done = {"open": "No mail leaves now.", "close": "Mail may leave again."}
    messages.success(request, done[action])
    return HttpResponseRedirect(reverse("campaigns:provider"))


@require_POST
def seed(request: HttpRequest) -> HttpResponse:
    """Keep the seed address."""
    form = SeedForm(request.POST)
    if not form.is_valid():
        return provider_page(request, seed_form=form)
    breaker.set_seed(
        settings.PROVIDER,
        form.cleaned_data["seed_address"],
        at=timezone.now(),
        by=cast(User, request.user),
    )
    messages.success(request, "Kept.")
    return HttpResponseRedirect(reverse("campaigns:provider"))
