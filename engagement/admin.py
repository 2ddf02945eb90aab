"""Doors: tracking events as facts, and reports that could not be taken in."""

import logging
from typing import Any

from anymail.signals import EventType
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.text import Truncator

from customers.admin import FactAdmin, LogAdmin
from customers.templatetags.attune import moment
from engagement import inbox
from engagement.models import DeadLetter, TrackingEvent

log = logging.getLogger(__name__)

# What may be on record; to ask which of them are would read every event.
EVENT_TYPES = sorted(
    value for name, value in vars(EventType).items() if not name.startswith("_")
)


class EventTypeFilter(admin.SimpleListFilter):
    title = "event"
    parameter_name = "event_type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(one, one) for one in EVENT_TYPES]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[TrackingEvent]
    ) -> QuerySet[TrackingEvent]:
        asked = self.value()
        return queryset.filter(event_type=asked) if asked in EVENT_TYPES else queryset


@admin.register(TrackingEvent)
class TrackingEventAdmin(LogAdmin):
    list_display = ["event_type", "when", "provider", "verdict", "message"]
    list_filter = [EventTypeFilter, "verdict"]
    list_select_related = ["message"]

    @admin.display(description="When", ordering="occurred_at")
    def when(self, event: TrackingEvent) -> str:
        return moment(event.occurred_at)


@admin.action(description="Take in once more", permissions=["retry"])
def try_again(
    model_admin: Any, request: HttpRequest, letters: QuerySet[DeadLetter]
) -> None:
    """Each by itself; what fails again comes back with why."""
    chosen = list(letters)
    for letter in chosen:
        inbox.try_again(letter, at=timezone.now())
    messages.info(
        request,
        f"{len(chosen)} taken in once more; what failed again is listed here again.",
    )


@admin.action(description="Nothing to be done: forget", permissions=["retry"])
def dismiss(
    model_admin: Any, request: HttpRequest, letters: QuerySet[DeadLetter]
) -> None:
    """Somebody has seen it, and that is all."""
    for letter in letters:
        log.info("%s was dismissed by %s", letter, request.user)
        letter.delete()
    messages.info(request, "Forgotten; the log says by whom.")


@admin.register(DeadLetter)
class DeadLetterAdmin(FactAdmin):
    list_display = ["failed", "provider", "problem", "said_first"]
    list_select_related = ["call"]
    ordering = ["-pk"]
    sortable_by = ()
    actions = [try_again, dismiss]  # type: ignore[list-item]

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("engagement.change_deadletter")

    @admin.display(description="When")
    def failed(self, letter: DeadLetter) -> str:
        return moment(letter.failed_at)

    @admin.display(description="Provider")
    def provider(self, letter: DeadLetter) -> str:
        return letter.call.provider

    @admin.display(description="What it said")
    def said_first(self, letter: DeadLetter) -> str:
        return Truncator(letter.said).chars(120)
