"""Read what is new, fit, publish if nothing needs approval."""

from datetime import UTC, datetime
from typing import IO, Any, cast

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from rich.console import Console
from rich.progress import Progress

from segmentation.errors import SegmentationError
from segmentation.scoring import of_other_versions, read_again, usable_processes
from segmentation.services import refresh_segments


class Command(BaseCommand):
    help = "Read new texts, sort customers into segments, publish."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--as-of", help="cut-off, e.g. 2026-03-01 (default: now)")
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument(
            "--read-again",
            action="store_true",
            help="first read again what earlier weights or rules have read",
        )
        parser.add_argument(
            "--workers",
            type=int,
            default=usable_processes(),
            help="processes that read texts at once",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        console = Console(file=cast(IO[str], self.stdout), highlight=False)
        at = _moment(options["as_of"])
        if options["read_again"]:
            again = read_again(of_other_versions())
            console.print(f"{again:,} texts read again")
        with Progress(console=console, transient=True) as bar:
            task = bar.add_task("texts read", total=None)
            try:
                done = refresh_segments(
                    at=at,
                    seed=options["seed"],
                    workers=options["workers"],
                    progress=lambda n, total: bar.update(task, advance=n, total=total),
                )
            except SegmentationError as problem:
                raise CommandError(str(problem)) from None
        console.print(str(done))


def _moment(given: str | None) -> datetime:
    if not given:
        return timezone.now()
    try:
        found = parse_datetime(given) or datetime.fromisoformat(given)
    except ValueError:
        raise CommandError(
            f"--as-of needs a date such as 2026-03-01; it is {given!r}."
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
