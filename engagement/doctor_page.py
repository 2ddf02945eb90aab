"""What `manage.py doctor` says, as a page."""

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from customers.doors import shown_page
from engagement.examining import Finding, examine

# The worst first.
_ORDER: Final = ("broken", "look", "well")
_ICONS: Final = {"broken": "stop", "look": "warn", "well": "check"}
_LABELS: Final = {"broken": "broken", "look": "a person should look", "well": "well"}


@require_safe
def doctor(request: HttpRequest) -> HttpResponse:
    """Look now; a broker or a mail server that does not answer costs some seconds."""
    now = timezone.now()
    found = sorted(examine(at=now), key=lambda one: _ORDER.index(one.state))
    return shown_page(
        request,
        "engagement/doctor.html",
        title=_headline(found),
        looked_at=now,
        findings=[(one, _ICONS[one.state], _LABELS[one.state]) for one in found],
    )


def _headline(found: list[Finding]) -> str:
    states = [one.state for one in found]
    if "broken" in states:
        return f"Not everything works: {_things(states.count('broken'))} broken."
    if "look" in states:
        return f"It works; {_things(states.count('look'))} for a person to look at."
    return "Everything is well."


def _things(count: int) -> str:
    return f"{count} thing{'s' if count > 1 else ''}"
