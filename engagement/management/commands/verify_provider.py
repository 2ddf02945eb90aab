"""Does what a provider takes arrive as it should? With mails of the shop's own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from campaigns.errors import CampaignsError
from campaigns.management.log_in import log_in
from campaigns.models import ProviderVerification, Sender
from campaigns.sending import account, verification, verifying
from campaigns.sending.verification import Check
from campaigns.sending.verifying import CannotVerify, Mail, Run
from engagement.verifying import read_received, received, reports

WAIT_SECONDS: Final = 120
WAIT_MOST_SECONDS: Final = 3600
_MARKS: Final = {"passed": "ok    ", "failed": "FAILED", "not_checked": "not   "}


class Command(BaseCommand):
    help = (
        "Send six mails to three mailboxes of your own by the provider, as campaigns "
        "are sent, and look at what left, what the provider reports, and what arrived. "
        "An unverified provider takes ATTUNE_UNVERIFIED_A_DAY customers a day. Ends "
        "with 1 where something failed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("provider", help="the one in ATTUNE_PROVIDER")
        parser.add_argument(
            "--seeds",
            nargs="*",
            default=[],
            metavar="ADDRESS",
            help="three mailboxes of your own, ideally one at a domain with letters "
            "beyond ASCII and one with a plus",
        )
        parser.add_argument(
            "--received",
            nargs="*",
            default=[],
            type=Path,
            metavar="PATH",
            help="saved mails of those mailboxes, files or folders of ….eml; without "
            "--seeds those of the last time are looked at and nothing is sent",
        )
        parser.add_argument(
            "--sender",
            default="",
            metavar="ADDRESS",
            help="whose address they come from; without it the first sender's",
        )
        parser.add_argument(
            "--wait",
            type=int,
            default=WAIT_SECONDS,
            metavar="SECONDS",
            help=f"wait so long for reports by webhook; {WAIT_SECONDS} by default",
        )
        parser.add_argument("--by", default="", help="your name, if not the log-in's")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            checks = self._look(options["provider"], options)
        except CampaignsError as problem:
            raise CommandError(str(problem)) from None
        for one in checks:
            self.stdout.write(f"{_MARKS[one.outcome]}  {one.name}: {one.words}")
        self.stdout.write(verification.stands(options["provider"]).words)
        if any(one.outcome == "failed" for one in checks):
            raise SystemExit(1)

    def _look(self, provider: str, options: dict[str, Any]) -> list[Check]:
        if not 0 <= options["wait"] <= WAIT_MOST_SECONDS:
            raise CannotVerify(
                f"--wait needs 0 to {WAIT_MOST_SECONDS:,} seconds; {options['wait']} "
                "came."
            )
        # Read first: a path that is wrong must not cost six mails.
        raws = read_received(options["received"])
        by = options["by"] or log_in()
        if options["seeds"]:
            sender = _sender(options["sender"])
            done = verifying.run(
                provider, options["seeds"], sender=sender, at=timezone.now()
            )
            self.stdout.write(f"Handed over to {provider}: {len(done.mails)} mails.")
            # Kept at once: whoever presses Ctrl-C while it waits can go on later.
            waits = [reports(done.mails, provider=provider, since=done.sent_at)]
            _keep(provider, done, [*done.checks, *waits, *received((), ())], by=by)
        else:
            done = _last(provider, asked=bool(raws))
        heard = reports(
            done.mails,
            provider=provider,
            since=done.sent_at,
            wait_seconds=options["wait"],
        )
        checks = [*done.checks, heard, *received(raws, done.mails)]
        _keep(provider, done, checks, by=by)
        verification.tell(provider, checks, by=by, at=timezone.now())
        return checks


def _keep(provider: str, done: Run, checks: Sequence[Check], *, by: str) -> None:
    verification.keep(
        provider,
        checks,
        mails=[one.to_json() for one in done.mails],
        sender=done.sender,
        sent_at=done.sent_at,
        by=by,
        at=timezone.now(),
    )


def _sender(address: str) -> Sender:
    senders = Sender.objects.order_by("pk")
    found = senders.filter(from_address__iexact=address) if address else senders
    sender = found.first()
    if sender is None:
        known = ", ".join(senders.values_list("from_address", flat=True)) or "none"
        wanted = f"whose address is {address}" if address else "whom mail comes from"
        raise CannotVerify(f"A sender {wanted} is needed; there is: {known}.")
    return sender


def _last(provider: str, *, asked: bool) -> Run:
    """What was sent the last time, with the settings of today."""
    if not asked:
        raise CannotVerify(f"Nothing was given. {verifying.NEEDED}; none came.")
    row = ProviderVerification.objects.filter(provider=provider).first()
    if (
        row is None
        or row.sent_at is None
        or row.digest != account.fingerprint(provider)
    ):
        raise CannotVerify(
            f"No mails have left by {provider} with these settings yet, so there is "
            "nothing that --received could be of: run it with --seeds first. "
            f"{verifying.NEEDED}."
        )
    at_once = (verification.KINDS, verification.TAKEN, verification.LEFT)
    return Run(
        row.sent_at,
        row.sender,
        tuple(Mail(**one) for one in row.mails),
        tuple(Check(**one) for one in row.checks if one["name"] in at_once),
    )
