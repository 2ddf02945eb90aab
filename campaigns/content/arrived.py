"""A mail as it arrived, or is about to leave: whose is it, and what became of it? Pure.

Read with the old policy of Python's email package, which takes every header as it is
and breaks at none. A signature is read and not recomputed: that needs the DNS.
"""

import re
from collections.abc import Iterable, Sequence
from email import message_from_bytes
from email.message import Message
from email.utils import getaddresses
from typing import Final, NamedTuple

from customers.addresses import address_key

PAIR: Final = ("list-unsubscribe", "list-unsubscribe-post")
ONE_CLICK: Final = "List-Unsubscribe=One-Click"
_URL: Final = re.compile(r"<([^<>]*)>")


class Expected(NamedTuple):
    """What one mail should be. word: stands in this one and in no other."""

    address: str
    word: str
    unsubscribe: str


def is_mail(raw: bytes) -> bool:
    """Whether it has the headers that every mail has."""
    found = message_from_bytes(raw)
    return "From" in found and "To" in found


def words_in(raw: bytes, words: Iterable[str]) -> list[str]:
    """Which of these words stand in its texts."""
    text = _texts(message_from_bytes(raw))
    return [word for word in words if word in text]


def problems_of(raw: bytes, mine: Expected, others: Sequence[Expected]) -> list[str]:
    """What is wrong with this mail of mine, where others left beside it."""
    mail = message_from_bytes(raw)
    return [
        *_address_problems(mail, mine),
        *_word_problems(_texts(mail), mine, others),
        *_list_problems(mail, mine),
    ]


def signature_problem(raw: bytes) -> str:
    """Why no DKIM signature of the sender's domain names both list headers in h=.

    "" where one does. Source: RFC 6376, 3.5; RFC 8058, 4.
    """
    mail = message_from_bytes(raw)
    senders = _addresses(mail, "From")
    domain = senders[0].rpartition("@")[2] if senders else ""
    signed = [_tags(str(one)) for one in mail.get_all("DKIM-Signature", [])]
    if not signed:
        return "it has no DKIM-Signature"
    ours = [tags for tags in signed if _related(tags.get("d", ""), domain)]
    if not ours:
        domains = ", ".join(tags.get("d", "nobody") for tags in signed)
        return f"its DKIM-Signature is of {domains} and not of {domain}"
    missing = [set(PAIR) - set(tags.get("h", "").split(":")) for tags in ours]
    least = min(missing, key=len)
    if not least:
        return ""
    return f"its DKIM-Signature of {domain} does not name {' and '.join(sorted(least))}"


def _address_problems(mail: Message, mine: Expected) -> list[str]:
    problems = []
    to = _addresses(mail, "To")
    if to != [address_key(mine.address)]:
        shown = ", ".join(to) or "nobody"
        problems.append(f"To names {shown} and not {mine.address} alone")
    for name in ("Cc", "Bcc"):
        if name in mail:
            problems.append(f"it has a {name} header")
    return problems


def _word_problems(text: str, mine: Expected, others: Sequence[Expected]) -> list[str]:
    problems = []
    if mine.word not in text:
        problems.append("its own words are missing")
    if any(one.word in text for one in others):
        problems.append("it holds words of another one's mail")
    return problems


def _list_problems(mail: Message, mine: Expected) -> list[str]:
    found = [_joined(one) for one in mail.get_all("List-Unsubscribe", [])]
    post = [_joined(one) for one in mail.get_all("List-Unsubscribe-Post", [])]
    pages = [
        url for one in found for url in _URL.findall(one) if url.startswith("http")
    ]
    problems = []
    if len(found) != 1 or pages != [mine.unsubscribe]:
        shown = "; ".join(found) or "missing"
        problems.append(f"List-Unsubscribe is {shown}, not its own address")
    if post != [ONE_CLICK]:
        shown = "; ".join(post) or "missing"
        problems.append(f"List-Unsubscribe-Post is {shown}, not {ONE_CLICK}")
    return problems


def _addresses(mail: Message, name: str) -> list[str]:
    values = [str(one) for one in mail.get_all(name, [])]
    return [address_key(address) for _, address in getaddresses(values) if address]


def _texts(mail: Message) -> str:
    """Subject and every text of it, decoded; what can't be is left out."""
    parts = [str(mail.get("Subject", ""))]
    for part in mail.walk():
        if part.get_content_maintype() != "text":
            continue
        content = part.get_payload(decode=True)
        if isinstance(content, bytes):
            # Letters and digits are the same in whatever a mail is written in.
            parts.append(content.decode("ascii", errors="replace"))
    return "\n".join(parts)


def _joined(value: object) -> str:
    """A header on one line, without the blanks that folding puts in."""
    return "".join(str(value).split())


def _tags(signature: str) -> dict[str, str]:
    pairs = (one.partition("=") for one in _joined(signature).split(";"))
    return {name.lower(): value.lower() for name, _, value in pairs if name}


def _related(signer: str, domain: str) -> bool:
    """Whether one is the other, or above or below it."""
    if not signer or not domain:
        return False
    return (
        signer == domain
        or signer.endswith(f".{domain}")
        or domain.endswith(f".{signer}")
    )
