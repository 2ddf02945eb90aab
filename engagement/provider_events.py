"""Anymail's events become ours."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parseaddr

from anymail.signals import AnymailTrackingEvent

from engagement.provider_words import is_hard, is_passing, said_before, type_meant
from engagement.services import CLICKED, OPENED, UNKNOWN, Event
from engagement.verdict import Hit, judge

# The only thing about a message that a provider is told (campaigns/sending).
PUBLIC_ID = "d"
# Bounces of SendGrid that are not about the address, in Anymail's words.
_REASONS_SENDGRID = {"blocked": "blocked", "expired": "timed_out"}


def event_of(event: AnymailTrackingEvent, *, provider: str, at: datetime) -> Event:
    """What a provider reports of one message, as this room keeps it.

    at: when it came, for reports that carry no time.
    """
    said = event.esp_event
    event_type = type_meant(provider, said) or str(event.event_type)
    verdict, reasons = "", tuple[str, ...]()
    if event_type in {OPENED, CLICKED}:
        verdict, reasons = judge(
            Hit(is_click=event_type == CLICKED, user_agent=event.user_agent or "")
        )
    # Other programs of the same account put there what they like.
    metadata = event.metadata if isinstance(event.metadata, Mapping) else {}
    # Anymail says of what it does not know only that.
    is_new = event.event_type == UNKNOWN and event_type != UNKNOWN
    return Event(
        event_type=event_type,
        occurred_at=_aware(event.timestamp) or at,
        provider=provider,
        public_id=_public_id(metadata.get(PUBLIC_ID)),
        provider_message_id=as_text(event.message_id),
        recipient=_address(as_text(event.recipient)),
        event_id=as_text(event.event_id),
        verdict=verdict,
        verdict_reasons=reasons,
        reject_reason=_reason(provider, event),
        passing=is_passing(provider, said),
        address_is_dead=is_hard(provider, said),
        said_before=said_before(provider, said),
        detail={
            key: as_text(value)[:500]
            for key, value in {
                "reject_reason": event.reject_reason,
                "description": None if is_new else event.description,
                "mta_response": event.mta_response,
                "url": event.click_url,
                "simulated": metadata.get("simulated"),
            }.items()
            if value
        },
    )


def _reason(provider: str, event: AnymailTrackingEvent) -> str:
    """Why a mail did not arrive, in Anymail's words."""
    said = event.esp_event
    if event.reject_reason:
        return str(event.reject_reason)
    if provider == "sendgrid" and said.get("type") in _REASONS_SENDGRID:
        return _REASONS_SENDGRID[said["type"]]
    return "bounced" if is_hard(provider, said) else ""


def _aware(moment: datetime | None) -> datetime | None:
    """A time without a zone is meant in UTC, as every provider's is that says so."""
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=UTC)


def _address(recipient: str) -> str:
    """The address alone: SES may say it as the mail did, with a name before it."""
    alone = recipient.strip()
    found = parseaddr(alone)[1] if "<" in alone else ""
    return found if "@" in found else alone


def _public_id(value: object) -> int | None:
    text = str(value or "")
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        return None
    return number if (number := int(text)) < 2**63 else None


def as_text(value: object) -> str:
    """As text a database can keep: no NUL, no half of a pair of surrogates."""
    return str(value or "").replace("\0", "").encode(errors="replace").decode()
