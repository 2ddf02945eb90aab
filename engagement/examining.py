"""What an operator should know of a deployment, each as one sentence. Reads only.

No mail is sent and no provider is asked over the network; an SMTP server is greeted, a
mailbox for bounces opened, the DNS asked, and our own public address looked at.
Source: sending.md 8, "doctor".
"""

import shutil
import smtplib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import requests
from django.conf import settings
from django.core.checks import ERROR, run_checks
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from dns.resolver import NoResolverConfiguration, Resolver
from kombu import Connection

from campaigns.clocks import APART_MOST, apart
from campaigns.errors import CampaignsError
from campaigns.models import Batch, Message, Send, Sender, SenderDomainWarmUp
from campaigns.planning import (
    NOBODY_SENDS,
    links_lead_here,
    missing_parts,
    sender_is_running,
)
from campaigns.sending import breaker, instance, verification, warming, warmups
from campaigns.sending.channels import channel_for
from campaigns.sending.pulse import what_hung
from campaigns.under_way import NEED_A_SENDER, UNDER_WAY
from engagement.bounce_mailbox import MailboxTrouble, count_waiting
from engagement.dns_records import SELECTORS, look_up
from engagement.models import DeadLetter, WebhookCall
from engagement.webhooks import provider_webhooks

State = Literal["well", "look", "broken"]
FREE_GIGABYTES: Final = 1.0
ANSWER_SECONDS: Final = 5.0
SECRETS: Final = ("_key", "_secret", "_password")
KEEPS_ALL: Final = "noeviction"
# Longer than any turn of an engine takes.
OVERDUE: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Finding:
    """state: well; look, a person should; broken, it does not work so."""

    about: str
    state: State
    words: str


def examine(*, at: datetime) -> Iterator[Finding]:
    """Every finding, in the order in which one thing needs another.

    What can't be looked at is broken, with the error; the rest is looked at all the
    same.
    """
    for look in (
        _settings,
        _database,
        _migrations,
        _instance,
        _clocks,
        _disk,
        _secrets,
        _links,
        _senders,
        _warm_ups,
        _dns,
        _provider,
        _verification,
        _webhook,
        _bounces,
        _broker,
        _engine,
        _leases,
        _doubt,
        _reports,
    ):
        about = look.__name__.strip("_")
        try:
            yield from look(about, at)
        except Exception as problem:  # noqa: BLE001  told in the finding
            yield Finding(about, "broken", f"{type(problem).__name__}: {problem}")


def _settings(about: str, at: datetime) -> Iterator[Finding]:
    found = [one for one in run_checks() if one.id and one.id.startswith("attune.")]
    for one in found:
        state: State = "broken" if one.level >= ERROR else "look"
        yield Finding(about, state, str(one.msg))
    if settings.DEBUG:
        yield Finding(
            about, "look", "ATTUNE_DEBUG is on: errors show code to whoever meets them."
        )
    elif not found:
        yield Finding(about, "well", "Nothing in the settings is wrong.")


def _database(about: str, at: datetime) -> Iterator[Finding]:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT sqlite_version()")
            version = f"SQLite {cursor.fetchone()[0]}"
            cursor.execute("PRAGMA journal_mode")
            if (mode := cursor.fetchone()[0]) != "wal":
                yield Finding(
                    about,
                    "look",
                    f"The journal is {mode!r} and not WAL: pages wait while mail is "
                    "written down.",
                )
        else:
            cursor.execute("SHOW server_version")
            version = f"PostgreSQL {cursor.fetchone()[0]}"
    yield Finding(about, "well", f"{version} answers.")


def _migrations(about: str, at: datetime) -> Iterator[Finding]:
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        first = missing[0][0]
        yield Finding(
            about,
            "broken",
            f"Migrations that were not run: {len(missing)}, {first.app_label} "
            f"{first.name} first. Run `manage.py migrate`.",
        )
    else:
        yield Finding(about, "well", "The tables are those of this version.")


def _instance(about: str, at: datetime) -> Iterator[Finding]:
    problem = instance.what_stands()
    if problem:
        yield Finding(about, "broken", problem)
    else:
        key = instance.ours().key or "no id yet: whoever sends first makes one"
        yield Finding(about, "well", f"The database is this deployment's ({key}).")


def _clocks(about: str, at: datetime) -> Iterator[Finding]:
    if connection.vendor == "sqlite":
        yield Finding(about, "well", "The database goes by this machine's clock.")
        return
    ahead = abs(apart())
    state: State = "well" if ahead <= APART_MOST else "broken"
    yield Finding(
        about,
        state,
        f"The database's clock is {ahead.total_seconds():.1f} s from this one.",
    )


def _disk(about: str, at: datetime) -> Iterator[Finding]:
    free = shutil.disk_usage(settings.DATA_DIR).free / 1e9
    state: State = "well" if free >= FREE_GIGABYTES else "look"
    yield Finding(about, state, f"{free:.1f} GB are free where the data is.")


def _secrets(about: str, at: datetime) -> Iterator[Finding]:
    files = [
        path
        for path in sorted(Path(settings.DATA_DIR).iterdir())
        if path.is_file() and path.name.endswith(SECRETS)
    ]
    open_ones = [path.name for path in files if path.stat().st_mode & 0o077]
    if open_ones:
        yield Finding(
            about,
            "look",
            f"Others on this machine can read {', '.join(open_ones)}: chmod 600.",
        )
        return
    made = [
        f"{path.name} of {datetime.fromtimestamp(path.stat().st_mtime, UTC):%Y-%m-%d}"
        for path in files
    ]
    ages = f": {', '.join(made)}" if made else ""
    yield Finding(about, "well", f"Only their owner can read the secret files{ages}.")


def _links(about: str, at: datetime) -> Iterator[Finding]:
    local = links_lead_here()
    if local and settings.PROVIDER != "outbox":
        yield Finding(
            about,
            "broken",
            f"Links in mails lead to {settings.BASE_URL}, which nobody else can reach: "
            "set ATTUNE_BASE_URL.",
        )
    elif urlsplit(settings.BASE_URL).scheme != "https" and not local:
        yield Finding(
            about,
            "look",
            f"Links in mails lead to {settings.BASE_URL} without TLS: mailbox "
            "providers take one-click unsubscribe by https only.",
        )
    else:
        yield Finding(about, "well", f"Links in mails lead to {settings.BASE_URL}.")


def _senders(about: str, at: datetime) -> Iterator[Finding]:
    bare = [str(one) for one in Sender.objects.filter(postal_address="")]
    if bare:
        yield Finding(
            about,
            "look",
            f"No postal address: {', '.join(bare)}; the law asks for one in mails.",
        )
    else:
        count = Sender.objects.count()
        yield Finding(about, "well", f"Ready for mail: {count}.")


def _warm_ups(about: str, at: datetime) -> Iterator[Finding]:
    """Does a domain that nobody knows begin with too much?"""
    sends = Send.objects.filter(state__in=UNDER_WAY, audience_size__gt=0)
    for send in sends.order_by("pk"):
        words = warming.cold_start(
            send.sender_domain, send.audience_size, send_id=send.pk
        )
        if words:
            yield Finding(about, "look", words)
    for warm_up in SenderDomainWarmUp.objects.filter(on=True):
        why = warming.why_it_stays(warm_up, at=at)
        if why and not warmups.is_over(warm_up):
            yield Finding(about, "look", f"{warm_up.domain}: {why}")


def _dns(about: str, at: datetime) -> Iterator[Finding]:
    if settings.PROVIDER == "outbox":
        yield Finding(about, "well", "Nothing leaves, so no domain was looked at.")
        return
    try:
        resolver = Resolver()
    except NoResolverConfiguration:
        yield Finding(about, "look", "The DNS could not be asked: none is set up here.")
        return
    given = settings.DKIM_SELECTOR
    selectors = (given,) if given else SELECTORS.get(settings.PROVIDER, ())
    back = settings.BOUNCE_ADDRESS if settings.PROVIDER == "smtp" else None
    addresses = Sender.objects.values_list("from_address", flat=True)
    for domain in sorted({one.rpartition("@")[2].lower() for one in addresses}):
        for state, words in look_up(
            domain,
            selectors=selectors,
            return_path=back.domain if back else "",
            resolver=resolver,
        ):
            yield Finding(about, state, words)


def _webhook(about: str, at: datetime) -> Iterator[Finding]:
    """Would a provider that posts to our public address be answered?"""
    if settings.PROVIDER in ("outbox", "smtp") or links_lead_here():
        return
    if not provider_webhooks(settings.PROVIDER):
        yield Finding(
            about,
            "look",
            f"{settings.PROVIDER} reports nothing that is read here: no bounce and no "
            "complaint suppresses anybody. Look at its own lists now and then.",
        )
        return
    address = f"{settings.BASE_URL}/anymail/{settings.PROVIDER}/tracking/"
    try:
        answer = requests.head(address, timeout=ANSWER_SECONDS, allow_redirects=False)
    except requests.exceptions.SSLError:
        yield Finding(
            about,
            "broken",
            f"{address} has no certificate that is good for its name: no provider "
            "posts there.",
        )
    except requests.RequestException as problem:
        yield Finding(
            about,
            "look",
            f"{address} could not be looked at from here ({type(problem).__name__}): "
            "the provider has to reach it.",
        )
    else:
        good = answer.status_code == requests.codes.ok
        hint = "" if good else ": the proxy has to hand it to Attune as it is"
        state: State = "well" if good else "broken"
        words = f"{address} answers {answer.status_code}{hint}."
        yield Finding(about, state, words)


def _provider(about: str, at: datetime) -> Iterator[Finding]:
    try:
        channel = channel_for(settings.PROVIDER)
    except CampaignsError as problem:
        yield Finding(about, "broken", str(problem))
        return
    channel.close()
    if settings.PROVIDER == "smtp":
        parts = urlsplit(settings.SMTP_URL)
        with smtplib.SMTP(
            parts.hostname or "", parts.port or 25, timeout=ANSWER_SECONDS
        ) as server:
            code, _ = server.noop()
        yield Finding(
            about, "well", f"{parts.hostname} answers with {code}; nothing was sent."
        )
    else:
        yield Finding(
            about, "well", f"{settings.PROVIDER} is set up; it was not asked."
        )
    for words in breaker.what_stands(settings.PROVIDER, now=at):
        yield Finding(about, "look", words)


def _verification(about: str, at: datetime) -> Iterator[Finding]:
    """Does anybody know that what it takes arrives as it should?"""
    if settings.PROVIDER == "outbox":
        return
    standing = verification.stands(settings.PROVIDER)
    good = standing.state in (
        verification.State.VERIFIED,
        verification.State.STAYS_HERE,
    )
    yield Finding(about, "well" if good else "look", standing.words)


def _bounces(about: str, at: datetime) -> Iterator[Finding]:
    if settings.PROVIDER != "smtp":
        return
    if settings.BOUNCE_ADDRESS is None:
        yield Finding(
            about,
            "look",
            "Mail that can't be delivered comes back to the sender's own address, "
            "where no bounce is read: set ATTUNE_BOUNCE_ADDRESS.",
        )
    else:
        yield Finding(
            about,
            "well",
            f"Mail that can't be delivered comes back to {settings.BOUNCE_ADDRESS}.",
        )
    if settings.BOUNCE_MAILBOX is None:
        return
    try:
        waiting = count_waiting(settings.BOUNCE_MAILBOX)
    except MailboxTrouble as trouble:
        yield Finding(about, "broken", str(trouble))
    else:
        words = f"In {settings.BOUNCE_MAILBOX} nobody has looked at: {waiting:,}."
        yield Finding(about, "well", words)


def _broker(about: str, at: datetime) -> Iterator[Finding]:
    if not settings.BROKER_URL:
        yield Finding(about, "well", "None: run_engine does the work.")
        return
    with Connection(settings.BROKER_URL, connect_timeout=ANSWER_SECONDS) as broker:
        broker.ensure_connection(max_retries=1, timeout=ANSWER_SECONDS)
        policy = _eviction(broker)
    if policy not in ("", KEEPS_ALL):
        yield Finding(
            about,
            "look",
            f"Redis may throw messages away when it is full ({policy}): set "
            f"maxmemory-policy {KEEPS_ALL}.",
        )
    yield Finding(about, "well", f"{urlsplit(settings.BROKER_URL).scheme} answers.")


def _eviction(broker: Connection) -> str:
    """What Redis does when it is full; nothing where it does not say."""
    if broker.transport.driver_type != "redis":
        return ""
    from redis.exceptions import ResponseError

    channel: Any = broker.default_channel
    try:
        said = channel.client.config_get("maxmemory-policy")
    except ResponseError:  # a host's Redis keeps its settings to itself
        return ""
    return str(said.get("maxmemory-policy", ""))


def _engine(about: str, at: datetime) -> Iterator[Finding]:
    due = Send.objects.filter(state__in=NEED_A_SENDER).count()
    for words in missing_parts(at=at):
        yield Finding(about, "broken", words)
    for words in what_hung(at=at):
        yield Finding(about, "look", words)
    if sender_is_running(at=at):
        yield Finding(about, "well", f"A sender is running; sends to do: {due}.")
    elif due:
        yield Finding(about, "broken", f"Sends to do: {due}. {NOBODY_SENDS}")
    else:
        yield Finding(about, "look", "No sender is running; there is nothing to send.")


def _leases(about: str, at: datetime) -> Iterator[Finding]:
    lost = Batch.objects.filter(
        state__in=(Batch.State.CLAIMED, Batch.State.HANDING_OVER),
        lease_until__lt=at - OVERDUE,
    ).count()
    if lost:
        yield Finding(
            about,
            "broken",
            f"Batches left by processes that died, which nobody has taken up: {lost}. "
            "Start run_engine, or a worker with beat.",
        )
    else:
        yield Finding(about, "well", "No batch was left behind.")


def _doubt(about: str, at: datetime) -> Iterator[Finding]:
    count = Message.objects.filter(
        state=Message.State.IN_DOUBT, settled_at=None
    ).count()
    if count:
        yield Finding(
            about,
            "look",
            f"Messages in doubt that nobody has decided about: {count:,}. See the "
            "pages of their sends.",
        )
    else:
        yield Finding(about, "well", "No message is in doubt.")


def _reports(about: str, at: datetime) -> Iterator[Finding]:
    overdue = WebhookCall.objects.filter(done_at=None, not_before__lt=at - OVERDUE)
    waiting, letters = overdue.count(), DeadLetter.objects.count()
    if waiting:
        yield Finding(
            about,
            "broken",
            f"Calls of the provider that wait to be taken in: {waiting:,}, since "
            f"{overdue.earliest('not_before').received_at:%Y-%m-%d %H:%M} UTC: start "
            "run_engine, or a worker with beat.",
        )
    if letters:
        yield Finding(about, "look", f"Reports not understood: {letters:,}; see Home.")
    if not waiting and not letters:
        yield Finding(about, "well", "Everything the provider reported is taken in.")
