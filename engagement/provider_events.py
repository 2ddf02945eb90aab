"""Anymail's events become ours."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from anymail.signals import AnymailTrackingEvent

from engagement.services import BOUNCED, CLICKED, DELIVERED, OPENED, Event
from engagement.verdict import Hit, judge

# What a provider calls a bounce that may not bounce again, by where it says so. Anymail
# maps hard and soft ones to the same word. Source: the providers' own event tables.
_HARD_POSTMARK = {"HardBounce", "BadEmailAddress", "ManuallyDeactivated"}
_SOFT_SPARKPOST = {"20", "21", "22", "23", "24", "40", "60", "70", "100"}
_PASSING: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "brevo": lambda said: said.get("event") == "soft_bounce",
    "sendinblue": lambda said: said.get("event") == "soft_bounce",
    "postmark": lambda said: (
        said.get("RecordType") == "Bounce" and said.get("Type") not in _HARD_POSTMARK
    ),
    "amazon ses": lambda said: (
        _inner(said, "bounce").get("bounceType", "Permanent") != "Permanent"
    ),
    "mailgun": lambda said: (
        _inner(said, "event-data").get("severity") == "temporary"
        or said.get("severity") == "temporary"
    ),
    "mailjet": lambda said: said.get("hard_bounce") is False,
    "resend": lambda said: (
        _inner(_inner(said, "data"), "bounce").get("type", "Permanent") != "Permanent"
    ),
    "sendgrid": lambda said: said.get("type") == "blocked",
    "sparkpost": lambda said: any(
        str(event.get("bounce_class", "")) in _SOFT_SPARKPOST
        # Within "msys", under the name of its class.
        for event in (said, *_inner(said, "msys").values())
        if isinstance(event, Mapping)
    ),
    "mailtrap": lambda said: said.get("event") == "soft bounce",
    "mailersend": lambda said: said.get("type") == "activity.soft_bounced",
}
# Hard bounces for which Anymail gives no reason.
_HARD: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "mandrill": lambda said: said.get("event") == "hard_bounce",
    "sendgrid": lambda said: said.get("event") == "bounce",
    "unisender go": lambda said: said.get("status") == "hard_bounced",
    "postal": lambda said: _is_for_nobody(said),
}
# No such mailbox, no such system, it has moved, it takes no mail at all: RFC 3463 3.2,
# RFC 7505 4. Of any other refusal the mail may be the reason.
_NOBODY_THERE = re.compile(r"\b5\.1\.(?:1|2|6|10)\b")
# The only thing about a message that a provider is told (campaigns/sending).
PUBLIC_ID = "d"


def _inner(said: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = said.get(name)
    return found if isinstance(found, Mapping) else {}


def is_passing(provider: str, said: object) -> bool:
    """Whether a provider's own report (esp_event) tells of a passing bounce."""
    known = _PASSING.get(provider)
    return known is not None and isinstance(said, Mapping) and known(said)


def _type(provider: str, event: AnymailTrackingEvent) -> str:
    """Anymail's name of what happened, also where it has none for a provider's word."""
    said = event.esp_event
    if isinstance(said, Mapping):
        if provider == "mandrill" and said.get("event") == "delivered":
            return DELIVERED
        if provider == "postal" and _is_for_nobody(said):
            return BOUNCED
    found: str = event.event_type
    return found


def _is_for_nobody(said: Mapping[str, Any]) -> bool:
    """Postal: refused for good, by a server that knows nobody of that name."""
    about = _inner(said, "payload")
    output = str(about.get("output", ""))
    return about.get("status") == "HardFail" and bool(_NOBODY_THERE.search(output))


def _reason(provider: str, event: AnymailTrackingEvent) -> str:
    """Why a mail did not arrive, in Anymail's words."""
    known, said = _HARD.get(provider), event.esp_event
    if not isinstance(said, Mapping):
        return event.reject_reason or ""
    if provider == "sendgrid" and said.get("type") == "blocked":
        return "blocked"  # of our mail or our name, in its own words; not the address
    hard = known is not None and known(said)
    return event.reject_reason or ("bounced" if hard else "")


def event_of(event: AnymailTrackingEvent, *, provider: str, at: datetime) -> Event:
    """What a provider reports of one message, as this room keeps it.

    at: when it came, for reports that carry no time.
    """
    verdict, reasons = "", tuple[str, ...]()
    if event.event_type in {OPENED, CLICKED}:
        verdict, reasons = judge(
            Hit(is_click=event.event_type == CLICKED, user_agent=event.user_agent or "")
        )
    metadata = event.metadata or {}
    return Event(
        event_type=_type(provider, event),
        occurred_at=event.timestamp or at,
        provider=provider,
        public_id=_public_id(metadata.get(PUBLIC_ID)),
        provider_message_id=as_text(event.message_id),
        recipient=as_text(event.recipient),
        event_id=as_text(event.event_id),
        verdict=verdict,
        verdict_reasons=reasons,
        reject_reason=_reason(provider, event),
        passing=is_passing(provider, event.esp_event),
        detail={
            key: as_text(value)[:500]
            for key, value in {
                "reject_reason": event.reject_reason,
                "description": event.description,
                "mta_response": event.mta_response,
                "url": event.click_url,
                "simulated": metadata.get("simulated"),
            }.items()
            if value
        },
    )


def _public_id(value: object) -> int | None:
    text = str(value or "")
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        return None
    return number if (number := int(text)) < 2**63 else None


def as_text(value: object) -> str:
    """As text a database can keep: no NUL, no half of a pair of surrogates."""
    return str(value or "").replace("\0", "").encode(errors="replace").decode()
