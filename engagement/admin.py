"""Doors: tracking events as facts."""

from typing import Any

from anymail.signals import EventType
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from customers.admin import LogAdmin
from customers.templatetags.attune import moment
from engagement.models import TrackingEvent

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
