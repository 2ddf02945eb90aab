"""The embedded worker: due sends, batches, housekeeping; no broker needed."""

import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from campaigns.clocks import ClocksApart, refuse_other_clocks
from campaigns.errors import AnotherInstance, ProviderMisconfigured
from campaigns.sending.engine import run_forever, run_once, stop_on_signals


class Command(BaseCommand):
    help = "Send what is due. --once does it and ends; otherwise until SIGTERM."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--once", action="store_true", help="do what is due now, then end"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            refuse_other_clocks()
            if options["once"]:
                report = run_once(at=timezone.now())
                self.stdout.write(
                    f"{len(report.batches)} batches: {report.accepted} messages "
                    f"accepted, {report.in_doubt} in doubt; "
                    f"{report.finished} sends ended."
                )
            else:
                stop = threading.Event()
                stop_on_signals(stop)
                run_forever(stop)
        except (AnotherInstance, ProviderMisconfigured, ClocksApart) as problem:
            raise CommandError(str(problem)) from None
