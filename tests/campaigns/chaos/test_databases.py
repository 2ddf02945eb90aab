"""What happens to the database while mail leaves: sending.md 7.2, F6 to F9."""

import random
import signal
import sqlite3
import time
from contextlib import closing
from urllib.parse import urlsplit, urlunsplit

import pytest

from campaigns.sending.crashpoints import POINTS
from tests.campaigns.chaos.servers import Eavesdropper, OwnPostgres
from tests.campaigns.chaos.shops import Shop, fresh_postgres, shortened

pytestmark = pytest.mark.slow
TAKEN_FIRST = {"after_accept", "inside_outcome"}
CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@pytest.mark.postgres
@pytest.mark.parametrize("point", POINTS)
def test_a_connection_that_is_cut_sends_nothing_without_intent_and_doubts_what_it_may(
    postgres_shop, arena_of, provider, point
):
    postgres_shop.run("bound")
    arena = arena_of(postgres_shop)
    [worker] = arena.work(
        ATTUNE_CRASH_AT=point, ATTUNE_CRASH_BY="SIGSTOP", ATTUNE_CRASH_TESTS="yes"
    )
    arena.wait_until(lambda _: worker.stopped())
    taken = len(provider.ledger)
    assert taken == (point in TAKEN_FIRST)
    arena.calm = False
    arena.shop.execute(CUT)
    worker.send_signal(signal.SIGCONT)
    arena.wait_until(lambda sums: sums.send == "sent")
    assert worker.poll() is None  # it has waited and gone on
    sums = arena.finish()
    assert sums.messages["in_doubt"] == (point != "after_claim")
    assert sums.taken == sums.audience - (point == "after_intent")


@pytest.mark.postgres
def test_connections_cut_again_and_again_lose_nobody(arena_postgres):
    arena, chance = arena_postgres, random.Random(6)
    arena.calm = False
    workers = arena.work(3)
    for _ in range(30):
        time.sleep(chance.uniform(0.02, 0.2))
        arena.shop.execute(CUT)
        arena.check()
    sums = arena.finish()
    assert all(worker.status == 0 for worker in workers)
    assert sums.messages["accepted"] + sums.messages["in_doubt"] == sums.audience


@pytest.mark.postgres
def test_where_nobody_knows_whether_a_commit_holds_nobody_is_lost_or_mailed_twice(
    arena_postgres,
):
    arena = arena_postgres
    arena.calm = False
    url = urlsplit(arena.shop.database_url)
    between = Eavesdropper(url.port, share=0.1, seed=6)
    there = url._replace(netloc=f"{url.username}@{url.hostname}:{between.port}")
    workers = arena.work(2, ATTUNE_DATABASE_URL=urlunsplit(there))
    try:
        sums = arena.finish()
    finally:
        between.close()
    assert between.lost >= 5
    assert all(worker.status == 0 for worker in workers)
    assert sums.messages["accepted"] + sums.messages["in_doubt"] == sums.audience
    assert sums.messages["in_doubt"] <= between.lost


@pytest.mark.postgres
@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_a_server_that_restarts_in_the_middle_is_waited_for(
    nursery, arena_of, tmp_path, how
):
    with OwnPostgres() as server, fresh_postgres(server=server.url) as url:
        shop = Shop(nursery, tmp_path, url)
        shop.run("build", "60", **shortened())
        shop.run("bound")
        arena = arena_of(shop)
        arena.calm = False
        workers = arena.work(2)
        arena.until_mailed(15)
        server.stop(how)
        time.sleep(1.0)
        server.start()
        sums = arena.finish()
    assert all(worker.status == 0 for worker in workers)
    assert sums.messages["accepted"] + sums.messages["in_doubt"] == sums.audience
    assert sums.messages["in_doubt"] <= len(workers)


def test_a_file_that_somebody_else_writes_for_long_is_waited_for(
    arena_sqlite, provider
):
    """The sixty seconds and the patience of a connection, both shortened."""
    arena = arena_sqlite
    arena.calm = False
    [worker] = arena.work(WORLD_SQLITE="timeout=0.3")
    arena.until_mailed(20)
    path = arena.shop.database_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        time.sleep(0.2)
        taken = len(provider.ledger)
        time.sleep(2.0)
        assert len(provider.ledger) == taken  # without an intent nothing leaves
        other.execute("ROLLBACK")
    sums = arena.finish()
    assert worker.status == 0
    assert "OperationalError" in worker.errors()
    assert sums.messages["accepted"] + sums.messages["in_doubt"] == sums.audience
    assert sums.messages["in_doubt"] <= 1


@pytest.mark.parametrize("mailed", [0, 20])
def test_a_disk_that_is_full_sends_nothing_and_goes_on_when_there_is_room(
    arena_sqlite, provider, mailed
):
    arena = arena_sqlite
    arena.calm = False
    if mailed:
        arena.work()
        arena.until_mailed(mailed)
        arena.stop()
    before = len(provider.ledger)
    [(pages,)] = arena.shop.execute("PRAGMA page_count")
    [worker] = arena.work(WORLD_SQLITE=f"max_page_count={pages + bool(not mailed)}")
    arena.wait_until(lambda _: "does not answer" in worker.errors())
    taken = len(provider.ledger)
    time.sleep(1.0)
    assert worker.poll() is None
    sums = arena.check()
    assert sums.send != "sent"
    # Without room for an intent nothing leaves, however often it is tried.
    assert before <= taken == len(provider.ledger) < 200
    arena.stop()
    arena.work()
    sums = arena.finish()
    assert sums.messages["accepted"] + sums.messages["in_doubt"] == sums.audience
