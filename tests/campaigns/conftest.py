"""A shop with a campaign, a channel that answers as told, processes of their own."""

import html
import importlib.util
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from campaigns.sending.channels import NOT_REACHED, STOPS, Outgoing, Receipt, Result
from campaigns.sending.channels.anymail import AnymailChannel
from campaigns.sending.protocol import Lane
from tests.campaigns.chaos.inside import Inside
from tests.campaigns.chaos.invariants import LOOKED, Ledger, Sums, check
from tests.campaigns.chaos.loopback import Taken
from tests.campaigns.chaos.nursery import Nursery
from tests.campaigns.chaos.shops import Shop, fresh_postgres
from tests.matrix import looked_at

HERE = Path(__file__).parent


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """A test of the failure matrix that sends looks at I1 to I7, or fails."""
    before = LOOKED["at rest"]
    yield
    if item.nodeid.partition("[")[0] in looked_at() and LOOKED["at rest"] == before:
        pytest.fail(
            "docs/failure_matrix.md says that this test sends: I1 to I7 are to be "
            "looked at when everything is at rest, and were not."
        )


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


@pytest.fixture
def send_to(world: ModuleType, campaign: Any) -> Callable[[int], Any]:
    """A prepared send to so many customers of one segment, in one batch."""

    def send_to(count: int) -> Any:
        campaign.neutral_share = 0.0
        world.SEGMENTS, spread = ("excited",), world.SEGMENTS
        world.add_customers(count)
        world.SEGMENTS = spread
        return world.prepared_send(campaign)

    return send_to


def _percent_variables(text: str, values: dict[str, str]) -> str:
    """Mailgun, at its harshest: what it does not know is gone."""
    return re.sub(r"%([A-Za-z_][^%\s]*)%", lambda m: values.get(m[1], ""), text)


def _tags(text: str, values: dict[str, str]) -> str:
    """SendGrid: tags as they are written, four times over, values included."""
    for _ in range(4):
        for tag, value in values.items():
            text = text.replace(tag, value)
    return text


def _braces(text: str, values: dict[str, str], *, escapes: bool) -> str:
    """Handlebars, read from left to right once: what is code that it does not know, or
    a backslash that takes code's meaning away, ends the test."""
    out, rest = [], text
    while "{{" in rest:
        before, _, rest = rest.partition("{{")
        assert not before.endswith("\\"), "a placeholder that is none"
        raw = rest.startswith("{")
        key, closed, rest = rest.removeprefix("{").partition("}}}" if raw else "}}")
        assert closed, "code that does not end"
        value = values[key]
        out += [before, value if raw or not escapes else _escaped(value)]
    return "".join([*out, rest])


def _escaped(value: str) -> str:
    return html.escape(value).replace("`", "&#x60;").replace("=", "&#x3D;")


def _sparkpost(text: str, values: dict[str, str], *, part: str = "html") -> str:
    """Values are escaped in HTML alone, and there not between three braces."""
    if part != "html":
        assert "{{{" not in text
    return _braces(text, values, escapes=part == "html")


def _ses(text: str, values: dict[str, str]) -> str:
    """All ways to read what AWS writes: escaping or not, key by key or from left to
    right. No mail may depend on which is right."""
    ways = {_braces(text, values, escapes=escapes) for escapes in (True, False)}
    for order in (1, -1):
        one = text
        for key in sorted(values)[::order]:
            one = one.replace("{{" + key + "}}", values[key])
        ways.add(one)
    [filled] = ways
    return filled


@pytest.fixture(scope="session")
def emulators() -> dict[str, Callable[..., str]]:
    """How providers fill raw values in, after their manuals."""
    return {
        "amazon_ses": _ses,
        "mailgun": _percent_variables,
        "sendgrid": _tags,
        "sparkpost": _sparkpost,
    }


class TellingChannel:
    """Composes as the outbox does; answers what the test says; keeps a ledger."""

    batch_size, timeout_seconds = 100, 20.0

    def __init__(self, group_size: int = 4) -> None:
        self.group_size = group_size
        self.answers: dict[str, Result] = {}
        self.ledger: list[str] = []
        self.taken: list[Taken] = []
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
                if mail.public_id:  # not one that asks, which is nobody's
                    known = (mail.public_id, mail.address)
                    self.taken.append(Taken(time.time(), *known, "", ""))
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


@pytest.fixture
def invariants(world: ModuleType) -> Callable[..., Sums]:
    """I1 to I7 of what this process has sent, against who has taken it."""

    def invariants(ledger: Ledger, **how: Any) -> Sums:
        return check(Inside(world), ledger, at_rest=True, **how)

    return invariants


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Where processes are forked; see chaos/nursery.py."""
    found = Nursery()
    yield found
    found.close()


@pytest.fixture(scope="session")
def _built_sqlite(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    Shop(nursery, folder, f"sqlite:///{folder / 'shop.sqlite3'}").run("build", "40")
    return folder


@pytest.fixture
def sqlite_shop(_built_sqlite: Path, tmp_path: Path, nursery: Nursery) -> Shop:
    """Forty customers and a send that is due, in a SQLite file."""
    folder = tmp_path / "shop"
    shutil.copytree(_built_sqlite, folder)
    return Shop(nursery, folder, f"sqlite:///{folder / 'shop.sqlite3'}")


@pytest.fixture(scope="session")
def _built_postgres(
    tmp_path_factory: pytest.TempPathFactory, nursery: Nursery
) -> Iterator[Shop]:
    with fresh_postgres() as url:
        shop = Shop(nursery, tmp_path_factory.mktemp("shop"), url)
        shop.run("build", "40")
        yield shop


@pytest.fixture
def postgres_shop(
    _built_postgres: Shop, tmp_path: Path, nursery: Nursery
) -> Iterator[Shop]:
    """The same in a PostgreSQL database of its own."""
    with fresh_postgres(like=_built_postgres.database_url) as url:
        folder = tmp_path / "postgres_shop"
        shutil.copytree(_built_postgres.folder, folder)
        yield Shop(nursery, folder, url)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def shop(request: pytest.FixtureRequest) -> Shop:
    """The same test on both databases."""
    found: Shop = request.getfixturevalue(f"{request.param}_shop")
    return found
