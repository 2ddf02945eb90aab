"""What this room adds to pages of rooms to its left."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Prefetch
from django.http import HttpRequest
from django.utils import timezone

from campaigns.models import Message, Send
from customers.models import Customer
from customers.panels import CUSTOMER_PAGE, Panel
from engagement.figures import report_for_page
from engagement.models import MessageEngagement
from engagement.pictures import RatePicture, gap_picture, rate_picture
from engagement.reporting import ReportRow
from engagement.silence import Habit
from engagement.stats import Difference
from segmentation.models import Segment
from segmentation.panels import SEGMENT_PAGE

SENDS_SHOWN = 6
EVENTS_SHOWN = 12
# Mails of a customer that are looked at, and of the shop for what is usual.
MAILS_READ = 500
MAILS_OF_THE_SHOP = 5000
LATELY = timedelta(days=90)


def install() -> None:
    """Put the panels in; called once when the app starts."""
    SEGMENT_PAGE.add(
        Panel("sends", "engagement/panel_sends.html", sends_panel, order=30)
    )
    CUSTOMER_PAGE.add(
        Panel("silence", "engagement/panel_silence.html", silence_panel, order=45)
    )
    CUSTOMER_PAGE.add(
        Panel("events", "engagement/panel_events.html", events_panel, order=50)
    )


def silence_panel(request: HttpRequest, customer: Customer) -> dict[str, Any] | None:
    """That somebody who used to click no longer does; nothing where that is chance."""
    habit = habit_of(customer, at=timezone.now())
    return {"habit": habit} if habit is not None and habit.gone_quiet else None


def habit_of(customer: Customer, *, at: datetime) -> Habit | None:
    """Clicks by people in this customer's mails, before and lately; None: none clicked
    in the shop's last mails, or nobody got any."""
    mails = [
        (handed_over_at, clicked_at is not None)
        for handed_over_at, clicked_at in Message.objects.filter(
            customer=customer, state=Message.State.ACCEPTED
        )
        .order_by("-handed_over_at")
        .values_list("handed_over_at", "engagement__clicked_by_person_at")[:MAILS_READ]
        if handed_over_at is not None
    ]
    usual = _usual_rate() if mails else 0.0
    if not usual:
        return None
    lately = [clicked for when, clicked in mails if when > at - LATELY]
    before = [clicked for when, clicked in mails if when <= at - LATELY]
    first = min((when for when, _ in mails if when > at - LATELY), default=at)
    return Habit(
        clicks_before=sum(before),
        mails_before=len(before),
        clicks_lately=sum(lately),
        mails_lately=len(lately),
        days=(at - first) / timedelta(days=1),
        usual=usual,
    )


def _usual_rate() -> float:
    """Clicks by people a mail, of the shop's newest mails up to its last ended send.

    Of one under way most had no time to be clicked, and a million wait before the
    first that is accepted.
    """
    dated = Send.objects.filter(state=Send.State.SENT, standing="")
    ended = dated.order_by("-pk").first()
    if ended is None:
        return 0.0
    # Written by customers' ids; of several, since merging gives a message another one.
    last = Message.objects.filter(send=ended).order_by("-customer_id")
    up_to = max(last.values_list("pk", flat=True)[:MAILS_OF_THE_SHOP], default=0)
    newest = Message.objects.filter(state=Message.State.ACCEPTED, pk__lte=up_to)
    ids = list(newest.order_by("-pk").values_list("pk", flat=True)[:MAILS_OF_THE_SHOP])
    if not ids:
        return 0.0
    clicked = MessageEngagement.objects.filter(
        message__gte=ids[-1], message__lte=up_to, clicked_by_person_at__isnull=False
    )
    return clicked.count() / len(ids)


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
