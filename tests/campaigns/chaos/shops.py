"""A database and a data folder of their own, used by real processes."""

import json
import os
import sqlite3
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg

from tests.campaigns.chaos.nursery import ROOT, Child, Nursery

POSTGRES = "postgresql://postgres@127.0.0.1:5432"


class Shop:
    """folder: its data and outbox; env: what its processes are told."""

    def __init__(self, nursery: Nursery, folder: Path, database_url: str) -> None:
        self.nursery, self.folder = nursery, folder
        self.database_url = database_url
        self.env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("ATTUNE_")
        } | {
            "ATTUNE_DATA_DIR": str(folder),
            "ATTUNE_DATABASE_URL": database_url,
            # Some of these processes live by the real clock.
            "ATTUNE_QUIET_HOURS": "",
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "PYTHONPATH": str(ROOT),
        }

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")

    def start(self, *arguments: str, **env: str) -> Child:
        return self.nursery.start(*arguments, env={**self.env, **env})

    def run(self, *arguments: str, **env: str) -> Any:
        """What it returned; None when it was killed on the way."""
        return self.start(*arguments, **env).answer()

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """One statement beside all of them, in autocommit; the rows, if it has any."""
        if self.is_sqlite:
            path = self.database_url.removeprefix("sqlite:///")
            with closing(sqlite3.connect(path, timeout=30)) as found:
                found.isolation_level = None
                return found.execute(statement).fetchall()
        with psycopg.connect(self.database_url, autocommit=True) as other:
            cursor = other.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def due_now(self) -> None:
        """The send is of some day in the past: make it due now."""
        now = "datetime('now')" if self.is_sqlite else "now()"
        self.execute(f"UPDATE campaigns_send SET scheduled_at = {now}")  # noqa: S608


class fresh_postgres:
    """A new database, empty or like another one; dropped at the end."""

    def __init__(self, *, like: str = "", server: str = POSTGRES) -> None:
        self.name = f"campaigns_{uuid.uuid4().hex[:12]}"
        self._server, self._like = server, like.rpartition("/")[2]

    def __enter__(self) -> str:
        template = f' TEMPLATE "{self._like}"' if self._like else ""
        self._execute(f'CREATE DATABASE "{self.name}"{template}')
        return f"{self._server}/{self.name}"

    def __exit__(self, *_: object) -> None:
        self._execute(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')

    def _execute(self, statement: str) -> None:
        with psycopg.connect(f"{self._server}/postgres", autocommit=True) as connection:
            connection.execute(statement)


def shortened(**more: Any) -> dict[str, str]:
    """WORLD_SET for a shop whose leases and pauses are seconds, not minutes."""
    values = {
        "campaigns.sending.engine.IDLE_SECONDS": 0.05,
        "campaigns.sending.engine.TROUBLE_SECONDS": 0.2,
        "campaigns.sending.lanes.LEASE_ANSWERS": 1,
        "campaigns.sending.lanes.LEASE_SPARE_SECONDS": 1.5,
        "campaigns.sending.protocol.GATE_SPARE_SECONDS": 0.2,
        "campaigns.sending.ledger.FIRST_WAIT_SECONDS": 0.1,
        "campaigns.sending.breaker.FIRST_OPEN_SECONDS": 0.1,
        "campaigns.sending.breaker.LONGEST_OPEN_SECONDS": 0.5,
        # After a 429 less is sent a minute; nobody has minutes here.
        "campaigns.sending.windows.SECONDS": {
            "second": 1.0,
            "minute": 1.0,
            "hour": 3600.0,
            "day": 86400.0,
        },
        # One mail a call, as its provider answers; test_many_crashes has the others.
        "campaigns.sending.channels.CHANNELS": {
            "anymail": "campaigns.sending.channels.anymail"
        },
        "campaigns.sending.channels.anymail.BATCH_SIZE": 2,
        "engagement.guards.DOUBT_MOST": 2.0,
        # Two hundred are a large send, too.
        "campaigns.under_way.COUNTED_AT_ONCE": 50,
    }
    return {"WORLD_SET": json.dumps(values | more)}


# Calls of two mails under a key, instead of one mail a call.
KEYED = {
    "campaigns.sending.channels.CHANNELS": {
        "anymail": "campaigns.sending.channels.anymail",
        "resend": "campaigns.sending.channels.many",
    },
    "campaigns.sending.channels.many.BATCH_SIZE": 4,
}
