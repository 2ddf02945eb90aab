"""The main job on the sample shop, or on a history of your own, then the pages."""

import gzip
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Max
from django.utils import timezone
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from campaigns.models import Campaign, EmailTemplate, Message, Send, Sender
from campaigns.sending.engine import run_once
from campaigns.services import schedule_send, starter_template
from customers.errors import CustomersError
from customers.models import Customer, Interaction
from customers.services import record_interactions
from customers.sources.history_file import rows
from demo import sample_shop
from demo.simulation import Simulated, Simulation
from engagement.management.commands.campaign_report import (
    print_report,
    wide_console,
)
from engagement.reporting import report
from engagement.verdict import CLICK_TOO_SOON_SECONDS
from segmentation.scoring import usable_processes
from segmentation.services import refresh_segments

SEED = 7
LOGIN = "marketer"
# A history that ended this long ago is read as of its own last day.
OLD_HISTORY = timedelta(days=30)
STARTER_DESIGNS = ("announcement", "loyalty", "service")


class Command(BaseCommand):
    help = "Run the main job from a history file to a report, then serve the pages."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--history", help="a history file instead of the sample")
        parser.add_argument(
            "--no-serve", action="store_true", help="end after the report"
        )
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *args: Any, **options: Any) -> None:
        self.console = wide_console(self.stdout)
        call_command("migrate", verbosity=0, interactive=False)
        password = _login()
        history = self._history(options["history"])
        self._import(history)
        as_of = _as_of()
        self._say(f"Reading feelings and sorting customers, as of {as_of:%d %B %Y} ...")
        with self._progress("texts read") as step:
            refreshed = refresh_segments(
                at=as_of, workers=usable_processes(), progress=step
            )
        self._say(f"  {refreshed}")
        sample = options["history"] is None
        send = self._send(_campaign(sample))
        self._simulate(send)
        self._print(send)
        if not options["no_serve"]:
            self._serve(options["port"], password)

    def _say(self, words: str) -> None:
        self.console.print(words)

    @contextmanager
    def _progress(self, words: str) -> Iterator[Any]:
        bar = Progress(
            TextColumn("  {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            console=self.console,
            transient=True,
            disable=not sys.stdout.isatty(),
        )
        with bar:
            task = bar.add_task(words, total=None)

            def step(done: int = 1, total: int | None = None) -> None:
                bar.update(task, advance=done, total=total)

            yield step

    def _history(self, given: str | None) -> Path:
        if given is None:
            path = settings.DATA_DIR / "sample_shop.csv.gz"
            count = sample_shop.write_history(path, at=timezone.now(), seed=SEED)
            self._say(
                f"Sample shop Linden & Loam (invented): {count:,} interactions written."
            )
            return Path(path)
        path = Path(given)
        if not path.is_file():
            raise CommandError(f"There is no history file {given}.")
        return path

    def _import(self, history: Path) -> None:
        self._say(f"Importing {history.name} ...")
        try:
            with self._progress("rows") as step:
                result = record_interactions(
                    rows(history),
                    source=history.name,
                    at=timezone.now(),
                    progress=step,
                )
        except (CustomersError, gzip.BadGzipFile) as problem:
            raise CommandError(str(problem)) from None
        self._say(
            f"  {result.read:,} rows read: {result.stored:,} stored, "
            f"{result.already_known:,} known already, {len(result.refused):,} refused; "
            f"{result.new_customers:,} new customers, "
            f"{Customer.objects.count():,} in all."
        )
        for refused in result.refused[:5]:
            self._say(f"  refused: {refused}")

    def _send(self, campaign: Campaign) -> Send:
        now = timezone.now()
        send = campaign.sends.order_by("pk").first()
        if send is not None and send.state == Send.State.SENT:
            self._say(f"{campaign} was sent already: nobody is mailed twice.")
            return send
        if send is None:
            send = schedule_send(campaign, scheduled_at=now, at=now)
        self._say(f"Sending {campaign} through the local outbox ...")
        while send.state not in {Send.State.SENT, Send.State.FAILED}:
            run_once(at=timezone.now())
            send.refresh_from_db()
        if send.state == Send.State.FAILED:
            raise CommandError(f"The send failed: {send.state_reason}")
        return send

    def _simulate(self, send: Send) -> None:
        if send.messages.filter(events__isnull=False).exists():
            return
        sent = send.messages.filter(state=Message.State.ACCEPTED)
        names = {str(number) for number in sent.values_list("public_id", flat=True)}
        mails = [
            path
            for path in sorted(settings.OUTBOX_DIR.rglob("*.eml"))
            if path.stem in names
        ]
        last = sent.aggregate(last=Max("handed_over_at"))["last"] or timezone.now()
        wait = CLICK_TOO_SOON_SECONDS + 1 - (timezone.now() - last).total_seconds()
        self._say(
            "SIMULATING what customers do with their mail (seeded, real requests, "
            "marked as simulated everywhere) ..."
        )
        if wait > 0:  # a click sooner than this is a machine's, also in a simulation
            time.sleep(wait)
        with _server(_free_port()) as server, self._progress("mails") as step:
            simulation = Simulation(
                server=server, webhook_secret=settings.WEBHOOK_SECRET, seed=SEED
            )
            done = simulation.run(mails, progress=lambda: step(1, len(mails)))
        self._tell(done)

    def _tell(self, result: Simulated) -> None:
        words = ", ".join(f"{count:,} {name}" for name, count in result.done.items())
        self._say(f"  simulated: {words}.")
        if result.failed:
            raise CommandError(f"The simulation was not answered: {result.failed}")

    def _print(self, send: Send) -> None:
        result = report(send)
        print_report(result, self.console)
        total = result.total
        parts = total.sent + total.in_doubt + total.not_sent + total.still_out
        assert parts == total.customers, "every customer is in exactly one place"
        self._say(
            f"{total.customers:,} customers, each with one message or one named "
            f"reason: {total.sent:,} sent, {total.not_sent:,} not sent, "
            f"{total.in_doubt:,} in doubt, {total.still_out:,} still out. "
            f"{Interaction.objects.count():,} interactions."
        )

    def _serve(self, port: int, password: str) -> None:
        self._say(
            f"\nAttune is on http://127.0.0.1:{port}/admin/\n"
            f"  log in as [bold]{LOGIN}[/bold], password [bold]{password}[/bold]\n"
            "  Ctrl-C ends it."
        )
        engine = subprocess.Popen(
            [sys.executable, "manage.py", "run_engine", "--single"]
        )
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        try:
            subprocess.run(_granian(port), check=False)  # noqa: S603
        except KeyboardInterrupt:
            pass
        finally:
            engine.terminate()
            engine.wait(30)


def _login() -> str:
    """The demo's user; the password is made once and kept in the data folder."""
    path = settings.DATA_DIR / "demo_password"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(9))
    password = path.read_text().strip()
    users = get_user_model().objects
    if not users.filter(username=LOGIN).exists():
        users.create_superuser(LOGIN, "", password, first_name="Mara")
    return password


def _as_of() -> datetime:
    """Now, or the last day of a history that ended long ago."""
    now = timezone.now()
    last = Interaction.objects.order_by("-occurred_at").values_list(
        "occurred_at", flat=True
    )
    newest: datetime = last.exclude(kind=Interaction.Kind.CLICK).first() or now
    return newest if now - newest > OLD_HISTORY else now


def _campaign(sample: bool) -> Campaign:
    """The demo's campaign, made once."""
    sender, _ = Sender.objects.get_or_create(
        from_address="hello@lindenandloam.example",
        defaults={
            "shop_name": "Linden & Loam",
            "from_name": "Linden & Loam",
            "postal_address": "Linden & Loam, 8 Sample Lane, Northport",
        },
    )
    for design in STARTER_DESIGNS:
        if not EmailTemplate.objects.filter(design=design).exists():
            starter_template(design)
    campaign, _ = Campaign.objects.get_or_create(
        name="New season" if sample else "New season, to the customers of a history",
        defaults={
            "template": EmailTemplate.objects.filter(design="announcement")[0],
            "sender": sender,
            # It goes to a local outbox and is watched now, at whatever hour.
            "at_night": True,
        },
    )
    return campaign


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _granian(port: int) -> list[str]:
    return [
        sys.executable,
        "-m",
        "granian",
        "--interface",
        "wsgi",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--blocking-threads",
        "4",
        "--log-level",
        "warning",
        "config.wsgi:application",
    ]


@contextmanager
def _server(port: int) -> Iterator[str]:
    """The real end points, on this machine only, while the simulation runs."""
    process = subprocess.Popen(_granian(port))  # noqa: S603
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            try:
                requests.get(f"{address}/o/none.gif", timeout=1)
                break
            except requests.RequestException:
                time.sleep(0.1)
        else:
            raise CommandError("The server of the simulation did not start.")
        yield address
    finally:
        process.terminate()
        process.wait(30)
