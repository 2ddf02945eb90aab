"""A provider on this machine, and shops of which every batch has two mails."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.campaigns.chaos.arena import Arena
from tests.campaigns.chaos.loopback import Provider
from tests.campaigns.chaos.nursery import Nursery
from tests.campaigns.chaos.shops import Shop, fresh_postgres, shortened

PEOPLE = 200


@pytest.fixture
def provider() -> Iterator[Provider]:
    found = Provider(delay_seconds=0.005)
    yield found
    found.close()


@pytest.fixture(scope="session")
def _crowd_sqlite(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> Shop:
    folder = tmp_path_factory.mktemp("crowd")
    shop = Shop(nursery, folder, f"sqlite:///{folder / 'shop.sqlite3'}")
    shop.run("build", str(PEOPLE), **shortened())
    shop.run("bound")
    return shop


@pytest.fixture(scope="session")
def _crowd_postgres(
    tmp_path_factory: pytest.TempPathFactory, nursery: Nursery
) -> Iterator[Shop]:
    with fresh_postgres() as url:
        shop = Shop(nursery, tmp_path_factory.mktemp("crowd"), url)
        shop.run("build", str(PEOPLE), **shortened())
        shop.run("bound")
        yield shop


@pytest.fixture
def crowd_sqlite(_crowd_sqlite: Shop, tmp_path: Path) -> Shop:
    """Two hundred customers, a send that is not due yet, and limits and a cap that
    count everybody."""
    folder = tmp_path / "crowd"
    shutil.copytree(_crowd_sqlite.folder, folder)
    url = f"sqlite:///{folder / 'shop.sqlite3'}"
    return Shop(_crowd_sqlite.nursery, folder, url)


@pytest.fixture
def crowd_postgres(_crowd_postgres: Shop, tmp_path: Path) -> Iterator[Shop]:
    with fresh_postgres(like=_crowd_postgres.database_url) as url:
        folder = tmp_path / "crowd"
        shutil.copytree(_crowd_postgres.folder, folder)
        yield Shop(_crowd_postgres.nursery, folder, url)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def crowd(request: pytest.FixtureRequest) -> Shop:
    found: Shop = request.getfixturevalue(f"crowd_{request.param}")
    return found


@pytest.fixture
def arena_of(provider: Provider) -> Iterator[Callable[..., Arena]]:
    """A shop whose send is due; whatever comes of the test, its workers end with it."""
    opened: list[Arena] = []

    def arena_of(shop: Shop, **set_: Any) -> Arena:
        shop.due_now()
        opened.append(Arena(shop, provider, **set_))
        return opened[-1]

    yield arena_of
    for found in opened:
        for worker in list(found.workers):
            found.kill(worker)


@pytest.fixture
def arena(crowd: Shop, arena_of: Callable[..., Arena]) -> Arena:
    """The same on both databases."""
    return arena_of(crowd)


@pytest.fixture
def arena_sqlite(crowd_sqlite: Shop, arena_of: Callable[..., Arena]) -> Arena:
    return arena_of(crowd_sqlite)


@pytest.fixture
def arena_postgres(crowd_postgres: Shop, arena_of: Callable[..., Arena]) -> Arena:
    return arena_of(crowd_postgres)
