"""What every benchmark needs: its own place, CPU seconds, peak memory, one line."""

import json
import os
import resource
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Taken:
    """seconds: on the clock; cpu_seconds: of this process, all threads."""

    seconds: float
    cpu_seconds: float
    result: Any


def take(work: Callable[[], Any]) -> Taken:
    clock, cpu = time.perf_counter(), time.process_time()
    result = work()
    return Taken(time.perf_counter() - clock, time.process_time() - cpu, result)


class Measured:
    """Wall and CPU seconds and growth of memory of what happens inside."""

    def __enter__(self) -> "Measured":
        self._peak = peak_megabytes()
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall = time.perf_counter() - self._wall
        self.cpu = time.process_time() - self._cpu
        self.growth_mb = peak_megabytes() - self._peak

    def result(self, mails: int) -> dict[str, float]:
        return {
            "per_s": mails / self.wall,
            "per_cpu_s": mails / self.cpu,
            "rss_growth_mb": self.growth_mb,
        }


def peak_megabytes() -> float:
    """Most memory this process ever held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20) if sys.platform == "darwin" else peak / 1024


def say(name: str, **figures: Any) -> None:
    """The one JSON line of a benchmark."""
    rounded = {
        key: round(value, 3) if isinstance(value, float) else value
        for key, value in figures.items()
    }
    print(json.dumps({"benchmark": name, **rounded}), flush=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# What a shop's benchmarks need once Django is set up.

SHOP = "Linden & Loam"


def add_customers(count: int, *, at: datetime, first: int = 0) -> list[Any]:
    """Customers of the names Name0, Name1, ... who may be mailed since that moment."""
    from customers.models import Consent, Customer

    customers = Customer.objects.bulk_create(
        Customer(
            external_id=f"c{number}",
            email=f"person{number}@example.com",
            address_key=f"person{number}@example.com",
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
            source="benchmark",
            occurred_at=at,
        )
        for one in customers
    )
    return customers


def add_campaign(template: Any = None) -> Any:
    """A campaign of that template, or of the announcement in all its tones."""
    from campaigns.models import Campaign, Sender
    from campaigns.services import starter_template

    sender = Sender.objects.create(
        shop_name=SHOP,
        from_name=SHOP,
        from_address="hello@shop.example",
        postal_address="8 Sample Lane, Northport",
    )
    return Campaign.objects.create(
        name="Bench",
        template=template or starter_template("announcement"),
        sender=sender,
        at_night=True,  # measured at whatever hour
    )


@contextmanager
def fresh_django() -> Iterator[Path]:
    """Django on an empty SQLite database in a folder that is gone afterwards.

    ATTUNE_DATABASE_URL in the environment is left out: a benchmark empties tables.
    """
    with tempfile.TemporaryDirectory() as folder:
        os.environ.pop("ATTUNE_DATABASE_URL", None)
        os.environ["ATTUNE_DATA_DIR"] = folder
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
        sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        yield Path(folder)
        from django.db import connections

        connections.close_all()
