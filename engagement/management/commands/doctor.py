"""Is this deployment well? A line a finding; 1 as its end where one is broken."""

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from engagement.examining import examine

MARKS = {"well": "ok    ", "look": "look  ", "broken": "BROKEN"}


class Command(BaseCommand):
    help = (
        "Look at settings, database, clocks, disk, secrets, links, provider, broker, "
        "sender, and at what waits for a person. Changes nothing and sends nothing."
    )
    requires_system_checks: list[str] = []  # they are findings among others

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--format", choices=["table", "json"], default="table")

    def handle(self, *args: Any, **options: Any) -> None:
        found = list(examine(at=timezone.now()))
        if options["format"] == "json":
            self.stdout.write(json.dumps([asdict(one) for one in found]))
        else:
            for one in found:
                self.stdout.write(f"{MARKS[one.state]}  {one.about:<11} {one.words}")
        if any(one.state == "broken" for one in found):
            raise SystemExit(1)
