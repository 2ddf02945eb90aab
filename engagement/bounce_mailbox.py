"""Mail that came back into a mailbox on another machine, taken from there by IMAP.

What is ours is kept in the database first and deleted there then: whoever dies between
finds it again, and it is kept once. What is not ours is marked as seen and stays.
"""

import imaplib
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from time import monotonic
from typing import Final, NamedTuple

from engagement.bounce_mail import KEPT_BYTES
from engagement.errors import EngagementError
from engagement.inbox import keep_mail
from engagement.mailbox_url import Mailbox

# Each answer: an engine does nothing else meanwhile.
ANSWER_SECONDS: Final = 5.0
# Read in one answer, and taken in one look.
TOGETHER: Final = 20
MOST: Final = 500
_UID: Final = re.compile(rb"\bUID (\d+)")


class MailboxTrouble(EngagementError):
    """The mailbox can't be read, and what a person may do about it."""


class Taken(NamedTuple):
    """ours were kept, others marked; more wait there."""

    ours: int
    others: int
    more: bool


def take_mailbox(
    mailbox: Mailbox, *, at: datetime, until: float = float("inf")
) -> Taken:
    """Take what has come; twice, or by two at once, is once.

    until: read no more after this time.monotonic(), after TOGETHER mails at least.
    Raises MailboxTrouble.
    """
    ours = others = 0
    with _opened(mailbox) as server:
        waiting = _waiting(server)
        for start in range(0, min(len(waiting), MOST), TOGETHER):
            if start and monotonic() >= until:
                break
            uids = waiting[start : start + TOGETHER]
            kept: list[bytes] = []
            left: list[bytes] = []
            for uid, raw in _read(server, uids):
                mine = keep_mail(raw, recipient="", at=at)
                (kept if mine else left).append(uid)
            _mark(server, left, r"(\Seen)")
            _delete(server, kept)
            ours, others = ours + len(kept), others + len(left)
    # What could not be read waits for the next look, which is no reason to hurry.
    return Taken(ours, others, more=0 < ours + others < len(waiting))


def count_waiting(mailbox: Mailbox) -> int:
    """How many mails nobody has looked at. Raises MailboxTrouble."""
    with _opened(mailbox, to_change=False) as server:
        return len(_waiting(server))


@contextmanager
def _opened(mailbox: Mailbox, *, to_change: bool = True) -> Iterator[imaplib.IMAP4]:
    """Logged in, with its folder open; what goes wrong is told without the password."""
    try:
        with _connected(mailbox) as server:
            _log_in(server, mailbox)
            said, _ = server.select(_quoted(mailbox.folder), readonly=not to_change)
            if said != "OK":
                raise MailboxTrouble(
                    f"The server has no folder {mailbox.folder}: correct the end of "
                    "ATTUNE_BOUNCE_IMAP_URL."
                )
            yield server
    except ssl.SSLError as problem:
        raise MailboxTrouble(
            f"The mailbox {mailbox} can't be reached safely ({problem.reason}): its "
            "certificate has to be good for the name in ATTUNE_BOUNCE_IMAP_URL."
        ) from None
    except (OSError, imaplib.IMAP4.error) as problem:
        raise MailboxTrouble(
            f"The mailbox {mailbox} does not answer as it should "
            f"({type(problem).__name__}): it is tried again."
        ) from problem


def _connected(mailbox: Mailbox) -> imaplib.IMAP4:
    context = ssl.create_default_context()
    if mailbox.implicit_tls:
        return imaplib.IMAP4_SSL(
            mailbox.host, mailbox.port, ssl_context=context, timeout=ANSWER_SECONDS
        )
    server = imaplib.IMAP4(mailbox.host, mailbox.port, timeout=ANSWER_SECONDS)
    if mailbox.encryption == "never":
        return server
    if "STARTTLS" in server.capabilities:
        server.starttls(ssl_context=context)
    elif mailbox.encryption == "required":
        server.shutdown()
        raise MailboxTrouble(
            f"{mailbox.host} offers no TLS, and whoever is on the way would read the "
            "password: use imaps://, or encryption=never on a line that you trust."
        )
    return server


def _log_in(server: imaplib.IMAP4, mailbox: Mailbox) -> None:
    try:
        if "AUTH=PLAIN" in server.capabilities:
            login = f"\0{mailbox.user}\0{mailbox.password}".encode()
            server.authenticate("PLAIN", lambda _: login)
        else:
            # imaplib puts the password in quotes, but not the name.
            server.login(_quoted(mailbox.user), mailbox.password)
    except imaplib.IMAP4.abort:
        raise
    except (imaplib.IMAP4.error, UnicodeEncodeError):
        raise MailboxTrouble(
            f"{mailbox.host} refused the log-in: correct name and password in "
            "ATTUNE_BOUNCE_IMAP_URL."
        ) from None


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _waiting(server: imaplib.IMAP4) -> list[bytes]:
    _, found = server.uid("SEARCH", "UNSEEN", "UNDELETED")
    uids: list[bytes] = (found[0] or b"").split() if found else []
    return uids


def _read(server: imaplib.IMAP4, uids: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """UID and beginning of each that is still there."""
    which = b",".join(uids).decode()
    _, said = server.uid("FETCH", which, f"(UID BODY.PEEK[]<0.{KEPT_BYTES}>)")
    for place, one in enumerate(said):
        if not isinstance(one, tuple):
            continue
        # Servers put the number before the mail, or behind it.
        behind = said[place + 1] if place + 1 < len(said) else b""
        behind = behind if isinstance(behind, bytes) else b""
        number = _UID.search(one[0]) or _UID.search(behind)
        if number is not None:
            yield number[1], one[1]


def _mark(server: imaplib.IMAP4, uids: list[bytes], flag: str) -> None:
    if uids:
        server.uid("STORE", b",".join(uids).decode(), "+FLAGS.SILENT", flag)


def _delete(server: imaplib.IMAP4, uids: list[bytes]) -> None:
    if not uids:
        return
    _mark(server, uids, r"(\Deleted)")
    if "UIDPLUS" in server.capabilities:
        server.uid("EXPUNGE", b",".join(uids).decode())
    else:
        server.expunge()
