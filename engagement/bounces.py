"""What a mail that came back says: not delivered, not yet, or nothing of both. Pure.

flufl.bounce knows how dozens of mail systems write it. What it can't tell is whose
fault it is: that stands in the status codes of RFC 3464, where there are any.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import Message
from email.utils import parseaddr, parsedate_to_datetime
from typing import Final, Literal

from flufl.bounce import all_failures

Kind = Literal["permanent", "temporary", "auto_reply", "other"]

# The report stands before the mail that it returns. A line of mail has 998 characters
# at most (RFC 5322, 2.1.1), a report's have fewer; the patterns that look for addresses
# take the square of a line's length.
READ_BYTES: Final = 128 * 1024
LINE_BYTES: Final = 400
DETAIL_CHARACTERS: Final = 500
ID_CHARACTERS: Final = 200
_LONG_LINE: Final = re.compile(rb"([^\r\n]{%d})[^\r\n]+" % LINE_BYTES)
_NOT_ASCII: Final = re.compile(rb"[\x00\x80-\xff]")
_STATUS: Final = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})(?![.\d])")
_REPLY: Final = re.compile(r"\b([45])\d\d\b")
# "Other or undefined": the mail system says no more than the class.
_SAYS_NOTHING: Final = ".0.0"
# Nothing is wrong with the address: it is full, the mail too large (5.2.2, 5.2.3), the
# other mail system in trouble (5.3), the way to it (5.4.5 to 5.4.7), what the mail
# holds (5.6), or who may send there (5.7). Source: RFC 3463, section 3.
_NOT_THE_ADDRESS: Final = re.compile(r"5\.(?:2\.[23]|3\.\d+|4\.[567]|6\.\d+|7\.\d+)")
# Something is the matter with this one mailbox: full, switched off, not to be found for
# now. All else may be somebody's server, or our mail, or our name.
_THE_MAILBOX: Final = re.compile(r"[45]\.(?:1\.\d+|2\.[0124])")
# Who writes bounces, also where they are marked as automatic replies.
_MAIL_SYSTEMS: Final = ("mailer-daemon", "postmaster", "mail-daemon", "maildelivery")


@dataclass(frozen=True, slots=True)
class Bounce:
    """permanent: not delivered, and never will be; temporary: not yet.

    status: the code of RFC 3463, where it was given. said: the server's own words.
    """

    kind: Kind
    status: str = ""
    said: str = ""
    message_id: str = ""
    written_at: datetime | None = None

    @property
    def about_the_mailbox(self) -> bool:
        """It says something of the address, and not of our mail or of a server."""
        return self.address_is_dead or bool(_THE_MAILBOX.fullmatch(self.status))

    @property
    def address_is_dead(self) -> bool:
        """Mail to this address will come back tomorrow, too."""
        about_it = not _NOT_THE_ADDRESS.fullmatch(self.status)
        return self.kind == "permanent" and self.status[:1] != "4" and about_it


def read_bounce(raw: bytes) -> Bounce:
    """What a mail says about the one that it is of.

    Of raw the first READ_BYTES are read, and of each line the first LINE_BYTES. May
    raise what email or flufl.bounce raise of a mail that nobody should write.
    """
    message = _parsed(raw)
    if not _by_a_mail_system(message):
        # One detector takes any address between two commas for one that failed: a
        # person away who names a colleague would be told to be no more.
        message = _parsed(raw.replace(b",", b" "))
    message_id = _header(message, "message-id")[:ID_CHARACTERS]
    kind, status, said = _verdict(message)
    return Bounce(kind, status, said, message_id, _written_at(message))


def _verdict(message: Message) -> tuple[Kind, str, str]:
    # An address that is none is reported as an empty one.
    temporary, permanent = (set(found) - {b""} for found in all_failures(message))
    automatic = _is_automatic(message)
    # An answering machine quotes what it answers, also what looks like a bounce.
    answer = automatic and not _by_a_mail_system(message)
    if answer or not (temporary or permanent):
        return ("auto_reply" if automatic else "other"), "", ""
    return ("permanent" if permanent else "temporary"), *_status(message)


def _parsed(raw: bytes) -> Message:
    """The mail with short lines of ASCII and a sender: some detectors end in an error
    where a header is not ASCII, or there is no From."""
    short = _LONG_LINE.sub(rb"\1", raw[:READ_BYTES])
    message = message_from_bytes(_NOT_ASCII.sub(b"?", short))
    if not message.get("from"):
        del message["from"]
        message["from"] = "<>"
    return message


def _status(message: Message) -> tuple[str, str]:
    """The code and the words of the recipient that was given up; the one whose address
    is dead, if there are several."""
    found = [(_code(block), _words(block)) for block in _recipients(message)]
    for status, said in found:
        if Bounce("permanent", status).address_is_dead:
            return status, said
    return found[0] if found else ("", "")


def _recipients(message: Message) -> Iterator[Message]:
    """The parts of RFC 3464 that tell of a recipient, those given up first."""
    blocks = [
        block
        for part in message.walk()
        if part.get_content_type() == "message/delivery-status"
        for block in _blocks(part)
    ]
    actions = [(_header(block, "action").lower(), block) for block in blocks]
    failed = [one for action, one in actions if action.startswith(("fail", "error"))]
    yield from failed or [one for action, one in actions if action]


def _blocks(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [one for one in payload if isinstance(one, Message)] if payload else []


def _code(block: Message) -> str:
    """The status; where it says nothing, what the other server answered."""
    status, words = _header(block, "status"), _words(block)
    found = [".".join(match.groups()) for match in _STATUS.finditer(status)]
    if not found or found[0].endswith(_SAYS_NOTHING):
        found = [".".join(match.groups()) for match in _STATUS.finditer(words)] + found
    if found:
        return found[0]
    reply = _REPLY.search(words) or _REPLY.search(status)
    return f"{reply.group(1)}{_SAYS_NOTHING}" if reply else ""


def _words(block: Message) -> str:
    return " ".join(_header(block, "diagnostic-code").split())[:DETAIL_CHARACTERS]


def _is_automatic(message: Message) -> bool:
    """An answering machine's marks. Source: RFC 3834, section 5; the older ones too."""
    return (
        _header(message, "auto-submitted").lower().startswith("auto-replied")
        or _header(message, "precedence").lower() == "auto_reply"
        or any(name in message for name in ("x-autoreply", "x-autorespond"))
    )


def _by_a_mail_system(message: Message) -> bool:
    sender = parseaddr(_header(message, "from"))[1].lower()
    report = message.get_content_type() == "multipart/report"
    return report or sender.startswith(_MAIL_SYSTEMS)


def _header(message: Message, name: str) -> str:
    return str(message.get(name, "")).strip()


def _written_at(message: Message) -> datetime | None:
    try:
        written = parsedate_to_datetime(_header(message, "date"))
        return written.astimezone(UTC) if written.tzinfo else None
    except (ValueError, OverflowError, TypeError):
        return None
