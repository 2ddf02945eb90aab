"""A person says that this deployment, and no other, sends from this database."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from campaigns.errors import CampaignsError
from campaigns.management.log_in import log_in
from campaigns.sending.instance import adopt


class Command(BaseCommand):
    help = (
        "Take over a restored or copied database: from now on this deployment sends, "
        "and the one it came from does not. Sends under way are paused."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--by", default="", help="your name, if not the log-in's")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done = adopt(at=timezone.now(), by=options["by"] or log_in())
        except CampaignsError as problem:
            raise CommandError(str(problem)) from None
        self.stdout.write(
            f"The database was {done.was or 'nobody'}'s and is {done.now}'s now. "
            f"Sends that were stopped: {len(done.stopped)}."
        )
