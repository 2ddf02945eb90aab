"""Compare stored profiles with a full recomputation."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from segmentation.checking import check_profiles, mend_profiles


class Command(BaseCommand):
    help = (
        "Compare every profile with all its texts; ends with an error if any differs."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--mend", action="store_true", help="fold those that differ anew"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        found = check_profiles(at=timezone.now())
        differ = len(found.differ)
        self.stdout.write(
            f"Customers: {found.customers:,}. Profiles that differ: {differ:,}; "
            f"with news still to be folded: {found.waiting:,}."
        )
        if differ and options["mend"]:
            mend_profiles(found.differ, at=timezone.now())
            left = len(check_profiles(at=timezone.now()).differ)
            self.stdout.write(f"{differ - left:,} mended.")
            differ = left
        if differ:
            raise CommandError(
                f"Profiles that differ from their texts: {differ:,}, the first of "
                f"customer {found.differ[0]}. Mend them with --mend."
            )
