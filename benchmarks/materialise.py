"""Messages a second from a dated send: one row for each customer, with her reasons.

Beside it, in the same run, bulk_create of as many bare rows that were decided before:
the usual way to write them down, with nothing to decide. A whole shop, with texts and
all that leaves from it, is million_send.py.

python benchmarks/materialise.py [--customers 20000]
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from measure import add_campaign, add_customers

ROOT = Path(__file__).resolve().parent.parent
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CHUNK = 10_000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--customers", type=int, default=20_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sys.path.insert(0, str(ROOT))
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
        os.environ["ATTUNE_DATA_DIR"] = folder
        os.environ["ATTUNE_PROVIDER"] = "smtp"
        # Written a second time, which no send that has a canary is.
        os.environ["ATTUNE_CANARY"] = "0"
        import django

        django.setup()
        print(json.dumps(_measure(options.customers)))


def _measure(customers: int) -> dict[str, Any]:
    from django.core.management import call_command

    from campaigns.models import Message
    from campaigns.services import launch_send, materialise, schedule_send

    call_command("migrate", verbosity=0, interactive=False)
    for first in range(0, customers, CHUNK):
        _customers(first, min(CHUNK, customers - first))
    send = schedule_send(add_campaign(), scheduled_at=NOW, at=NOW)
    send = launch_send(send, at=NOW)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    assert materialise(send, at=NOW)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    counted = Message.objects.filter(send=send).count()
    assert counted == customers, f"{counted} of {customers}"
    began = time.perf_counter()
    send.prepared_up_to, send.prepared_at, send.state = 0, None, "preparing"
    send.save()
    materialise(send, at=NOW)
    again = Message.objects.filter(send=send).count()
    assert again == customers, "a rerun added messages"
    rerun = time.perf_counter() - began
    bare = _bulk_create(send, customers)
    return {
        "benchmark": "materialise",
        "customers": customers,
        "per_s": round(customers / wall),
        "per_cpu_s": round(customers / cpu),
        "bulk_create_per_cpu_s": round(customers / bare),
        "cpu_over_bulk_create": round(cpu / bare, 2),
        "rerun_per_s": round(customers / rerun),
        "rss_growth_mb": round(growth / 1024, 1),
    }


def _bulk_create(send: Any, customers: int) -> float:
    """CPU seconds of Django's own bulk_create of the same number of messages."""
    from campaigns.models import Message, Send

    other = Send.objects.create(campaign=send.campaign, scheduled_at=NOW, frozen={})
    rows = [
        Message(
            send=other,
            customer_id=pk,
            address_wire=address,
            segment_key="neutral",
            tone="neutral",
        )
        for pk, address in send.messages.values_list("customer_id", "address_wire")
    ]
    cpu = time.process_time()
    Message.objects.bulk_create(rows, batch_size=500)
    cpu = time.process_time() - cpu
    assert Message.objects.filter(send=other).count() == customers
    return cpu


def _customers(first: int, count: int) -> None:
    from segmentation.models import Membership, Segment, SegmentationRun

    customers = add_customers(count, at=NOW - timedelta(days=9), first=first)
    run, _ = SegmentationRun.objects.get_or_create(
        state="published", defaults={"cut_off": NOW, "segmenter": "none", "model": {}}
    )
    segments = list(Segment.objects.all())
    Membership.objects.bulk_create(
        Membership(
            run=run,
            customer=one,
            segment=segments[position % len(segments)],
            probability=0.8,
            since=NOW,
        )
        for position, one in enumerate(customers)
    )


if __name__ == "__main__":
    main()
