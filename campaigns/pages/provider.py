"""The provider: does mail leave, what holds it up, who changed what."""

from datetime import datetime
from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe
from unfold.widgets import (
    UnfoldAdminEmailInputWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
)

from campaigns.errors import CampaignsError
from campaigns.models import (
    Breaker,
    Campaign,
    FrequencyCap,
    ProviderNote,
    RateLimit,
    SendAttempt,
    SenderDomainWarmUp,
)
from campaigns.sending import (
    breaker,
    counters,
    frequency,
    limits,
    verification,
    warming,
    warmups,
    windows,
)
from campaigns.sending.mailboxes import LABELS
from campaigns.sending.trail import SHOWN as ATTEMPTS_SHOWN
from customers.doors import shown_page

NOTES_SHOWN = 30
# What is known of them, as sending.md 1.4 has it; accounts differ, so nothing is set.
KNOWN_LIMITS = {
    "brevo": "Brevo allows 100 calls a minute to its batch interface.",
    "amazon_ses": "Amazon SES counts each mail; your quota a second and a day is in "
    "its console.",
    "smtp": "Ask who runs the server; at a host’s, a few hundred an hour are usual.",
}
SLIDING = tuple(windows.SECONDS)
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


class LimitForm(forms.Form):
    """At most so many mails in a window."""

    most = forms.IntegerField(
        min_value=1,
        max_value=windows.MOST,
        label="At most",
        widget=UnfoldAdminIntegerFieldWidget,
    )
    window = forms.ChoiceField(
        # By the calendar only a sender domain's warm-up counts.
        choices=[(key, f"mails a {RateLimit.Window(key).label}") for key in SLIDING],
        initial=RateLimit.Window.HOUR,
        widget=UnfoldAdminSelectWidget,
    )
    mailboxes = forms.ChoiceField(
        choices=[("", "everybody"), *LABELS.items()],
        required=False,
        label="To",
        widget=UnfoldAdminSelectWidget,
    )
    campaign = forms.ModelChoiceField(
        Campaign.objects.all(),
        required=False,
        empty_label="all campaigns",
        label="Of",
        widget=UnfoldAdminSelectWidget,
    )
    grows_percent = forms.IntegerField(
        min_value=0,
        max_value=200,
        required=False,
        label="Warm-up: percent more each day",
        help_text="A new domain or address begins small, such as 500 a day and 50 % "
        "more each day. Empty: it stays as it is.",
        widget=UnfoldAdminIntegerFieldWidget,
    )
    ceiling = forms.IntegerField(
        min_value=1,
        max_value=windows.MOST,
        required=False,
        label="Warm-up: up to",
        widget=UnfoldAdminIntegerFieldWidget,
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("grows_percent") and data.get("window") != RateLimit.Window.DAY:
            self.add_error("grows_percent", "Only what is allowed a day grows by day.")
        return data


class CapForm(forms.Form):
    """How often somebody is written to."""

    most = forms.IntegerField(
        min_value=1,
        max_value=1000,
        required=False,
        label="At most so many promotions",
        help_text="Empty: as many as campaigns send. Many shops keep to 3 in 7 days.",
        widget=UnfoldAdminIntegerFieldWidget,
    )
    days = forms.IntegerField(
        min_value=1,
        max_value=90,
        initial=7,
        label="in so many days",
        widget=UnfoldAdminIntegerFieldWidget,
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
        limits=[_limit(one, now=now) for one in _limits(provider)],
        warm_ups=[_warm_up(one, now=now) for one in SenderDomainWarmUp.objects.all()],
        hint=KNOWN_LIMITS.get(provider, ""),
        **_verification(provider),
        notes=ProviderNote.objects.filter(provider=provider)
        .select_related("by")
        .order_by("-at", "-pk")[:NOTES_SHOWN],
        attempts=SendAttempt.objects.filter(provider=provider)
        .select_related("send__campaign")
        .order_by("-pk")[:ATTEMPTS_SHOWN],
        **{
            "seed_form": SeedForm(initial={"seed_address": seed}),
            "limit_form": LimitForm(),
            "cap_form": CapForm(initial={"days": 7, **_cap()}),
            **forms,
        },
    )


def _verification(provider: str) -> dict[str, Any]:
    try:
        standing = verification.stands(provider)
    except CampaignsError as problem:
        return {"verification": str(problem), "needs_verifying": True}
    row = standing.row
    return {
        "verification": standing.words,
        "needs_verifying": standing.limited,
        "is_verified": standing.state is verification.State.VERIFIED,
        "checked_at": row.checked_at if row else None,
        "checks": [verification.Check(**one) for one in row.checks] if row else [],
    }


def _cap() -> dict[str, int]:
    cap = FrequencyCap.objects.first()
    return {"most": cap.most, "days": cap.days} if cap else {}


def _limits(provider: str) -> QuerySet[RateLimit]:
    found = RateLimit.objects.filter(provider=provider).select_related("campaign")
    return found.order_by("learned", "campaign", "mailboxes", "pk")


def _limit(limit: RateLimit, *, now: datetime) -> dict[str, Any]:
    most = limits.most_at(limit, now)
    left = counters.left(limit, most or 0, now=now)
    return {
        "limit": limit,
        "words": limits.in_words(limit, now),
        "over": most is None,
        "left": left,
        "used": (most or 0) - left,
        "share": 100 * ((most or 0) - left) / most if most else 0,
    }


def _warm_up(warm_up: SenderDomainWarmUp, *, now: datetime) -> dict[str, Any]:
    cap, used = warm_up.cap, warming.used_today(warm_up, at=now)
    return {
        "warm_up": warm_up,
        "words": warmups.in_words(warm_up),
        "days": len(warm_up.caps),
        "cap": cap,
        "used": used,
        "left": max(0, (cap or 0) - used),
        "share": min(100, 100 * used / cap) if cap else 0,
        "next": warm_up.cap_of(warm_up.day + 1),
        "last": warm_up.last_day,
        "why": "" if cap is None else warming.why_it_stays(warm_up, at=now),
    }


def _lane(name: str, row: Breaker | None, *, now: datetime) -> dict[str, Any]:
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
def set_limit(request: HttpRequest) -> HttpResponse:
    """Set a limit, or change the one of the same mails and window."""
    form = LimitForm(request.POST)
    if not form.is_valid():
        return provider_page(request, limit_form=form)
    data = form.cleaned_data
    made = limits.set_limit(
        settings.PROVIDER,
        window=data["window"],
        most=data["most"],
        mailboxes=data["mailboxes"],
        campaign=data["campaign"],
        grows_percent=data["grows_percent"] or 0,
        ceiling=data["ceiling"],
        at=timezone.now(),
        by=cast(User, request.user),
    )
    words = limits.in_words(made, timezone.now())
    messages.success(request, f"{words.capitalize()}.")
    return HttpResponseRedirect(reverse("campaigns:provider"))


@require_POST
def remove_limit(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a limit away."""
    limit = get_object_or_404(
        RateLimit, pk=pk, provider=settings.PROVIDER, unverified=False
    )
    limits.remove_limit(limit, at=timezone.now(), by=cast(User, request.user))
    messages.success(request, "The limit is gone.")
    return HttpResponseRedirect(reverse("campaigns:provider"))


@require_POST
def set_cap(request: HttpRequest) -> HttpResponse:
    """Keep how often somebody is written to."""
    form = CapForm(request.POST)
    if not form.is_valid():
        return provider_page(request, cap_form=form)
    frequency.set_cap(
        form.cleaned_data["most"],
        form.cleaned_data["days"],
        at=timezone.now(),
        by=cast(User, request.user),
    )
    messages.success(request, "Kept.")
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
