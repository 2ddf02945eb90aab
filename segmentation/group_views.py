"""Doors: groups that no segment describes, for a person to accept or dismiss."""

from typing import Any

import numpy as np
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from customers.doors import shown_page
from segmentation.clustering.emergent import LIFT_NAMED, lifted_families
from segmentation.errors import SegmentationError
from segmentation.groups import accept_group, dismiss_group
from segmentation.models import EmergentGroup, GroupMember
from segmentation.reasons import CHARACTERS_MOST, NAME_CHARACTERS
from segmentation.showing import ShownSentence, best_sentences
from segmentation.tones import TONE_NAMES

GROUPS_SHOWN = 50
EXAMPLES = 10
MAY_DECIDE = "segmentation.change_emergentgroup"


@require_safe
def groups(request: HttpRequest) -> HttpResponse:
    """All groups ever proposed, those that wait first."""
    found = list(
        EmergentGroup.objects.exclude(state="faded").select_related(
            "decided_by", "rule"
        )[:GROUPS_SHOWN]
    )
    found.sort(key=lambda group: group.state != "open")
    return shown_page(
        request,
        "segmentation/groups.html",
        title="Groups that no segment describes",
        crumbs=[("Segments", reverse("segmentation:segments")), ("Groups", None)],
        groups=found,
        waiting=sum(group.state == "open" for group in found),
    )


@require_safe
def group(request: HttpRequest, pk: int) -> HttpResponse:
    """One group: its size, what sets it apart, ten of its customers in their words."""
    shown = get_object_or_404(
        EmergentGroup.objects.select_related("decided_by", "rule", "run"), pk=pk
    )
    lifted = _lifted(shown)
    may_decide = request.user.has_perm(MAY_DECIDE)
    return shown_page(
        request,
        "segmentation/group.html",
        title=shown.name,
        crumbs=[
            ("Segments", reverse("segmentation:segments")),
            ("Groups", reverse("segmentation:groups")),
            (shown.name, None),
        ],
        group=shown,
        families=[
            (family, share, usual, share / usual, family in lifted, _bar(share / usual))
            for family, share, usual in shown.figures.get("families", [])
        ],
        sources=_marked(shown.figures.get("sources", [])),
        deeds=_marked(shown.figures.get("deeds", [])),
        examples=_examples(shown, lifted),
        tones=TONE_NAMES,
        name_characters=NAME_CHARACTERS,
        characters=CHARACTERS_MOST,
        may_decide=may_decide and shown.state == EmergentGroup.State.OPEN,
    )


def _lifted(shown: EmergentGroup) -> list[str]:
    """The families that its name is made of."""
    known = shown.figures.get("families", [])
    if not known:
        return []
    row, mix = np.array([shares for _, *shares in known]).T
    return lifted_families(row, mix)


def _bar(times: float) -> float:
    """Per cent of the picture's width; four times as much fills it."""
    return min(100.0, 25 * times)


def _marked(rows: list[list[Any]]) -> list[tuple[str, float, float, bool]]:
    """Each with whether it is clearly more common among them."""
    return [
        (name, theirs, everyone, theirs >= LIFT_NAMED * everyone)
        for name, theirs, everyone in rows
    ]


def _examples(
    shown: EmergentGroup, families: list[str]
) -> list[tuple[GroupMember, list[ShownSentence]]]:
    """The surest members, each with the sentences that carry what lifts the group."""
    members = list(
        GroupMember.objects.filter(
            group=shown, customer__profiling_objected_at__isnull=True
        )
        .select_related("customer")
        .order_by("-probability", "pk")[:EXAMPLES]
    )
    ids = [member.customer_id for member in members]
    best = [best_sentences(ids, family) for family in families]
    return [
        (
            member,
            [
                found[member.customer_id]
                for found in best
                if member.customer_id in found
            ],
        )
        for member in members
    ]


@require_POST
def accept(request: HttpRequest, pk: int) -> HttpResponseBase:
    """A person names it."""
    shown = get_object_or_404(EmergentGroup, pk=pk)
    try:
        kept = accept_group(
            shown,
            name=request.POST.get("name", ""),
            tone=request.POST.get("tone", ""),
            by=request.user,
            at=timezone.now(),
        )
        messages.success(
            request, f"“{kept}” is a rule now, which a campaign may choose."
        )
    except SegmentationError as problem:
        messages.error(request, str(problem))
    return redirect("segmentation:group", pk=pk)


@require_POST
def dismiss(request: HttpRequest, pk: int) -> HttpResponseBase:
    """A person says no."""
    shown = get_object_or_404(EmergentGroup, pk=pk)
    try:
        dismiss_group(
            shown,
            because=request.POST.get("because", ""),
            by=request.user,
            at=timezone.now(),
        )
        messages.success(
            request,
            f"“{shown}” is dismissed: while it stays like this, it is not proposed "
            "again.",
        )
    except SegmentationError as problem:
        messages.error(request, str(problem))
    return redirect("segmentation:group", pk=pk)
