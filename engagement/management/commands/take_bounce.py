"""A mail that came back, on standard input: kept, and taken in by who does the work.

Ends with 0 when it is kept or not about a message of ours, and with 75 (sysexits.h: try
again later) when the database is away. Nothing of what it reads can make it bounce.
"""

import logging
import sys
from pathlib import Path
from typing import Any, BinaryIO, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error
from django.utils import timezone

from engagement.bounce_mail import KEPT_BYTES
from engagement.bounce_mailbox import MailboxTrouble, take_mailbox
from engagement.inbox import keep_mail

log = logging.getLogger(__name__)

TRY_AGAIN_LATER: Final = 75
PIECE_BYTES: Final = 64 * 1024


class Command(BaseCommand):
    help = (
        "Take one mail that came back from standard input, for a mail server's pipe; "
        "or with --maildir every new mail of a Maildir, or with --imap of the mailbox "
        "in ATTUNE_BOUNCE_IMAP_URL."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "recipient",
            nargs="?",
            default="",
            help="whom it was delivered to; without it its headers are asked",
        )
        parser.add_argument(
            "--maildir",
            type=Path,
            help="take new/ of this folder: what is ours is deleted once it is kept, "
            "the rest goes to cur/",
        )

        parser.add_argument(
            "--imap",
            action="store_true",
            help="take the mailbox of ATTUNE_BOUNCE_IMAP_URL, as run_engine and beat "
            "do every minute",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["imap"]:
                self.stdout.write(_take_imap())
            elif options["maildir"] is None:
                take(sys.stdin.buffer, recipient=options["recipient"])
            else:
                take_maildir(options["maildir"])
        except Error as problem:
            # The kind of error only: its text may hold what was to be written.
            log.error("the mail is to come again: %s", type(problem).__name__)
            raise SystemExit(TRY_AGAIN_LATER) from None


def take(mail: BinaryIO, *, recipient: str) -> bool:
    """Keep one mail; returns whether it is about a message of ours."""
    raw = mail.read(KEPT_BYTES)
    # To its end: a server whose pipe breaks would take it for a failure.
    while mail.read(PIECE_BYTES):
        pass
    ours = keep_mail(raw, recipient=recipient, at=timezone.now())
    if not ours:
        log.info("a mail that names no message of ours was not kept")
    return ours


def _take_imap() -> str:
    if settings.BOUNCE_MAILBOX is None:
        raise CommandError("No mailbox is set: ATTUNE_BOUNCE_IMAP_URL is empty.")
    try:
        taken = take_mailbox(settings.BOUNCE_MAILBOX, at=timezone.now())
    except MailboxTrouble as trouble:
        raise CommandError(str(trouble)) from None
    return f"Kept: {taken.ours}; not about a message of ours: {taken.others}."


def take_maildir(folder: Path) -> None:
    """Every new mail, each by itself; twice, or by two at once, is once."""
    if not (folder / "new").is_dir() or not (folder / "cur").is_dir():
        raise CommandError(f"{folder} is no Maildir: it has no folders new and cur.")
    for path in sorted((folder / "new").iterdir()):
        if path.name.startswith(".") or not path.is_file():
            continue
        try:
            with path.open("rb") as mail:
                ours = take(mail, recipient="")
            if ours:
                path.unlink()
            else:
                path.rename(folder / "cur" / f"{path.name}:2,")
        except FileNotFoundError:
            continue  # another one took it
