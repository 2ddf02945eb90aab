"""The embedded worker: due sends, batches, housekeeping; no broker needed."""

import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.utils import timezone

from campaigns.clocks import ClocksApart, refuse_other_clocks
from campaigns.errors import AnotherInstance, ProviderMisconfigured
from campaigns.sending.engine import (
    EVERYTHING,
    Role,
    run_forever,
    run_once,
    stop_on_signals,
)
from campaigns.sending.supervising import MISCONFIGURED, stop_asked, supervise
from campaigns.tables import OldTables, refuse_old_tables


class Command(BaseCommand):
    help = (
        "Send what is due, until SIGTERM: a process for mail, one for what comes back, "
        "one for all else, each started again when it ends. --single does it all in "
        "one process, --once does what is due now and ends."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        instead = parser.add_mutually_exclusive_group()
        instead.add_argument(
            "--once", action="store_true", help="do what is due now, then end"
        )
        instead.add_argument(
            "--single",
            action="store_true",
            help="one process for everything, where memory is short",
        )
        instead.add_argument(
            "--role",
            choices=[role.value for role in Role],
            help="this part alone, beside others that are started elsewhere",
        )
        instead.add_argument(
            "--senders",
            type=int,
            default=1,
            metavar="N",
            help="so many processes for mail; more than one is for PostgreSQL",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["senders"] < 1:
            raise CommandError(
                f"--senders needs at least 1 process, got {options['senders']}."
            )
        if options["senders"] > 1 and connection.vendor == "sqlite":
            raise CommandError(
                "SQLite has one writer at a time: --senders needs PostgreSQL, or 1."
            )
        try:
            refuse_old_tables()
            refuse_other_clocks()
            if options["once"]:
                self._once()
                return
            if options["single"] or options["role"]:
                stop = threading.Event()
                stop_on_signals(stop)
                alone = options["role"]
                run_forever(stop, roles=(Role(alone),) if alone else EVERYTHING)
            else:
                self._supervise(options["senders"])
        except (
            AnotherInstance,
            ClocksApart,
            OldTables,
            ProviderMisconfigured,
        ) as problem:
            raise CommandError(str(problem), returncode=MISCONFIGURED) from None

    def _once(self) -> None:
        report = run_once(at=timezone.now())
        self.stdout.write(
            f"{len(report.batches)} batches: {report.accepted} messages "
            f"accepted, {report.in_doubt} in doubt; "
            f"{report.finished} sends ended."
        )

    def _supervise(self, senders: int) -> None:
        roles = [Role.CHORES, Role.EVENTS, *[Role.MAIL] * senders]
        if not supervise(stop_asked(), roles):
            raise CommandError(
                "A process of it could not begin; what has to be changed stands above.",
                returncode=MISCONFIGURED,
            )
