"""Doors: let a run through, decline it, go back to one; by a worker where there is one.

Putting a run of a million customers into use takes seconds. With a broker the decision
is written down and a worker woken; without one, as in the demo, this process does it.
"""

from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from segmentation.errors import SegmentationError
from segmentation.models import RunDecision, SegmentationRun
from segmentation.publishing import carry_out as carry_out_now
from segmentation.publishing import decide_run, decline_run

# A worker takes it up within a second or two, and a million customers take eight.
STUCK_AFTER: Final = timedelta(seconds=30)
# A refusal stands on the pages for so long.
TOLD_FOR: Final = timedelta(hours=1)
Kind = RunDecision.Kind


@require_POST
def approve(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Let a waiting run through."""
    return _decide(request, pk, Kind.APPROVE, "The new sorting is in use.")


@require_POST
def roll_back(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Put an earlier run into use again."""
    done = f"Run {pk} is in use again. The next run waits for your approval."
    return _decide(request, pk, Kind.ROLL_BACK, done)


def _decide(
    request: HttpRequest, pk: int, kind: RunDecision.Kind, done: str
) -> HttpResponseBase:
    run = get_object_or_404(SegmentationRun, pk=pk)
    try:
        decision = decide_run(run, kind=kind, by=request.user, at=timezone.now())
    except SegmentationError as problem:
        messages.error(request, str(problem))
        return redirect("segmentation:runs")
    if settings.BROKER_URL:
        # Here and not above: without a broker no page needs Celery.
        from segmentation import tasks

        tasks.wake(tasks.carry_out_decision, decision.pk)
    else:
        _say(request, carry_out_now(decision.pk, at=timezone.now()), done)
    return redirect("segmentation:runs")


@require_POST
def carry_out(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Do here what no worker has taken up."""
    decision = get_object_or_404(RunDecision, pk=pk)
    done = f"Run {decision.run_id} is in use."
    _say(request, carry_out_now(decision.pk, at=timezone.now()), done)
    return redirect("segmentation:runs")


def _say(request: HttpRequest, decision: RunDecision, done: str) -> None:
    if decision.refused:
        messages.error(request, decision.refused)
    else:
        messages.success(request, done)


@require_POST
def decline(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Say no to a waiting run, and why."""
    waiting = get_object_or_404(SegmentationRun, pk=pk)
    try:
        decline_run(
            waiting,
            because=request.POST.get("because", ""),
            by=request.user,
            at=timezone.now(),
        )
        messages.success(
            request,
            f"Run {pk} is declined and never comes into use. Customers are sorted anew "
            "once there is something new to read.",
        )
    except SegmentationError as problem:
        messages.error(request, str(problem))
    return redirect("segmentation:runs")


@require_safe
def decision(request: HttpRequest, pk: int) -> HttpResponse:
    """The part of a page that says how far a decision is."""
    found = get_object_or_404(
        RunDecision.objects.select_related("run", "asked_by"), pk=pk
    )
    return render(
        request,
        "segmentation/decision_part.html",
        {
            "deciding": found,
            "stuck": _stuck(found),
            "may_change": request.user.has_perm("segmentation.change_segmentationrun"),
        },
    )


def deciding() -> dict[str, Any]:
    """What a page must say of the last decision: under way, or refused lately."""
    newest = RunDecision.objects.select_related("run", "asked_by").first()
    if newest is None or (
        newest.done_at is not None
        and (not newest.refused or newest.done_at < timezone.now() - TOLD_FOR)
    ):
        return {"deciding": None, "stuck": False}
    return {"deciding": newest, "stuck": _stuck(newest)}


def _stuck(found: RunDecision) -> bool:
    return found.done_at is None and found.asked_at < timezone.now() - STUCK_AFTER
