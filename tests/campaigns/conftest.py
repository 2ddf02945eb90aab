"""A shop with a campaign, a channel that answers as told, processes of their own."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from campaigns.sending.channels import NOT_REACHED, STOPS, Outgoing, Receipt, Result
from campaigns.sending.channels.anymail import AnymailChannel
from campaigns.sending.protocol import Lane

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
POSTGRES = "postgresql://postgres@127.0.0.1:5432"


@pytest.fixture(scope="session")
def world() -> ModuleType:
    spec = importlib.util.spec_from_file_location("campaign_world", HERE / "world.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def _own_outbox(settings: Any, tmp_path: Path) -> None:
    settings.OUTBOX_DIR = tmp_path / "outbox"
    settings.PROVIDER = "outbox"
    settings.BASE_URL = "https://mail.shop.example"
    settings.TRACKING_KEYS = ["a tracking key for tests"]


@pytest.fixture
def campaign(db: None, world: ModuleType) -> Any:
    return world.add_campaign()


def _percent_variables(text: str, values: dict[str, str]) -> str:
    """Mailgun, at its harshest: what it does not know is gone."""
    return re.sub(r"%([A-Za-z_][^%\s]*)%", lambda m: values.get(m[1], ""), text)


def _tags(text: str, values: dict[str, str]) -> str:
    """SendGrid: tags as they are written, four times over, values included."""
    for _ in range(4):
        for tag, value in values.items():
            text = text.replace(tag, value)
    return text


@pytest.fixture(scope="session")
def emulators() -> dict[str, Callable[[str, dict[str, str]], str]]:
    """How providers fill raw values in, after their manuals."""
    return {"mailgun": _percent_variables, "sendgrid": _tags}


class TellingChannel:
    """Composes as the outbox does; answers what the test says; keeps a ledger."""

    batch_size, timeout_seconds = 100, 20.0

    def __init__(self, group_size: int = 4) -> None:
        self.group_size = group_size
        self.answers: dict[str, Result] = {}
        self.ledger: list[str] = []
        self.groups: list[int] = []
        self.before: Callable[[Sequence[Outgoing]], None] = lambda mails: None
        self._writes = AnymailChannel("outbox", "anymail.backends.test.EmailBackend")
        self.compose, self.check = self._writes.compose, self._writes.check

    def hand_over(self, mails: Sequence[Outgoing]) -> list[Result]:
        self.before(mails)
        self.groups.append(len(mails))
        results: list[Result] = []
        for mail in mails:
            result = self.answers.get(mail.address, Receipt(f"id-{mail.public_id}"))
            if isinstance(result, Receipt):
                self.ledger.append(mail.address)
            results.append(result)
            if isinstance(result, STOPS):
                break
        return results + [NOT_REACHED] * (len(mails) - len(results))

    def close(self) -> None:
        pass


@pytest.fixture
def channel() -> TellingChannel:
    return TellingChannel()


@pytest.fixture
def lane(channel: TellingChannel) -> Lane:
    return Lane("bulk", channel, "test")


class Shop:
    """A database and an outbox of their own, used by real processes."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
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

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(HERE / "world.py"), *arguments],
            cwd=ROOT,
            env={**self.env, **env},
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **env: str) -> Any:
        """The JSON it printed; None when it was killed on the way."""
        process = self.start(*arguments, **env)
        out, _ = process.communicate(timeout=120)
        if process.returncode:
            assert process.returncode == -9, f"{arguments} ended {process.returncode}"
            return None
        return json.loads(out)


@pytest.fixture(scope="session")
def _built_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    Shop(folder, f"sqlite:///{folder / 'shop.sqlite3'}").run("build", "40")
    return folder


@pytest.fixture
def sqlite_shop(_built_sqlite: Path, tmp_path: Path) -> Shop:
    """Forty customers and a send that is due, in a SQLite file."""
    folder = tmp_path / "shop"
    shutil.copytree(_built_sqlite, folder)
    return Shop(folder, f"sqlite:///{folder / 'shop.sqlite3'}")


@pytest.fixture
def postgres_shop(tmp_path: Path) -> Iterator[Shop]:
    """The same in a PostgreSQL database of its own."""
    with fresh_postgres() as url:
        shop = Shop(tmp_path, url)
        shop.run("build", "40")
        yield shop


class fresh_postgres:
    """A new database, dropped at the end."""

    def __init__(self) -> None:
        self.name = f"campaigns_{uuid.uuid4().hex[:12]}"

    def __enter__(self) -> str:
        self._execute(f'CREATE DATABASE "{self.name}"')
        return f"{POSTGRES}/{self.name}"

    def __exit__(self, *_: object) -> None:
        self._execute(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')

    @staticmethod
    def _execute(statement: str) -> None:
        import psycopg

        with psycopg.connect(f"{POSTGRES}/postgres", autocommit=True) as connection:
            connection.execute(statement)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def shop(request: pytest.FixtureRequest) -> Shop:
    """The same test on both databases."""
    found: Shop = request.getfixturevalue(f"{request.param}_shop")
    return found
