"""Mail that came back: of which message it is, and what it tells of that one.

Whom it is about says the address that it came to, which we signed; nothing that stands
in it. What has no such address is not kept, and stops mail to nobody.
"""

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from campaigns.content.return_path import message_of
from engagement.bounces import READ_BYTES, Bounce, read_bounce
from engagement.models import WebhookCall
from engagement.provider_events import PUBLIC_ID, as_text
from engagement.services import AUTO_REPLIED, BOUNCED, DEFERRED, UNKNOWN, Event

BOUNCE_MAIL: Final = "bounce mail"
# What the report may stand behind is not read either.
KEPT_BYTES: Final = READ_BYTES
HEAD_BYTES: Final = 64 * 1024
ADDRESSES_MOST: Final = 50
_EVENT_TYPES: Final = {
    "permanent": BOUNCED,
    "temporary": DEFERRED,
    "auto_reply": AUTO_REPLIED,
    "other": UNKNOWN,
}
# Where mail systems write down whom they deliver to; their names for it, then ours.
_CAME_TO: Final = re.compile(
    rb"^(?:x-original-to|delivered-to|envelope-to|x-envelope-to|to):"
    rb"([^\n]*(?:\n[ \t][^\n]*)*)",
    re.IGNORECASE | re.MULTILINE,
)
_ADDRESS: Final = re.compile(rb"[^\s<>,;:\"()@]{1,64}@[^\s<>,;:\"()@]{1,255}")
_HEAD_ENDS: Final = re.compile(rb"\r?\n\r?\n")


def message_meant(raw: bytes, *, recipient: str, keys: Sequence[str]) -> int | None:
    """The public id of the message that a mail is about; None if it names none of ours.

    recipient: the address it was delivered to, where the mail system says so.
    """
    for address in [recipient, *_came_to(raw)][:ADDRESSES_MOST]:
        public_id = message_of(address, keys)
        if public_id is not None:
            return public_id
    return None


def _came_to(raw: bytes) -> list[str]:
    head = _HEAD_ENDS.split(raw[:HEAD_BYTES], maxsplit=1)[0]
    return [
        found.decode("ascii", "replace")
        for header in _CAME_TO.findall(head)
        for found in _ADDRESS.findall(header)[:ADDRESSES_MOST]
    ]


def event_of_mail(call: WebhookCall) -> Event:
    """What a mail that came back tells of its message."""
    public_id, body = int(call.headers[PUBLIC_ID]), bytes(call.body)
    bounce = read_bounce(body)
    identity = bounce.message_id or hashlib.sha256(body).hexdigest()
    said = {"status": bounce.status, "mta_response": bounce.said}
    return Event(
        event_type=_EVENT_TYPES[bounce.kind],
        occurred_at=_told_at(bounce, call),
        provider=BOUNCE_MAIL,
        public_id=public_id,
        # Not by its time: another copy may come another way.
        event_id=as_text(f"{public_id} {identity}"),
        reject_reason=_reason(bounce),
        passing=not bounce.address_is_dead,
        detail={name: as_text(value) for name, value in said.items() if value},
    )


def _reason(bounce: Bounce) -> str:
    """In Anymail's words."""
    if bounce.kind != "permanent":
        return ""
    return "bounced" if bounce.about_the_mailbox else "blocked"


def _told_at(bounce: Bounce, call: WebhookCall) -> datetime:
    """When it was written; no clock but ours makes it later than when it came."""
    written = bounce.written_at
    return min(written, call.received_at) if written else call.received_at
