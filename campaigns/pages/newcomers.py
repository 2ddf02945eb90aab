"""A top-up: who has come since a send, and the same mail for them."""

from time import monotonic
from typing import Final, cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from campaigns.audience import LEFT_OUT_REASONS
from campaigns.content.designs import TONES
from campaigns.errors import CannotSchedule
from campaigns.models import Send
from campaigns.services import count_newcomers, first_of, top_up, why_no_top_up
from customers.doors import shown_page

# So long a page looks for newcomers while it loads.
SECONDS_TO_COUNT: Final = 3.0
_TONES: Final = {tone.key: tone.label for tone in TONES}


@require_safe
def newcomers(request: HttpRequest, pk: int) -> HttpResponse:
    """Who a top-up would reach now, before anything is scheduled."""
    now = timezone.now()
    first = first_of(get_object_or_404(Send.objects.select_related("campaign"), pk=pk))
    if first.standing:
        raise Http404(f"{first} had no audience, and so no newcomers.")
    problems = why_no_top_up(first, at=now)
    found = count_newcomers(first, at=now, until=monotonic() + SECONDS_TO_COUNT)
    return shown_page(
        request,
        "campaigns/newcomers.html",
        title=f"Newcomers: {first.campaign}",
        crumbs=[
            ("Campaigns", reverse("admin:campaigns_campaign_changelist")),
            (str(first.campaign), reverse("campaigns:send", args=[first.pk])),
            ("Newcomers", None),
        ],
        send=first,
        problems=problems,
        found=found,
        out=[
            (LEFT_OUT_REASONS[key], count)
            for key, count in found.counts.out.most_common()
        ],
        tones=[
            (_TONES.get(key, key), count)
            for key, count in found.counts.tones.most_common()
        ],
        can_send=not problems and (found.will_be_mailed or not found.whole),
    )


@require_POST
def send_to_newcomers(request: HttpRequest, pk: int) -> HttpResponse:
    """Schedule the top-up, now."""
    asked = get_object_or_404(Send, pk=pk)
    try:
        made = top_up(asked, at=timezone.now(), by=cast(User, request.user))
    except CannotSchedule as problem:
        for sentence in problem.problems:
            messages.error(request, sentence)
        return HttpResponseRedirect(reverse("campaigns:newcomers", args=[pk]))
    messages.success(request, "It goes to those who came since, and to nobody else.")
    return HttpResponseRedirect(reverse("campaigns:send", args=[made.pk]))
