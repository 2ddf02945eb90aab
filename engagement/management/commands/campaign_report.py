"""The report of a campaign per segment and tone, on the command line."""

from typing import IO, Any, cast

from django.core.management.base import (
    BaseCommand,
    CommandError,
    CommandParser,
    OutputWrapper,
)
from rich.console import Console
from rich.table import Table

from campaigns.audience import LEFT_OUT_REASONS
from campaigns.models import Campaign
from engagement.errors import NothingToReport
from engagement.reporting import (
    Report,
    ReportRow,
    as_csv,
    as_json,
    report_of_campaign,
)
from engagement.stats import EVENTS_NEEDED, PEOPLE_NEEDED

TABLE_WIDTH = 175


class Command(BaseCommand):
    help = "Print what came of a campaign's latest send, per segment and tone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("campaign", type=int, help="the campaign's number")
        parser.add_argument(
            "--format", choices=["table", "json", "csv"], default="table"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            campaign = Campaign.objects.get(pk=options["campaign"])
            result = report_of_campaign(campaign)
        except Campaign.DoesNotExist:
            raise CommandError(
                f"There is no campaign {options['campaign']}. The numbers are in the "
                "admin's list of campaigns."
            ) from None
        except NothingToReport as problem:
            raise CommandError(str(problem)) from None
        if options["format"] == "json":
            self.stdout.write(as_json(result))
        elif options["format"] == "csv":
            self.stdout.write(as_csv(result), ending="")
        else:
            print_report(result, wide_console(self.stdout))


def wide_console(out: OutputWrapper) -> Console:
    """The terminal as wide as it is; a file or a pipe wide enough for a table."""
    width = None if out.isatty() else TABLE_WIDTH
    file = cast(IO[str], out)
    return Console(file=file, highlight=False, soft_wrap=True, width=width)


def print_report(result: Report, console: Console) -> None:
    """A table for people; rates below the limits are counts without a share."""
    table = Table(title=f"{result.send.campaign}: {result.send.state_in_words}")
    table.add_column("segment")
    table.add_column("tone")
    whom = "mails" if result.send.standing else "customers"
    for name in (whom, "sent", "delivered", "opened", "clicked", "unsub."):
        table.add_column(name, justify="right")
    for name in ("bounced", "in doubt", "not sent"):
        table.add_column(name, justify="right")
    for row in result.rows:
        table.add_row(row.segment, row.tone, *_cells(result, row))
    table.add_section()
    table.add_row("All", "", *_cells(result, result.total))
    console.print(table)
    for reason, count in result.left_out.items():
        known = LEFT_OUT_REASONS.get(reason)
        label = known.label if known else reason.replace("_", " ")
        why = f". {known.sentence}" if known else ""
        console.print(f"  not sent, {label}: {count:,}{why}")
    console.print(
        f"Shares of sent, people only, with their 95 % range; shown from "
        f"{PEOPLE_NEEDED} {whom if result.send.standing else 'people'} and "
        f"{EVENTS_NEEDED} events."
    )
    if result.simulated:
        console.print(
            f"SIMULATED: {result.simulated:,} of the events behind these figures come "
            "from the seeded simulation, not from people."
        )


def _cells(result: Report, row: ReportRow) -> list[str]:
    shown = [f"{row.customers:,}", f"{row.sent:,}"]
    for name in ("delivered", "opened", "clicked", "unsubscribed", "bounced"):
        found = row.rate(name)
        if name == "delivered" and not result.reports_delivery:
            shown.append("no reports")
        elif found.enough:
            shown.append(
                f"{found.events:,}  {100 * (found.value or 0):.0f} % "
                f"({100 * found.low:.0f}-{100 * found.high:.0f})"
            )
        else:
            shown.append(f"{found.events:,}")
    return [*shown, f"{row.in_doubt:,}", f"{row.not_sent + row.still_out:,}"]
