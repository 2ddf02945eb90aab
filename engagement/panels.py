"""What this room adds to pages of rooms to its left."""

from typing import Any

from django.db.models import Prefetch
from django.http import HttpRequest

from campaigns.models import Message, Send
from customers.models import Customer
from customers.panels import CUSTOMER_PAGE, Panel
from engagement.figures import report_for_page
from engagement.pictures import RatePicture, gap_picture, rate_picture
from engagement.reporting import ReportRow
from engagement.stats import Difference
from segmentation.models import Segment
from segmentation.panels import SEGMENT_PAGE

SENDS_SHOWN = 6
EVENTS_SHOWN = 12


def install() -> None:
    """Put the panels in; called once when the app starts."""
    SEGMENT_PAGE.add(
        Panel("sends", "engagement/panel_sends.html", sends_panel, order=30)
    )
    CUSTOMER_PAGE.add(
        Panel("events", "engagement/panel_events.html", events_panel, order=50)
    )


def sends_panel(request: HttpRequest, segment: Segment) -> dict[str, Any]:
    """How past sends did with these customers, fitting words against neutral ones."""
    lines, uncounted = [], []
    simulated = False
    for send in Send.objects.filter(state=Send.State.SENT).select_related("campaign")[
        :SENDS_SHOWN
    ]:
        found = report_for_page(send)
        if found is None:
            uncounted.append(send)
            continue
        row = next(
            (one for one in found.segments if one.segment_key == segment.key), None
        )
        if row is None or not row.sent:
            continue
        gap = next(
            (one.gap for one in found.comparisons if one.segment_key == segment.key),
            None,
        )
        simulated = simulated or bool(found.simulated)
        lines.append({**_line(send, row, gap), "counted_at": found.counted_at})
    return {
        "segment": segment,
        "lines": lines,
        "uncounted": uncounted,
        "simulated": simulated,
    }


def _line(send: Send, row: ReportRow, gap: Difference | None) -> dict[str, Any]:
    clicked: RatePicture = rate_picture(row.rate("clicked"))
    return {
        "send": send,
        "row": row,
        "clicked": clicked,
        "gap": gap,
        "picture": gap_picture(gap) if gap else None,
    }


def events_panel(request: HttpRequest, customer: Customer) -> dict[str, Any] | None:
    """What came back from this customer's mails."""
    messages = (
        Message.objects.filter(customer=customer, events__isnull=False)
        .distinct()
        .select_related("send__campaign")
        .prefetch_related(Prefetch("events"))
        .order_by("-pk")[:5]
    )
    rows = [
        (message, list(message.events.all())[:EVENTS_SHOWN]) for message in messages
    ]
    return {"rows": rows} if rows else None
