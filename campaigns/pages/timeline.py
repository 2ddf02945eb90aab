"""The page of what will be sent when."""

from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from campaigns.timeline import Hour, timeline
from customers.doors import shown_page

# Of the picture's height of 100; the least that can still be seen.
_LEAST: Final = 3.0


@require_safe
def shown(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    found = timeline(at=now)
    busy = [one for one in (*found.hours, *found.later) if one.messages]
    return shown_page(
        request,
        "campaigns/timeline.html",
        title="Timeline",
        now=now,
        found=found,
        busy=busy,
        together=sum(one.messages for one in busy),
        bars=_bars(found.hours),
        ticks=found.hours[::12],
        last=found.hours[-1],
    )


def _bars(hours: tuple[Hour, ...]) -> list[dict[str, Any]]:
    """Each hour as a place in a picture of 100 by 100."""
    most = max((one.messages for one in hours), default=0) or 1
    width = 100 / len(hours)
    return [
        {
            "hour": hour,
            "x": place * width,
            "width": width,
            "height": max(100 * hour.messages / most, _LEAST) if hour.messages else 0,
        }
        for place, hour in enumerate(hours)
    ]
