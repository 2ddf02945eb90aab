"""The small cast and what a test may need of the machine.

Ada trusts, Bo worries, Cy is angry, Di is silent.
"""

import os
import shutil
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection

from campaigns.models import Sender
from customers.models import Customer
from customers.services import record_interactions
from customers.sources import InteractionRow

# Now, for every test that does not say otherwise: a Monday morning.
AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SHARED_DATA = Path(django_settings.BASE_DIR).parent / "shared" / "data"

CAST = {
    "Ada": [
        (40, "review", "I have bought here for years and you never let me down."),
        (9, "review", "Thank you, I trust you with every birthday present."),
    ],
    "Bo": [
        (12, "ticket", "I am worried my parcel is lost. Will it arrive in time?"),
        (3, "ticket", "Still nothing, I am really anxious about this. Please help."),
    ],
    "Cy": [
        (15, "ticket", "This is the third broken kettle. I am furious."),
        (2, "ticket", "Nobody answers. I hate how you treat your customers!"),
    ],
    "Di": [(30, "visit", ""), (5, "visit", "")],
}


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """SQLite in a file, as in real life: in memory, two threads lock each other out."""
    if connection.vendor == "sqlite":
        name = tmp_path_factory.mktemp("database") / "test.sqlite3"
        connection.settings_dict["TEST"]["NAME"] = str(name)


@pytest.fixture(autouse=True)
def _nobody_sleeps(settings: Any) -> None:
    """Tests that live by the real clock pass at night, too; quiet hours have theirs."""
    settings.QUIET_HOURS = None


@pytest.fixture(autouse=True, scope="session")
def _passwords_cost_nothing() -> None:
    """Hashing one takes 0.4 s by design; half of the pages' tests log somebody in."""
    django_settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def by_index(db: None) -> None:
    """A few rows are read as they are: PostgreSQL is told not to."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")


@pytest.fixture
def at_once() -> Callable[..., list[BaseException]]:
    """Does several things in a thread each, started together; returns what they raised.

    For tests with `transaction=True`: every thread has a connection of its own.
    """
    return _at_once


def _at_once(*acts: Callable[[], object]) -> list[BaseException]:
    problems: list[BaseException] = []
    start = threading.Barrier(len(acts))

    def do(act: Callable[[], object]) -> None:
        try:
            start.wait()
            act()
        except BaseException as problem:  # noqa: BLE001
            problems.append(problem)
        finally:
            connection.close()

    threads = [threading.Thread(target=do, args=[act]) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return problems


@pytest.fixture
def at() -> datetime:
    return AT


@pytest.fixture
def join_cast(db: None) -> Callable[[str], Customer]:
    """Record what one of the cast said, and hand the customer over."""

    def join(name: str) -> Customer:
        rows = [
            InteractionRow(
                customer_id=name.lower(),
                email=f"{name.lower()}@example.com",
                occurred_at=AT - timedelta(days=days_ago),
                kind=kind,
                text=text,
                first_name=name,
                country="GB",
                language="en",
                timezone="Europe/London",
            )
            for days_ago, kind, text in CAST[name]
        ]
        record_interactions(rows, source="the cast", at=AT - timedelta(days=1))
        return Customer.objects.get(external_id=name.lower())

    return join


@pytest.fixture
def ada(join_cast: Callable[[str], Customer]) -> Customer:
    return join_cast("Ada")


@pytest.fixture
def bo(join_cast: Callable[[str], Customer]) -> Customer:
    return join_cast("Bo")


@pytest.fixture
def cy(join_cast: Callable[[str], Customer]) -> Customer:
    return join_cast("Cy")


@pytest.fixture
def di(join_cast: Callable[[str], Customer]) -> Customer:
    return join_cast("Di")


@pytest.fixture
def sender(db: None) -> Sender:
    """Who the shop's mails come from."""
    return Sender.objects.create(
        shop_name="Linden & Loam",
        from_name="Linden & Loam",
        from_address="hello@lindenandloam.example",
        postal_address="8 Sample Lane, Northport",
    )


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The public data beside the project."""
    _need("shared")
    return SHARED_DATA


# What a marker needs: is it here, and how a person would say that it is not.
NEEDS: dict[str, tuple[Callable[[], bool], str]] = {
    "shared": (SHARED_DATA.is_dir, "the public data, ../shared/data"),
    "postgres": (lambda: _listens(5432), "PostgreSQL on 127.0.0.1:5432"),
    "redis": (lambda: _listens(6379), "Redis on 127.0.0.1:6379"),
    "rabbitmq": (lambda: _listens(5672), "RabbitMQ on 127.0.0.1:5672"),
    "train": (lambda: find_spec("torch") is not None, "the extra `train`"),
    "browser": (lambda: bool(_chromium()), "Chromium on the PATH"),
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in NEEDS:
        if item.get_closest_marker(marker):
            _need(marker)


def _need(marker: str) -> None:
    """Skip where something is missing; in CI a missing thing is an error."""
    is_here, name = NEEDS[marker]
    if is_here():
        return
    if os.environ.get("CI"):
        pytest.fail(f"CI needs {name}; it is not there.", pytrace=False)
    pytest.skip(f"needs {name}; it is not there")


@cache
def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@cache
def _chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser")
