"""Anymail's signals become events; the only receivers in the house."""

from typing import Any

from anymail.signals import AnymailTrackingEvent, tracking
from django.dispatch import receiver
from django.utils import timezone

from engagement.services import CLICKED, OPENED, Event, record_event
from engagement.verdict import Hit, judge

# The only thing about a message that a provider is told (campaigns/sending).
PUBLIC_ID = "d"


@receiver(tracking)
def keep_provider_event(
    sender: object, event: AnymailTrackingEvent, esp_name: str, **kwargs: Any
) -> None:
    """Store what a provider reports of one message."""
    now = timezone.now()
    verdict, reasons = "", tuple[str, ...]()
    if event.event_type in {OPENED, CLICKED}:
        verdict, reasons = judge(
            Hit(is_click=event.event_type == CLICKED, user_agent=event.user_agent or "")
        )
    metadata = event.metadata or {}
    record_event(
        Event(
            event_type=event.event_type,
            # Some reports carry no time: when it came is then the best that is known.
            occurred_at=event.timestamp or now,
            provider=esp_name.lower(),
            public_id=_public_id(metadata.get(PUBLIC_ID)),
            provider_message_id=event.message_id or "",
            recipient=event.recipient or "",
            event_id=event.event_id or "",
            verdict=verdict,
            verdict_reasons=reasons,
            reject_reason=event.reject_reason or "",
            detail={
                key: str(value)[:500]
                for key, value in {
                    "reject_reason": event.reject_reason,
                    "description": event.description,
                    "mta_response": event.mta_response,
                    "url": event.click_url,
                    "simulated": metadata.get("simulated"),
                }.items()
                if value
            },
        ),
        at=now,
    )


def _public_id(value: object) -> int | None:
    text = str(value or "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
