"""What a provider's own report says where Anymail's word for it says too little.

Each asks a report (esp_event) of one provider, by Anymail's name of it in lower case.
Anymail has one word for bounces that pass and for those that do not, gives some of them
no reason, and does not know every kind of report. Source: the providers' own event
tables.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from engagement.services import (
    BOUNCED,
    CLICKED,
    COMPLAINED,
    DEFERRED,
    DELIVERED,
    OPENED,
    UNKNOWN,
    UNSUBSCRIBED,
)

Said = Mapping[str, Any]

_HARD_POSTMARK = {"HardBounce", "BadEmailAddress", "ManuallyDeactivated"}
_SOFT_SPARKPOST = {"20", "21", "22", "23", "24", "40", "60", "70", "100"}
# A full mailbox, a large mail, a server that was set up wrongly.
_SOFT_UNISENDER = {"err_mailbox_full", "err_too_large", "err_will_retry"}
_SOFT_UNISENDER |= {"err_destination_misconfigured"}
# No such mailbox, no such system, it has moved, it takes no mail at all: RFC 3463 3.2,
# RFC 7505 4. Of any other refusal the mail may be the reason.
_NOBODY_THERE = re.compile(r"\b5\.1\.(?:1|2|6|10)\b")


def is_passing(provider: str, said: object) -> bool:
    """Whether a report tells of a bounce that may not bounce again."""
    return bool(_asked(_PASSING, provider, said))


def is_hard(provider: str, said: object) -> bool:
    """Whether a report says that the address was given up, without a reason of
    Anymail's that says so."""
    return bool(_asked(_HARD, provider, said))


def said_before(provider: str, said: object) -> str:
    """COMPLAINED or UNSUBSCRIBED, if a mail was kept back since its recipient had said
    that to the provider; else nothing."""
    return _asked(_SAID_BEFORE, provider, said) or ""


def type_meant(provider: str, said: object) -> str:
    """Anymail's name of what happened, where Anymail itself has another; else ""."""
    return _asked(_MEANT, provider, said) or ""


def _asked(
    table: Mapping[str, Callable[[Said], Any]], provider: str, said: object
) -> Any:
    ask = table.get(provider)
    return ask(said) if ask is not None and isinstance(said, Mapping) else None


def _inner(said: Said, *names: str) -> Said:
    for name in names:
        found = said.get(name)
        said = found if isinstance(found, Mapping) else {}
    return said


def _sparkpost(said: Said) -> Iterator[Said]:
    """The event, which stands within "msys" under the name of its class."""
    for event in _inner(said, "msys").values():
        if isinstance(event, Mapping):
            yield event


def _unisender(said: Said) -> str:
    return str(_inner(said, "delivery_info").get("delivery_status", ""))


_PASSING: dict[str, Callable[[Said], bool]] = {
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
        _inner(said, "data", "bounce").get("type", "Permanent") != "Permanent"
    ),
    # Refused for what was written or by whom; tried for three days in vain.
    "sendgrid": lambda said: said.get("type") in {"blocked", "expired"},
    "sparkpost": lambda said: any(
        str(event.get("bounce_class", "")) in _SOFT_SPARKPOST
        for event in _sparkpost(said)
    ),
    "mailtrap": lambda said: said.get("event") == "soft bounce",
    "mailersend": lambda said: said.get("type") == "activity.soft_bounced",
    "unisender go": lambda said: _unisender(said) in _SOFT_UNISENDER,
}


def _hard_mailjet(said: Said) -> bool:
    # Anymail knows some of its words; these three are not about the address.
    about_us = said.get("error") in {"blacklisted", "spam reporter", "greylisted"}
    whose = said.get("error_related_to") in {"recipient", "domain"}
    return said.get("hard_bounce") is True and whose and not about_us


def _hard_postal(said: Said) -> bool:
    """Refused for good, by a server that knows nobody of that name."""
    about = _inner(said, "payload")
    output = str(about.get("output", ""))
    return about.get("status") == "HardFail" and bool(_NOBODY_THERE.search(output))


_HARD: dict[str, Callable[[Said], bool]] = {
    "mailersend": lambda said: said.get("type") == "activity.hard_bounced",
    "mailjet": _hard_mailjet,
    "mandrill": lambda said: said.get("event") == "hard_bounce",
    "postal": _hard_postal,
    # Also of an address from which it keeps mail since it bounced.
    "resend": lambda said: _inner(said, "data", "bounce").get("type") == "Permanent",
    "sendgrid": lambda said: said.get("event") == "bounce",
    "unisender go": lambda said: (
        said.get("status") == "hard_bounced" and not _unisender(said).startswith("err")
    ),
}


def _no_of_mailgun(said: Said) -> str | None:
    # A form has a code of Mailgun's own.
    of_form = said.get("code") if said.get("event") == "dropped" else None
    return {
        "suppress-complaint": COMPLAINED,
        "suppress-unsubscribe": UNSUBSCRIBED,
        "607": COMPLAINED,
        "606": UNSUBSCRIBED,
    }.get(str(_inner(said, "event-data").get("reason") or of_form))


def _no_of_sendgrid(said: Said) -> str | None:
    reason = said.get("reason") if said.get("event") == "dropped" else None
    return {
        "spam reporting address": COMPLAINED,
        "unsubscribed address": UNSUBSCRIBED,
    }.get(str(reason).lower())


_SAID_BEFORE: dict[str, Callable[[Said], str | None]] = {
    "mailgun": _no_of_mailgun,
    "mailjet": lambda said: {"spam reporter": COMPLAINED}.get(str(said.get("error"))),
    "mandrill": lambda said: (
        {"spam": COMPLAINED, "unsub": UNSUBSCRIBED}.get(
            str(_inner(said, "reject").get("reason"))
        )
        if said.get("event") == "reject"
        else None
    ),
    "sendgrid": _no_of_sendgrid,
    "unisender go": lambda said: {"err_unsubscribed": UNSUBSCRIBED}.get(
        _unisender(said)
    ),
}


def _meant_by_ses(said: Said) -> str | None:
    kind = said.get("eventType") or said.get("notificationType")
    if kind == "DeliveryDelay":
        return DEFERRED
    wants = _inner(said, "subscription", "newTopicPreferences")
    if kind == "Subscription" and wants.get("unsubscribeAll") is True:
        return UNSUBSCRIBED
    # Somebody took our mail out of the spam folder. RFC 6430, "not-spam".
    about = _inner(said, "complaint").get("complaintFeedbackType")
    return UNKNOWN if kind == "Complaint" and about == "not-spam" else None


def _meant_by_sparkpost(said: Said) -> str | None:
    kinds = {(one.get("type"), one.get("fbtype")) for one in _sparkpost(said)}
    return UNKNOWN if ("spam_complaint", "not-spam") in kinds else None


def _meant_by_postal(said: Said) -> str | None:
    if said.get("event") == "MessageLoaded":
        return OPENED
    return BOUNCED if _hard_postal(said) else None


_MEANT: dict[str, Callable[[Said], str | None]] = {
    "amazon ses": _meant_by_ses,
    "brevo": lambda said: {"unsubscribed": UNSUBSCRIBED}.get(str(said.get("event"))),
    "mailersend": lambda said: {
        "deferred": DEFERRED,
        "opened_unique": OPENED,
        "clicked_unique": CLICKED,
    }.get(str(_inner(said, "data").get("type"))),
    "mandrill": lambda said: {"delivered": DELIVERED}.get(str(said.get("event"))),
    "postal": _meant_by_postal,
    "sparkpost": _meant_by_sparkpost,
}
_MEANT["sendinblue"] = _MEANT["brevo"]
