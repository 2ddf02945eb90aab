"""Free clusters beside the segments in use, as the page shows them."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from segmentation.clustering.diagnostics import Clustering, Diagnosis
from segmentation.diagnosing import ask_diagnosis, carry_out_diagnosis
from segmentation.places import published_run


class Command(BaseCommand):
    help = (
        "Hold free clusters (k-means, 2 to 10 of them) against the segments of the run "
        "in use, on at most 5,000 customers with three texts or more; keep the figures "
        "with the run and print them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--format", choices=["table", "json"], default="table")

    def handle(self, *args: Any, **options: Any) -> None:
        run = published_run()
        if run is None:
            raise CommandError("No run is in use yet: import a history first.")
        now = timezone.now()
        asked = carry_out_diagnosis(ask_diagnosis(run, by=None, at=now).pk, at=now)
        if asked.refused:
            raise CommandError(asked.refused)
        if options["format"] == "json":
            self.stdout.write(json.dumps(asked.figures))
            return
        found = Diagnosis.from_json(asked.figures)
        self.stdout.write(
            f"Run {run.pk}, {found.customers:,} customers, {found.texts:,} texts"
        )
        self.stdout.write("groups    silhouette  stability  names kept  agreement")
        self._line("segments", found.segments)
        for one in found.free:
            self._line(f"free {one.groups}", one)

    def _line(self, name: str, one: Clustering) -> None:
        self.stdout.write(
            f"{name:<9} {one.silhouette:>10.3f} {one.stability:>10.3f} "
            f"{one.kept:>11.1%} {one.agreement:>10.3f}"
        )
