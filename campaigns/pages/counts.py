"""Who a campaign would reach, in a large shop: asked for, made by whoever is there."""

from datetime import datetime, timedelta
from typing import Any, Final, cast

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from campaigns.counting import (
    ask_count,
    carry_on_counting,
    count_of,
    few_customers,
    kept_counts,
    plan_now,
)
from campaigns.models import Campaign
from segmentation.places import published_run

# Longer than a worker or the engine takes to begin.
STUCK_AFTER: Final = timedelta(seconds=20)


def begin_count(request: HttpRequest, campaign: Campaign) -> None:
    """Have it counted, where its page can't do that while it loads."""
    if few_customers():
        return
    asked = ask_count(campaign, at=timezone.now(), by=cast(User, request.user))
    if settings.BROKER_URL:
        # Here and not above: without a broker no page needs Celery.
        from campaigns import tasks

        tasks.wake(tasks.count_audience, asked.pk)


@require_POST
def count(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Count it, or count it again."""
    begin_count(request, get_object_or_404(Campaign, pk=pk))
    return redirect("admin:campaigns_campaign_change", pk)


@require_POST
def count_here(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Count here what nobody has taken up."""
    asked = count_of(get_object_or_404(Campaign, pk=pk))
    if asked is not None:
        carry_on_counting(asked.pk)
    return redirect("admin:campaigns_campaign_change", pk)


@require_safe
def count_part(request: HttpRequest, pk: int) -> HttpResponse:
    """The part of the page that says how far it is."""
    campaign = get_object_or_404(Campaign, pk=pk)
    return render(
        request,
        "campaigns/count_part.html",
        {
            "campaign": campaign,
            "arrived": True,
            **count_context(
                campaign,
                counted=kept_counts(campaign, plan_now(campaign)) is not None,
                at=timezone.now(),
            ),
        },
    )


def count_context(campaign: Campaign, *, counted: bool, at: datetime) -> dict[str, Any]:
    """What the page and that part of it know of the count; few: it needs none.

    counted: it is done, and of the plan as it stands.
    """
    if few_customers():
        return {"few": True}
    run = published_run()
    asked = count_of(campaign)
    sizes: dict[str, int] = run.quality.get("sizes", {}) if run else {}
    return {
        "few": False,
        "count": asked,
        "counted": counted,
        "about": run.customers if run else None,
        "stuck": asked is not None
        and asked.done_at is None
        and (asked.worked_at or asked.asked_at) < at - STUCK_AFTER,
        # Before anybody is left out; a rule may make them fewer still.
        "at_most": sum(
            size
            for key, size in sizes.items()
            if not campaign.segments or key in campaign.segments
        ),
        "run": run,
    }
