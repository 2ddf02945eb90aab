"""A small shop with a campaign, for tests in this process and in processes of its own.

main() does one thing in a process of its own, which chaos/nursery.py forks:
["build", "40"], ["engine", "minutes ahead"], ["claim"], ["state"] and so on; what it
returns can be written as JSON.
"""

import importlib
import json
import os
import random
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
# How the customers are spread over segments, in turn; "" is nowhere.
SEGMENTS = ("excited", "anxious", "excited", "frustrated", "unknown", "")
NAME = '{{ customer.first_name | default: "there" }}'
WORDS = {
    "neutral": ("News from the shop", "Hello"),
    "lively": ("It is here, first looks inside", "Hooray"),
    "reassuring": ("What is new, step by step", "All is well"),
}


def add_template(name: str = "Spring") -> Any:
    from django.conf import settings

    from campaigns.models import EmailTemplate, Variant

    layout = Path(settings.EMAIL_DESIGNS_DIR, "announcement", "layout.mjml").read_text()
    template = EmailTemplate.objects.create(
        name=name,
        design="announcement",
        layout=layout,
        offer="One pot free with every plant.",
        terms="Until stocks are planted.",
        button_label="See the plants",
        button_url="https://shop.example/plants?from=mail&x=1",
        footer_reason="You get this because you ordered from us.",
    )
    for tone, (subject, greeting) in WORDS.items():
        Variant.objects.create(
            template=template,
            tone=tone,
            subject=subject,
            preheader=f"For you from {name}",
            blocks={
                "headline": f"{greeting} from the garden",
                "opening": f"{greeting} {NAME},",
                "details": "New pots.\n\n- clay\n- zinc\n\n.dotted\n\nGrüße, **Zoë**",
                "closing": "See you,\n\nLin",
            },
        )
    return template


def add_campaign(template: Any = None, **more: Any) -> Any:
    from campaigns.models import Campaign, Sender

    sender, _ = Sender.objects.get_or_create(
        from_address="hello@shop.example",
        defaults={
            "shop_name": "Linden & Loam",
            "from_name": "Linden & Loam",
            "postal_address": "8 Sample Lane, Northport",
        },
    )
    return Campaign.objects.create(
        name="Spring", template=template or add_template(), sender=sender, **more
    )


def add_customers(count: int, *, first: int = 0) -> list[Any]:
    """Customers with consent, spread over SEGMENTS in a published run."""
    from customers.addresses import address_key
    from customers.models import Consent, Customer
    from segmentation.models import Membership, Segment

    customers = Customer.objects.bulk_create(
        Customer(
            external_id=f"c{number}",
            email=f"person{number}@example.com",
            address_key=address_key(f"person{number}@example.com"),
            address_wire=f"person{number}@example.com",
            first_name=f"Name{number}",
        )
        for number in range(first, first + count)
    )
    Consent.objects.bulk_create(
        Consent(
            customer=one,
            purpose="marketing",
            basis="existing_customer",
            source="test",
            occurred_at=NOW - timedelta(days=100),
        )
        for one in customers
    )
    run, segments = published_run(), {one.key: one for one in Segment.objects.all()}
    Membership.objects.bulk_create(
        Membership(
            run=run, customer=one, segment=segments[key], probability=0.8, since=NOW
        )
        for position, one in enumerate(customers)
        if (key := SEGMENTS[position % len(SEGMENTS)])
    )
    return customers


def published_run() -> Any:
    from segmentation.models import SegmentationRun

    return SegmentationRun.objects.get_or_create(
        state="published", defaults={"cut_off": NOW, "segmenter": "test", "model": {}}
    )[0]


def prepared_send(campaign: Any, *, at: datetime = NOW) -> Any:
    """A send whose audience is written, ready to be pumped."""
    from campaigns.services import launch_send, materialise, schedule_send

    send = schedule_send(campaign, scheduled_at=at, at=at)
    send = launch_send(send, at=at)
    assert materialise(send, at=at)
    send.refresh_from_db()
    return send


def _build(count: int) -> dict[str, Any]:
    from django.core.management import call_command

    from campaigns.services import schedule_send

    call_command("migrate", verbosity=0, interactive=False)
    add_customers(count)
    send = schedule_send(add_campaign(), scheduled_at=NOW, at=NOW)
    return {"send": send.pk}


def _notice() -> dict[str, Any]:
    """The send that is due is a service notice instead, sent again if in doubt."""
    from campaigns.models import Campaign, EmailTemplate, Send
    from campaigns.services import schedule_send

    Send.objects.all().delete()
    EmailTemplate.objects.update(purpose="service")
    Campaign.objects.update(if_in_doubt="again")
    send = schedule_send(Campaign.objects.get(), scheduled_at=NOW, at=NOW)
    return {"send": send.pk}


def open_standing(campaign: Any, *, lane: str = "bulk", at: datetime = NOW) -> Any:
    """A standing send with nothing in it."""
    from campaigns.standing import open_send

    return open_send(campaign, lane=lane, at=at)


def _standing(lane: str) -> dict[str, Any]:
    """Instead of the send that is due one that stands open, of service notices."""
    from campaigns.models import Campaign, EmailTemplate, Send

    Send.objects.all().delete()
    EmailTemplate.objects.update(purpose="service")
    return {"send": open_standing(Campaign.objects.get(), lane=lane).pk}


def _add(occasions: str) -> dict[str, Any]:
    """Add a message for every customer on each of these occasions; their ids."""
    from campaigns.models import Send
    from campaigns.standing import add_message
    from customers.models import Customer

    send = Send.objects.get()
    return {
        "added": [
            add_message(send, one, occasion, at=NOW).pk
            for one in Customer.objects.order_by("pk")
            for occasion in occasions.split(",")
        ]
    }


def _close() -> str:
    from campaigns.models import Send
    from campaigns.standing import close_send

    return str(close_send(Send.objects.get(), at=NOW).standing)


def _engine(minutes_ahead: float) -> dict[str, Any]:
    from campaigns.sending.engine import run_once

    report = run_once(at=NOW + timedelta(minutes=minutes_ahead))
    return {"accepted": report.accepted, "in_doubt": report.in_doubt}


def _cut(pieces: int) -> dict[str, Any]:
    """A prepared send of so many batches, all due."""
    from campaigns.models import Batch, Send
    from campaigns.services import launch_send, materialise

    send = launch_send(Send.objects.get(), at=NOW)
    materialise(send, at=NOW)
    one = Batch.objects.first()
    Batch.objects.bulk_create(
        Batch(send=send, variant_id=one.variant_id, not_before=NOW)
        for _ in range(pieces - Batch.objects.count())
    )
    return {"batches": Batch.objects.count()}


def _claim() -> dict[str, Any]:
    """Take batches until there are none; which ones."""
    from campaigns.sending.claims import claim

    taken = []
    while found := claim("bulk", now=NOW, lease=timedelta(hours=1)):
        taken.append(found.batch_id)
    return {"taken": taken}


def _state() -> dict[str, Any]:
    """Where every message is, and what the outbox holds, by public id.

    The messages are read first: what they say was accepted by then is in the outbox,
    while others go on sending.
    """
    from django.conf import settings

    from campaigns.models import Batch, Message, Send

    messages = Message.objects.order_by("pk").values_list("public_id", "state")
    send = Send.objects.get()
    return {
        "send": send.state,
        "audience": send.audience_size,
        "messages": {str(public_id): state for public_id, state in messages},
        "batches": list(Batch.objects.values_list("state", flat=True)),
        "outbox": sorted(
            path.name for path in Path(settings.OUTBOX_DIR).rglob("*.eml")
        ),
    }


def _who() -> list[list[str]]:
    """Who gets what in which tone, in words that are the same in every database."""
    from campaigns.models import Message

    fields = ("customer__external_id", "tone", "arm", "segment_key", "reason")
    return sorted(map(list, Message.objects.values_list(*fields)))


def _work() -> None:
    """Send like run_engine until SIGTERM, with the pauses that WORLD_SET shortens."""
    from campaigns.sending.engine import run_forever, stop_on_signals

    stop = threading.Event()
    stop_on_signals(stop)
    run_forever(stop)


def _supervise() -> None:
    """Send like run_engine with a process for each role, until SIGTERM."""
    from campaigns.sending.engine import Role
    from campaigns.sending.supervising import stop_asked, supervise

    supervise(stop_asked(), [Role.CHORES, Role.EVENTS, Role.MAIL])


def _bound() -> None:
    """A shop with limits and a cap that hold nobody up, and are counted all the same;
    by the day, so that no window ends meanwhile."""
    from campaigns.models import (
        Campaign,
        FrequencyCap,
        RateLimit,
        SenderDomainWarmUp,
    )

    warm_up = SenderDomainWarmUp.objects.create(
        domain="shop.example", started_on=NOW.date(), caps=[1_000_000]
    )
    RateLimit.objects.create(warm_up=warm_up, window="date", most=1_000_000)
    for provider in ("outbox", "mailgun", "postmark", "resend"):
        for more in ({}, {"mailboxes": "rest"}, {"campaign": Campaign.objects.get()}):
            RateLimit.objects.create(
                provider=provider, window="day", most=1_000_000, **more
            )
    FrequencyCap.objects.create(most=4, days=7)


def _counted() -> dict[str, dict[str, int]]:
    """Large sends under way, counted again: {send: {state: messages}}."""
    from campaigns.models import SendCount
    from campaigns.under_way import UNDER_WAY, count_under_way

    last = SendCount.objects.latest("counted_at").counted_at
    count_under_way(at=last + timedelta(days=1))
    kept = SendCount.objects.filter(send__state__in=UNDER_WAY)
    return {str(one.send_id): one.states for one in kept}


def _progress() -> dict[str, dict[str, Any]]:
    """The numbers that a marketer is shown, by send."""
    from django.utils import timezone

    from campaigns.models import Send
    from campaigns.services import send_progress

    names = (
        "audience", "accepted", "handing_over", "in_doubt", "not_sent", "waiting",
    )  # fmt: skip
    shown = {
        str(send.pk): send_progress(send, at=timezone.now())
        for send in Send.objects.all()
    }
    return {
        send: {name: getattr(said, name) for name in names}
        for send, said in shown.items()
    }


def _decide(what: str) -> str:
    """A person presses pause, resume or cancel; the state that comes of it."""
    from django.utils import timezone

    from campaigns import services
    from campaigns.errors import WrongState
    from campaigns.models import Send

    act = getattr(services, f"{what}_send")
    try:
        return str(act(Send.objects.get(), at=timezone.now()).state)
    except WrongState:
        return str(Send.objects.get().state)


def _unsubscribe(count: int, seed: int, seconds: float) -> list[list[Any]]:
    """So many people follow the link in their mail, one after the other, over so many
    seconds: who, when it was answered (Unix time), and if their mail still waited."""
    from django.conf import settings
    from django.test import Client

    from campaigns.content.links import Links
    from campaigns.models import Message

    rows = list(Message.objects.order_by("pk").values_list("public_id", "address_wire"))
    done: list[list[Any]] = []
    for public_id, address in random.Random(seed).sample(rows, min(count, len(rows))):
        link = Links("http://127.0.0.1", public_id, settings.TRACKING_KEYS).unsubscribe
        path = link.removeprefix("http://127.0.0.1")
        answer = Client(HTTP_HOST="127.0.0.1").post(
            path, {"List-Unsubscribe": "One-Click"}
        )
        if answer.status_code == 200:
            state = Message.objects.values_list("state", flat=True).get(
                public_id=public_id
            )
            done.append([address, time.time(), state == "waiting"])
        time.sleep(seconds / count)
    return done


def _post(path: str) -> int:
    """Post each line of this file as a report of the provider; how many were taken."""
    from django.conf import settings
    from django.test import Client

    client = Client(HTTP_HOST="127.0.0.1")
    taken = 0
    for line in Path(path).read_text().splitlines():
        answer = client.post(
            "/anymail/postmark/tracking/",
            line,
            content_type="application/json",
            headers={"Authorization": _basic(settings.ANYMAIL["WEBHOOK_SECRET"])},
        )
        taken += answer.status_code == 200
    return taken


def _basic(login: str) -> str:
    from base64 import b64encode

    return f"Basic {b64encode(login.encode()).decode()}"


def _set_as_told() -> None:
    """Shorten what would take minutes: {"module.NAME": value}."""
    for name, value in json.loads(os.environ.get("WORLD_SET", "{}")).items():
        module, _, constant = name.rpartition(".")
        found = importlib.import_module(module)
        assert hasattr(found, constant), f"There is no {name} any more."
        setattr(found, constant, value)
    name, _, number = os.environ.get("WORLD_SQLITE", "").partition("=")
    if name:
        _limit_sqlite(name, float(number))


def _limit_sqlite(name: str, number: float) -> None:
    """How long a connection waits for its turn, or how many pages there may be."""
    from django.db import connection

    options = connection.settings_dict["OPTIONS"]
    if name == "timeout":
        options["timeout"] = number
    else:
        options["init_command"] += f"PRAGMA {name}={number:.0f};"


COMMANDS = {
    "build": lambda count: _build(int(count)),
    "notice": _notice,
    "standing": _standing,
    "add": _add,
    "close": _close,
    "engine": lambda ahead="0": _engine(float(ahead)),
    "cut": lambda pieces: _cut(int(pieces)),
    "claim": _claim,
    "who": _who,
    "state": _state,
    "work": _work,
    "supervise": _supervise,
    "bound": _bound,
    "counted": _counted,
    "progress": _progress,
    "decide": _decide,
    "unsubscribe": lambda count, seed, seconds: _unsubscribe(
        int(count), int(seed), float(seconds)
    ),
    "post": _post,
}


def main(arguments: list[str]) -> Any:
    """Do one of COMMANDS."""
    command, *rest = arguments
    _set_as_told()
    return COMMANDS[command](*rest)
