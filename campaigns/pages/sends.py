"""Campaigns: preflight, schedule, live progress, names, pause, resume, cancel."""

import re
from datetime import datetime
from typing import Any, Literal, cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models import Q
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
)
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from campaigns.audience import (
    LEFT_OUT_REASONS,
    PlannedRule,
    rules_of_send,
)
from campaigns.content.designs import TONES
from campaigns.counting import left_out_names, names_left_out, plan_now
from campaigns.doubts import in_words, what_comes
from campaigns.errors import CampaignsError, CannotSchedule
from campaigns.forms import ScheduleForm
from campaigns.models import Campaign, Message, RestDay, Send
from campaigns.pages import number_in
from campaigns.pages.counts import count_context
from campaigns.sending.trail import SHOWN as ATTEMPTS_SHOWN
from campaigns.services import (
    WORTH_ANOTHER_TRY,
    Preflight,
    Progress,
    cancel_send,
    newest_send,
    pause_send,
    preflight,
    refused_by_mistake,
    resume_send,
    schedule_send,
    send_doubtful_again,
    send_failed_again,
    send_progress,
    settle_in_doubt,
)
from campaigns.standing import close_send
from campaigns.timing import frozen_times, leave_times_of, quiet_hours
from customers.doors import shown_page
from segmentation.models import Segment

NAMES_A_PAGE = 50
TONE_LABELS = {tone.key: tone.label for tone in TONES}
ACTIONS = {
    "pause": pause_send,
    "resume": resume_send,
    "cancel": cancel_send,
    "close": close_send,
}
DONE_WORDS = {
    "pause": "Paused. What is being handed over now still leaves.",
    "resume": "It goes on where it stopped.",
    "cancel": "Cancelled. What is out stays out.",
    "close": "Closed. Nothing more is added; it ends when none of it waits.",
}
STILL_MOVING = (
    Send.State.SCHEDULED,
    Send.State.PREPARING,
    Send.State.SENDING,
)


def campaign_page(
    request: HttpRequest, campaign: Campaign, form: ScheduleForm | None = None
) -> HttpResponse:
    """The preflight: who gets it, who not and why, what is in the way."""
    now = timezone.now()
    found = preflight(campaign, at=now)
    newest = newest_send(campaign)
    return shown_page(
        request,
        "campaigns/campaign.html",
        title=campaign.name,
        crumbs=[
            ("Campaigns", reverse("admin:campaigns_campaign_changelist")),
            (campaign.name, None),
        ],
        campaign=campaign,
        rules=_rules(
            PlannedRule.of(campaign.audience_rule),
            PlannedRule.of(campaign.exclusion_rule),
        ),
        found=found,
        steps=_steps(found),
        tones=sorted(
            (
                (key, TONE_LABELS.get(key, key), count)
                for key, count in found.tones.items()
            ),
            key=lambda row: -row[2],
        ),
        segments=_segments(found),
        sends=campaign.sends.all()[:10],
        seeds=campaign.sender.seeds.all(),
        quiet=quiet_hours(frozen_times(campaign)),
        rests=_rests(campaign),
        in_doubt=in_words(campaign.if_in_doubt),
        form=form or ScheduleForm(initial={"newest_known": newest.pk if newest else 0}),
        **count_context(campaign, counted=found.counted, at=now),
    )


def _rests(campaign: Campaign) -> list[RestDay]:
    """The days on which nothing of it leaves; of dates, those that come."""
    times = leave_times_of(campaign)
    if times is None or not times.rest:
        return []
    today = timezone.localdate()
    return [
        row
        for row in RestDay.objects.all()
        if row.day is None or row.yearly or row.day >= today
    ]


def _rules(
    audience: PlannedRule | None, exclusion: PlannedRule | None
) -> list[tuple[str, PlannedRule]]:
    """The rules of a plan, each with what it does there."""
    rules = [("Only those who match", audience), ("Never those who match", exclusion)]
    return [(label, rule) for label, rule in rules if rule is not None]


def _steps(found: Preflight) -> list[dict[str, Any]]:
    matched = max(1, found.steps[0].remaining)
    return [
        {
            "step": step,
            "in": 100 * step.remaining / matched,
            "out": 100 * step.out / matched,
            "has_names": step.key in LEFT_OUT_REASONS,
        }
        for step in found.steps
    ]


def _segments(found: Preflight) -> list[tuple[Segment, int]]:
    return [
        (segment, found.segments[segment.key])
        for segment in Segment.objects.all()
        if segment.key in found.segments
    ]


@require_POST
def schedule(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Freeze the words and put the send on the timetable."""
    campaign = get_object_or_404(Campaign, pk=pk)
    form = ScheduleForm(request.POST)
    if not form.is_valid():
        return campaign_page(request, campaign, form)
    now = timezone.now()
    try:
        made = schedule_send(
            campaign,
            scheduled_at=form.cleaned_data["when"] or now,
            at=now,
            by=cast(User, request.user),
            newest_known=form.cleaned_data["newest_known"],
        )
    except CannotSchedule as problem:
        for sentence in problem.problems:
            messages.error(request, sentence)
        return HttpResponseRedirect(
            reverse("admin:campaigns_campaign_change", args=[pk])
        )
    return HttpResponseRedirect(reverse("campaigns:send", args=[made.pk]))


@require_safe
def left_out_now(request: HttpRequest, pk: int, reason: str) -> HttpResponse:
    """The names behind a number of the preflight."""
    campaign = get_object_or_404(Campaign, pk=pk)
    if reason not in LEFT_OUT_REASONS:
        raise Http404(f"There is no reason {reason}.")
    plan, now = plan_now(campaign), timezone.now()
    total, ids = names_left_out(campaign, plan, reason, at=now)
    after = number_in(request, "after")
    shown = [customer for customer in ids if customer > after][:NAMES_A_PAGE]
    return shown_page(
        request,
        "campaigns/names.html",
        title=LEFT_OUT_REASONS[reason].label.capitalize(),
        crumbs=_crumbs(campaign, LEFT_OUT_REASONS[reason].label),
        total=total,
        named=len(ids) if len(ids) < total else None,
        sentence=LEFT_OUT_REASONS[reason].sentence,
        rows=left_out_names(plan, reason, shown, at=now),
        following=shown[-1] if len(shown) == NAMES_A_PAGE else None,
    )


@require_safe
def send(request: HttpRequest, pk: int) -> HttpResponse:
    """Watch one send: progress, doubt by name, who was not mailed and why."""
    shown = get_object_or_404(Send.objects.select_related("campaign", "tops_up"), pk=pk)
    doubtful = shown.messages.filter(
        state=Message.State.IN_DOUBT, settled_at=None
    ).select_related("customer", "second_try")
    live = _live(shown, at=timezone.now())
    reasons = live["progress"].reasons
    return shown_page(
        request,
        "campaigns/send.html",
        title=str(shown.campaign),
        crumbs=_crumbs(shown.campaign, f"{shown.scheduled_at:%d %b %Y}"),
        doubtful=[(one, what_comes(one)) for one in doubtful[:NAMES_A_PAGE]],
        in_doubt=in_words(shown.if_in_doubt),
        # Else asked for nothing, of every message where SQLite knows of one state only.
        refused=refused_by_mistake(shown).count()
        if any(reasons.get(one) for one in WORTH_ANOTHER_TRY)
        else 0,
        rules=_rules(*rules_of_send(shown)),
        top_ups=shown.top_ups.order_by("pk"),
        copies=_copies(shown),
        can_top_up=shown.state == Send.State.SENT and not shown.standing,
        notes=shown.notes.select_related("message__customer").order_by("-pk")[
            :NAMES_A_PAGE
        ],
        attempts=shown.attempts.order_by("-pk")[:ATTEMPTS_SHOWN],
        **live,
    )


def _copies(shown: Send) -> list[tuple[str, list[tuple[str, str, list[str]]]]]:
    """By seed: what came of its copies, why, and of which tones."""
    found: dict[str, dict[tuple[str, str], list[str]]] = {}
    rows = shown.seed_mails.select_related("variant").order_by("address", "pk")
    for row in rows:
        outcome = (row.get_state_display(), row.reason)
        tones = found.setdefault(row.address, {}).setdefault(outcome, [])
        tones.append(TONE_LABELS.get(row.variant.tone, row.variant.tone))
    return [
        (address, [(*outcome, sorted(tones)) for outcome, tones in outcomes.items()])
        for address, outcomes in found.items()
    ]


@require_safe
def live(request: HttpRequest, pk: int) -> HttpResponse:
    """The part of the page that moves."""
    shown = get_object_or_404(Send.objects.select_related("campaign"), pk=pk)
    return shown_page(request, "campaigns/live.html", **_live(shown, at=timezone.now()))


def _live(shown: Send, *, at: datetime) -> dict[str, Any]:
    progress = send_progress(shown, at=at)
    return {
        "send": shown,
        "progress": progress,
        "buckets": _buckets(progress),
        "reasons": [
            (
                LEFT_OUT_REASONS[key].label if key in LEFT_OUT_REASONS else key,
                key if key in LEFT_OUT_REASONS else "other",
                count,
            )
            for key, count in sorted(
                progress.reasons.items(), key=lambda item: -item[1]
            )
        ],
        "moving": shown.state in STILL_MOVING,
        "can_pause": shown.state in STILL_MOVING,
        "can_resume": shown.state in (Send.State.PAUSED, Send.State.MISSED),
        "can_cancel": shown.state
        in (*STILL_MOVING, Send.State.PAUSED, Send.State.MISSED),
        "can_close": shown.is_open,
    }


def _buckets(progress: Progress) -> list[dict[str, Any]]:
    audience = max(1, progress.audience)
    parts = [
        ("accepted", "accepted", progress.accepted),
        ("handing_over", "being handed over", progress.handing_over),
        ("in_doubt", "in doubt", progress.in_doubt),
        ("not_sent", "not sent", progress.not_sent),
        ("waiting", "waiting", progress.waiting),
    ]
    return [
        {"key": key, "label": label, "count": count, "width": 100 * count / audience}
        for key, label, count in parts
    ]


@require_safe
def names(request: HttpRequest, pk: int, state: str) -> HttpResponse:
    """The people in one bucket of a send, fifty at a time: ?reason=, ?after= and
    ?occasion= of the last that was shown."""
    shown = get_object_or_404(Send.objects.select_related("campaign"), pk=pk)
    states = {
        "not_sent": ("left_out", "failed", "cancelled"),
        **{choice: (choice,) for choice in Message.State.values},
    }.get(state)
    if states is None:
        raise Http404(f"There is no bucket {state}.")
    # By customer: by their own ids PostgreSQL would pass the messages of other sends.
    after = number_in(request, "after")
    occasion = request.GET.get("occasion", "").replace("\0", "")
    found = shown.messages.filter(
        Q(customer_id__gt=after) | Q(occasion__gt=occasion),
        state__in=states,
        customer_id__gte=after,
    )
    reason = request.GET.get("reason", "")
    if re.fullmatch(r"[a-z_]+", reason):
        found = found.filter(reason=reason)
    # As the index of uniqueness has them.
    found = found.select_related("customer").order_by("customer_id", "occasion")
    rows = list(found[:NAMES_A_PAGE])
    label = state.replace("_", " ")
    more = len(rows) == NAMES_A_PAGE
    return shown_page(
        request,
        "campaigns/names.html",
        title=f"{label.capitalize()}: {shown.campaign}",
        crumbs=_crumbs(shown.campaign, label),
        sentence=LEFT_OUT_REASONS[reason].sentence
        if reason in LEFT_OUT_REASONS
        else "",
        rows=[(row.customer, _why(row)) for row in rows],
        reason=reason,
        following=rows[-1].customer_id if more else None,
        following_occasion=rows[-1].occasion if more else "",
    )


def _why(row: Message) -> str:
    return ": ".join(filter(None, [row.occasion, row.detail or row.reason]))


@require_POST
def act(request: HttpRequest, pk: int, action: str) -> HttpResponseBase:
    """Pause, resume, cancel; or close what stands open."""
    if action not in ACTIONS:
        raise Http404(f"There is no action {action}.")
    shown = get_object_or_404(Send, pk=pk)
    try:
        ACTIONS[action](shown, at=timezone.now(), by=cast(User, request.user))
        messages.success(request, DONE_WORDS[action])
    except CampaignsError as problem:
        messages.error(request, str(problem))
    return HttpResponseRedirect(reverse("campaigns:send", args=[pk]))


@require_POST
def failed_again(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Whoever was refused, not for their address, waits again."""
    shown = get_object_or_404(Send, pk=pk)
    try:
        count = send_failed_again(shown, by=cast(User, request.user), at=timezone.now())
        messages.success(
            request, f"{count} wait again. Whoever said no meanwhile gets nothing."
        )
    except CampaignsError as problem:
        messages.error(request, str(problem))
    return HttpResponseRedirect(reverse("campaigns:send", args=[pk]))


@require_POST
def settle(request: HttpRequest, pk: int, as_: str) -> HttpResponseBase:
    """A person decides about one message in doubt."""
    if as_ not in ("accepted", "left", "again"):
        raise Http404("In doubt ends as accepted, is left, or is sent again.")
    message = get_object_or_404(Message, pk=pk)
    try:
        if as_ == "again":
            send_doubtful_again(message, by=cast(User, request.user), at=timezone.now())
            messages.success(request, "It is sent again, and may arrive twice.")
            return HttpResponseRedirect(
                reverse("campaigns:send", args=[message.send_id])
            )
        settle_in_doubt(
            message,
            as_=cast(Literal["accepted", "left"], as_),
            by=cast(User, request.user),
            at=timezone.now(),
        )
    except CampaignsError as problem:
        messages.error(request, str(problem))
    return HttpResponseRedirect(reverse("campaigns:send", args=[message.send_id]))


def _crumbs(campaign: Campaign, last: str) -> list[tuple[str, str | None]]:
    return [
        ("Campaigns", reverse("admin:campaigns_campaign_changelist")),
        (
            campaign.name,
            reverse("admin:campaigns_campaign_change", args=[campaign.pk]),
        ),
        (last, None),
    ]
