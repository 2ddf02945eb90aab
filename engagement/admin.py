"""Doors: tracking events as facts."""

from django.contrib import admin

from customers.admin import LogAdmin
from customers.templatetags.attune import moment
from engagement.models import TrackingEvent


@admin.register(TrackingEvent)
class TrackingEventAdmin(LogAdmin):
    list_display = ["event_type", "when", "provider", "verdict", "message"]
    list_filter = ["event_type", "verdict", "provider"]
    list_select_related = ["message"]

    @admin.display(description="When", ordering="occurred_at")
    def when(self, event: TrackingEvent) -> str:
        return moment(event.occurred_at)
