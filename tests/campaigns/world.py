"""A small shop with a campaign, for tests in this process and in processes of its own.

As a script, with ATTUNE_DATA_DIR and the like set: `world.py build 40`, `world.py
engine [minutes ahead]`, `world.py claim`, `world.py state`; each prints one line of
JSON.
"""

import json
import sys
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
    """Where every message is, and what the outbox holds, by public id."""
    from django.conf import settings

    from campaigns.models import Batch, Message, Send

    mails = sorted(path.name for path in Path(settings.OUTBOX_DIR).rglob("*.eml"))
    messages = Message.objects.order_by("pk").values_list("public_id", "state")
    return {
        "send": Send.objects.get().state,
        "audience": Send.objects.get().audience_size,
        "messages": {str(public_id): state for public_id, state in messages},
        "batches": list(Batch.objects.values_list("state", flat=True)),
        "outbox": mails,
    }


def _who() -> list[list[str]]:
    """Who gets what in which tone, in words that are the same in every database."""
    from campaigns.models import Message

    fields = ("customer__external_id", "tone", "arm", "segment_key", "reason")
    return sorted(map(list, Message.objects.values_list(*fields)))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    import django

    django.setup()
    command, *arguments = sys.argv[1:]
    result: Any
    if command == "build":
        result = _build(int(arguments[0]))
    elif command == "engine":
        result = _engine(float(arguments[0]) if arguments else 0.0)
    elif command == "cut":
        result = _cut(int(arguments[0]))
    elif command == "claim":
        result = _claim()
    elif command == "who":
        result = _who()
    else:
        result = _state()
    sys.stdout.write(json.dumps(result))
