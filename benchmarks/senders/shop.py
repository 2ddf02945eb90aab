"""A shop with a prepared send, and who sends it: we, Django, or Anymail one by one.

Each runs in a process of its own, with Django set up on the shop's database.
"""

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from measure import Measured, add_campaign, add_customers, peak_megabytes

NOW: Final = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
FROM: Final = "Linden & Loam <hello@shop.example>"
# Filler that brings a mail to the size of a usual one.
PARAGRAPH: Final = "Clay pots keep roots cool, zinc ones last a lifetime. " * 6
PARAGRAPHS: Final = 20
DJANGO_BATCH: Final = 200
OPTIONS: Final = {
    "mailgun": {"MAILGUN_API_KEY": "k", "MAILGUN_SENDER_DOMAIN": "shop.example"},
    "postmark": {"POSTMARK_SERVER_TOKEN": "k"},
}


def environment(
    provider: str, folder: Path, ports: dict[str, int], *, database: str = ""
) -> dict[str, str]:
    """What a shop in that folder is told about its provider."""
    known = {
        "ATTUNE_DATA_DIR": str(folder),
        "ATTUNE_PROVIDER": provider,
        "ATTUNE_SMTP_URL": f"smtp://127.0.0.1:{ports['smtp']}",
        "ATTUNE_BASE_URL": "https://mail.shop.example",
        # Measured is the sending, not what a large send waits for at first.
        "ATTUNE_CANARY": "0",
        # Each round sends from a copy, and a copy does not send by itself.
        "ATTUNE_INSTANCE": "benchmark",
    }
    if provider in OPTIONS:
        url = {f"{provider.upper()}_API_URL": f"http://127.0.0.1:{ports['http']}/"}
        known["ATTUNE_PROVIDER_OPTIONS"] = json.dumps({**OPTIONS[provider], **url})
    if database:
        known["ATTUNE_DATABASE_URL"] = database
    return known


def build(mails: int) -> dict[str, Any]:
    """A prepared send of so many mails in one tone; the mail as a peer would send it,
    with the texts of the first."""
    from django.core.management import call_command

    from campaigns.models import Message, Variant
    from campaigns.services import (
        launch_send,
        materialise,
        rendered_message,
        schedule_send,
    )
    from customers import searching

    call_command("migrate", verbosity=0, interactive=False)
    add_customers(mails, at=NOW)
    # Done after an import; it has no part in sending.
    while searching.catch_up(until=time.monotonic() + 60):
        pass
    template = _template()
    template.refresh_from_db()
    Variant.objects.create(
        template=template,
        tone="neutral",
        subject='New pots for {{ customer.first_name | default: "you" }}',
        preheader="A look inside",
        blocks={
            "headline": "From the garden",
            "opening": 'Hello {{ customer.first_name | default: "there" }},',
            "details": "\n\n".join([PARAGRAPH] * PARAGRAPHS),
            "closing": "See you soon,\n\nLin",
        },
    )
    send = schedule_send(add_campaign(template), scheduled_at=NOW, at=NOW)
    materialise(launch_send(send, at=NOW), at=NOW)
    first = Message.objects.order_by("pk")[0]
    email = rendered_message(first)
    return {
        "mail_bytes": len(_django_mail(first).message().as_bytes()),
        "name": first.customer.first_name,
        "subject": email.subject,
        "html": email.html,
        "text": email.text,
        "from": FROM,
    }


def _template() -> Any:
    from django.conf import settings

    from campaigns.models import EmailTemplate

    layout = Path(settings.EMAIL_DESIGNS_DIR, "announcement", "layout.mjml")
    return EmailTemplate.objects.create(
        name="Bench",
        design="announcement",
        layout=layout.read_text(),
        offer="One pot free with every plant.",
        terms="While stocks last.",
        button_label="See the plants",
        button_url="https://shop.example/plants",
        footer_reason="You ordered from us.",
    )


def attune(mails: int) -> dict[str, float]:
    """Ours: claims, re-checks, intents, outcomes; by whatever provider is set."""
    from campaigns.models import Message
    from campaigns.sending.engine import run_once

    with Measured() as measured:
        run_once(at=NOW)
    accepted = Message.objects.filter(state="accepted").count()
    assert accepted == mails, f"{accepted} of {mails} accepted"
    return measured.result(mails)


def worker(mails: int) -> dict[str, float]:
    """One of several: it waits for "go", then sends what it gets until all is sent."""
    from campaigns.models import Message
    from campaigns.sending.engine import run_once

    assert Message.objects.filter(state="waiting").count() == mails
    print("ready", flush=True)
    sys.stdin.readline()
    accepted = 0
    with Measured() as measured:
        while Message.objects.filter(state__in=("waiting", "handing_over")).exists():
            report = run_once(at=NOW)
            accepted += report.accepted
            if not report.batches:
                time.sleep(0.05)  # the others send the rest
    growth = measured.growth_mb
    return {"accepted": accepted, "cpu_s": measured.cpu, "rss_growth_mb": growth}


def clear(_: int) -> dict[str, Any]:
    """Nobody and nothing is left, for another run on the same database."""
    from django.core.management import call_command

    call_command("flush", verbosity=0, interactive=False)
    return {}


def attune_alone(mails: int) -> dict[str, float]:
    """The same, but for a call a mail."""
    from django.conf import settings

    from campaigns.sending.channels import CHANNELS

    CHANNELS[settings.PROVIDER] = CHANNELS["anymail"]
    return attune(mails)


def django(mails: int) -> dict[str, float]:
    """Django's own way: mails rendered for free, 200 at a time over one connection."""
    from django.conf import settings
    from django.core.mail import get_connection

    from campaigns.models import Message
    from campaigns.sending.smtp_client import read_smtp_url

    server = read_smtp_url(settings.SMTP_URL)
    connection = get_connection(
        "django.core.mail.backends.smtp.EmailBackend",
        host=server.host,
        port=server.port,
    )
    messages = list(Message.objects.select_related("customer").order_by("pk"))
    filled, sent = _Filled(messages[0]), 0
    with Measured() as measured:
        connection.open()
        for start in range(0, mails, DJANGO_BATCH):
            some = [filled.mail(one) for one in messages[start : start + DJANGO_BATCH]]
            sent += connection.send_messages(some)
        connection.close()
    assert sent == mails, f"{sent} of {mails} sent"
    return measured.result(mails)


def anymail(mails: int) -> dict[str, float]:
    """Anymail over one kept connection: mails rendered for free, nothing written."""
    from django.conf import settings
    from django.core.mail import get_connection

    from campaigns.models import Message

    connection = get_connection(f"anymail.backends.{settings.PROVIDER}.EmailBackend")
    messages = list(Message.objects.select_related("customer").order_by("pk"))
    filled, sent = _Filled(messages[0]), 0
    with Measured() as measured:
        connection.open()
        for message in messages:
            mail = filled.mail(message)
            mail.metadata = {"d": str(message.public_id), "c": "1", "b": "1"}
            sent += connection.send_messages([mail])
        connection.close()
    assert sent == mails, f"{sent} of {mails} sent"
    return measured.result(mails)


class _Filled:
    """The mail of a message as the baselines get it: its texts filled in for free.

    The two texts are rendered once and the name put in by replace(), so that what is
    measured is encoding and sending and not our templates.
    """

    def __init__(self, message: Any) -> None:
        first = _django_mail(message)
        self._name = message.customer.first_name
        self._html, self._text = first.alternatives[0].content, first.body
        self._headers = dict(first.extra_headers)

    def mail(self, message: Any) -> Any:
        from django.core.mail import EmailMultiAlternatives

        name = f"Name{message.customer_id}"
        html = self._html.replace(self._name, name)
        return EmailMultiAlternatives(
            f"New pots for {name}",
            self._text.replace(self._name, name),
            FROM,
            [message.address_wire],
            headers=self._headers,
            alternatives=[(html, "text/html")],
        )


def _django_mail(message: Any) -> Any:
    from django.core.mail import EmailMultiAlternatives

    from campaigns.services import rendered_message

    email = rendered_message(message)
    return EmailMultiAlternatives(
        email.subject,
        email.text,
        FROM,
        [message.address_wire],
        headers=email.headers,
        alternatives=[(email.html, "text/html")],
    )


WORK: Final[dict[str, Callable[[int], dict[str, Any]]]] = {
    one.__name__: one
    for one in (build, attune, attune_alone, worker, clear, django, anymail)
}


def main() -> None:
    """python shop.py WORK MAILS, in the environment of a shop: one JSON object."""
    import os

    sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    import django as library

    library.setup()
    result = WORK[sys.argv[1]](int(sys.argv[2]))
    print(json.dumps({**result, "peak_rss_mb": round(peak_megabytes(), 1)}))
