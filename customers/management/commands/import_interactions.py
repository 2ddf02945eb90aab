"""manage.py import_interactions FILE… — a history file into customers."""

import csv
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from customers.errors import CustomersError
from customers.models import Consent
from customers.services import ImportReport, check_interactions, record_interactions
from customers.sources import SOURCES, RefusedRow
from customers.spreadsheets import formula_safe

PROBLEMS_SHOWN = 10
BASES = {
    "none": None,
    "existing_customer": Consent.Basis.EXISTING_CUSTOMER,
    "consent": Consent.Basis.CONSENT,
}


class Command(BaseCommand):
    help = "Read history files (CSV, also .gz) and store each interaction once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "files", nargs="+", metavar="FILE", help="a CSV file; - is standard input"
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="say what would happen, store nothing",
        )
        parser.add_argument(
            "--errors", metavar="FILE", help="write every refused row to this CSV"
        )
        parser.add_argument(
            "--timezone", default="UTC", help="for times without a zone (UTC)"
        )
        parser.add_argument(
            "--map",
            action="append",
            default=[],
            metavar="THEIRS=OURS",
            help="a column of the file that has another name; may be repeated",
        )
        parser.add_argument(
            "--encoding", default="", help="of the file, such as cp1252 (UTF-8)"
        )
        parser.add_argument(
            "--dates",
            choices=("day-first", "month-first"),
            default="",
            help="how 03/04/2024 is meant",
        )
        parser.add_argument(
            "--basis",
            choices=list(BASES),
            default="existing_customer",
            help="why new customers may get marketing mail, where the file is silent",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        reading = {
            "timezone": _zone(options["timezone"]),
            "mapping": _mapping(options["map"]),
            "encoding": options["encoding"],
            "dates": options["dates"],
        }
        failed = []
        with ExitStack() as stack:
            write = None
            if options["errors"]:
                write = stack.enter_context(_errors_file(options["errors"]))
            for name in options["files"]:
                try:
                    report = self._import(name, reading, options, write)
                except CustomersError as problem:
                    failed.append(f"{name}: {problem}")
                    continue
                self._say(name, report, options)
                if report.cut_off:
                    failed.append(f"{name}: {report.cut_off}")
                elif report.refused and not report.stored + report.already_known:
                    failed.append(f"{name}: every row was refused.")
        if failed:
            raise CommandError("\n".join(failed))

    def _import(
        self,
        name: str,
        reading: dict[str, Any],
        options: dict[str, Any],
        write: Callable[[str, RefusedRow], None] | None,
    ) -> ImportReport:
        source = sys.stdin.buffer if name == "-" else name
        rows = SOURCES["history_file"](source, **reading)
        shown = "standard input" if name == "-" else Path(name).name
        with _progress_bar(shown) as progress:
            common: dict[str, Any] = {
                "at": timezone.now(),
                "progress": progress,
                "refused": partial(write, shown) if write else None,
            }
            if options["dry_run"]:
                return check_interactions(rows, **common)
            return record_interactions(
                rows, source=shown, basis=BASES[options["basis"]], **common
            )

    def _say(self, name: str, report: ImportReport, options: dict[str, Any]) -> None:
        dry = options["dry_run"]
        would = "would be " if dry else ""
        self.stdout.write(f"{name}: {report.read:,} rows read")
        self.stdout.write(f"  {report.stored:>10,} {would}stored")
        self.stdout.write(f"  {report.already_known:>10,} known already")
        self.stdout.write(f"  {len(report.refused):>10,} refused")
        self.stdout.write(f"  {report.new_customers:>10,} new customers")
        for note in report.notes:
            self.stdout.write(f"  {note}")
        for row in report.refused[:PROBLEMS_SHOWN]:
            self.stdout.write(f"  {row}")
        more = len(report.refused) - PROBLEMS_SHOWN
        if more > 0:
            where = options["errors"] or "--errors FILE writes them all"
            self.stdout.write(f"  … and {more:,} more refused rows: {where}")
        if dry:
            self.stdout.write("  Nothing was stored: this was a dry run.")


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise CommandError(
            f"--timezone needs a name such as Europe/London; it is '{name}'."
        ) from None


def _mapping(pairs: list[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        theirs, equals, ours = pair.rpartition("=")
        if not equals or not theirs or not ours:
            raise CommandError(
                f"--map needs theirs=ours, such as --map Mail=email; it is '{pair}'."
            )
        found[theirs.strip()] = ours.strip()
    return found


@contextmanager
def _errors_file(name: str) -> Iterator[Callable[[str, RefusedRow], None]]:
    try:
        file = open(name, "w", newline="", encoding="utf-8")  # noqa: SIM115
    except OSError as problem:
        raise CommandError(f"--errors {name}: {problem.strerror}.") from None
    with file:
        writer = csv.writer(file)
        writer.writerow(["file", "line", "column", "value", "reason"])

        def write(source: str, row: RefusedRow) -> None:
            cells = (source, row.line, row.column, row.value, row.reason)
            writer.writerow([formula_safe(cell) for cell in cells])

        yield write


@contextmanager
def _progress_bar(name: str) -> Iterator[Callable[[int], object] | None]:
    """Rows so far, on a terminal only: logs and pipes get the summary."""
    if not sys.stderr.isatty():
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} rows"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done: bar.advance(task, done)
