"""What this room adds to the customer's page and to the list of customers."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from customers.models import Customer, Interaction
from customers.panels import CUSTOMER_LIST, CUSTOMER_PAGE, TIMELINE_NOTES, Panel
from customers.templatetags.attune import chip, segment_name
from segmentation.clustering.model import OtherFormat
from segmentation.clustering.wording import how_sure
from segmentation.course_panel import course_panel
from segmentation.customer_filters import EvidenceFilter, FamilyFilter, SegmentFilter
from segmentation.emotion.families import FAMILIES
from segmentation.frames import families_of
from segmentation.holds import held
from segmentation.models import (
    EmotionProfile,
    EmotionScore,
    Membership,
    SegmentationRun,
)
from segmentation.panels import SEGMENT_PAGE
from segmentation.pin_views import pin_panel
from segmentation.pins import pin_of
from segmentation.sending_panel import sending_panel
from segmentation.sensitive_matters import REASON
from segmentation.showing import readings_of, strongest_family
from segmentation.why import explain

CURRENT = "current_membership"
# An order, a visit: nothing to say of it.
NO_TEXT = "no text"


def install() -> None:
    """Put the panels and columns in; called once when the app starts."""
    CUSTOMER_PAGE.add(Panel("hold", "segmentation/panel_hold.html", hold_panel, 5))
    CUSTOMER_PAGE.add(
        Panel("why", "segmentation/panel_why.html", why_panel, order=10, width=7)
    )
    CUSTOMER_PAGE.add(
        Panel("profile", "segmentation/panel_profile.html", profile_panel, 20, width=5)
    )
    CUSTOMER_PAGE.add(
        Panel("course", "segmentation/panel_course.html", course_panel, order=22)
    )
    CUSTOMER_PAGE.add(
        Panel("readings", "segmentation/panel_readings.html", readings_panel, 30)
    )
    CUSTOMER_PAGE.add(
        Panel("by_hand", "segmentation/panel_pin.html", pin_panel, 27, width=12)
    )
    SEGMENT_PAGE.add(
        Panel("sending", "segmentation/panel_sending.html", sending_panel, 22)
    )
    TIMELINE_NOTES.append(timeline_notes)
    CUSTOMER_LIST.prepare.append(with_membership)
    CUSTOMER_LIST.columns.extend([segment_column, sure_column])
    CUSTOMER_LIST.filters.extend([SegmentFilter, FamilyFilter, EvidenceFilter])


def with_membership(customers: QuerySet[Customer]) -> QuerySet[Customer]:
    """Each customer's place in the published run, one query a page."""
    return customers.prefetch_related(
        Prefetch(
            "memberships",
            Membership.objects.filter(
                run__state=SegmentationRun.State.PUBLISHED
            ).select_related("segment"),
            to_attr=CURRENT,
        )
    )


def _current(customer: Customer) -> Membership | None:
    found: list[Membership] = getattr(customer, CURRENT, [])
    return found[0] if found else None


@admin.display(description="Segment")
def segment_column(customer: Customer) -> SafeString | str:
    place = _current(customer)
    if place is None:
        return "not sorted yet"
    # The list is Unfold's own page: what is ours brings its styles with it.
    return format_html('<span class="attune">{}</span>', segment_name(place.segment))


@admin.display(description="How sure")
def sure_column(customer: Customer) -> str:
    place = _current(customer)
    if place is not None and place.run_segment_id is not None:
        return "placed by hand"
    if place is None or place.segment.key == "unknown":
        return "–"
    return f"{how_sure(place.probability)}, {place.probability:.0%}".replace("%", " %")


def _place(customer: Customer) -> Membership | None:
    return (
        Membership.objects.filter(customer=customer, run__state="published")
        .select_related("segment", "run_segment", "next_best", "run", "customer")
        .first()
    )


def hold_panel(request: HttpRequest, customer: Customer) -> dict[str, Any] | None:
    """Why this customer gets no promotion now; nothing where one may go."""
    hold = held([customer.pk], at=timezone.now()).get(customer.pk)
    if hold is None:
        return None
    may_know = request.user.has_perm("segmentation.view_sensitivematter")
    return {"hold": hold, "secret": hold.because == REASON and not may_know}


def why_panel(request: HttpRequest, customer: Customer) -> dict[str, Any]:
    """Where the customer is, how sure, and what speaks for and against it."""
    place = _place(customer)
    by_hand = place is not None and place.run_segment_id is not None
    try:
        explanation, outdated = explain(place) if place else None, False
    except OtherFormat:
        explanation, outdated = None, True
    return {
        "place": place,
        "read": (place.run_segment or place.segment) if place else None,
        "by_hand": by_hand,
        "pin": pin_of(customer, at=timezone.now()) if by_hand else None,
        "words": how_sure(place.probability) if place else "",
        "explanation": explanation,
        "outdated": outdated,
        "url": (
            reverse("segmentation:segment", args=[place.segment.key]) if place else ""
        ),
    }


def profile_panel(request: HttpRequest, customer: Customer) -> dict[str, Any] | None:
    """The shrunk family mix of one customer; nothing without a text."""
    profile = EmotionProfile.objects.filter(customer=customer).first()
    if profile is None or not profile.composition:
        return None
    mix = families_of(profile.composition)
    most = float(mix.max())
    return {
        "profile": profile,
        "rows": [
            (family, float(share), 100 * float(share) / most)
            for family, share in zip(FAMILIES, mix, strict=True)
        ],
    }


def readings_panel(request: HttpRequest, customer: Customer) -> dict[str, Any] | None:
    """Every text sentence by sentence, with what each reads as."""
    readings = readings_of(customer.pk, limit=20)
    return {"readings": readings} if readings else None


def timeline_notes(lines: Sequence[Interaction]) -> dict[int, SafeString]:
    """What each text of the timeline reads as, and the way to why; one query."""
    scores = EmotionScore.objects.filter(
        interaction__in=[line.pk for line in lines]
    ).defer("sentences", "notes")
    return {
        score.interaction_id: _reads_as(score)
        for score in scores
        if score.families or score.not_read not in ("", NO_TEXT)
    }


def _reads_as(score: EmotionScore) -> SafeString:
    if not score.families:
        return format_html("<span>not read: {}</span>", score.why_not_read)
    family, strength = strongest_family(families_of(score.families).tolist())
    return format_html(
        '{}<span>{} of 100{}</span><a href="{}">why</a>',
        chip(family, f"reads as {family}"),
        strength,
        ", by a person" if score.corrected else "",
        reverse("segmentation:text", args=[score.interaction_id]),
    )
