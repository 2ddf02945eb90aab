"""The history of segments on the segment's and on the customer's page."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from customers.models import Customer
from customers.panels import CUSTOMER_PAGE, Panel
from segmentation.history import (
    Stay,
    comings_and_goings,
    cursor,
    entered,
    left,
    months_until,
    stays_of,
)
from segmentation.models import Segment
from segmentation.panels import SEGMENT_PAGE
from segmentation.pictures import month_bars
from segmentation.places import published_run


def install() -> None:
    """Put the panels in; called once when the app starts."""
    SEGMENT_PAGE.add(
        Panel("changes", "segmentation/panel_changes.html", comings_panel, order=40)
    )
    CUSTOMER_PAGE.add(
        Panel("segments", "segmentation/panel_stays.html", stays_panel, order=25)
    )


def comings_context(
    segment: Segment, *, at: datetime, came_after: str = "", left_after: str = ""
) -> dict[str, Any]:
    """Counts by month, and the newest who came and went."""
    by_month = comings_and_goings(segment, months_until(at))
    came, gone = entered(segment, after=came_after), left(segment, after=left_after)
    bars = month_bars(
        [one.came + one.first for one in by_month], [one.left for one in by_month]
    )
    in_use = published_run()
    return {
        "segment": segment,
        "reportable": in_use is not None and in_use.reportable,
        "months": list(zip(by_month, bars, strict=True)),
        "came": came,
        "left": gone,
        "came_after": came_after,
        "left_after": left_after,
        "came_next": cursor(came),
        "left_next": cursor(gone),
    }


def comings_panel(request: HttpRequest, segment: Segment) -> dict[str, Any]:
    return comings_context(segment, at=timezone.now())


def stays_panel(request: HttpRequest, customer: Customer) -> dict[str, Any] | None:
    """A customer's segments over time; no card before the first sorting."""
    stays = stays_of(customer)
    if not stays:
        return None
    now = timezone.now()
    return {
        "stays": [(stay, _days(stay, now)) for stay in stays if stay.since],
        "newest_first": stays[::-1],
    }


def _days(stay: Stay, now: datetime) -> float:
    """How long it lasted, for the picture; what was short can still be seen."""
    since, until = stay.since or now, stay.until or now
    return max(0.5, (until - since).total_seconds() / 86_400)
