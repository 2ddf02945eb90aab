"""A process that hangs, under a supervisor with little patience; real processes."""

import signal
import sqlite3
import time
from contextlib import closing

import pytest

from tests.campaigns.chaos.nursery import alive

MAIL = (
    "SELECT name, last_seen FROM campaigns_enginenode WHERE role = 'run_engine mail' "
    "ORDER BY started_at DESC"
)
TOLD = "SELECT detail FROM campaigns_enginenode WHERE role = 'run_engine mail'"
IMPATIENT = {
    "campaigns.sending.supervising.LOOK_SECONDS": 0.05,
    "campaigns.sending.supervising.SILENT_MOST_SECONDS": 5.0,
    "campaigns.sending.supervising.FIRST_REST_SECONDS": 0.05,
    "campaigns.sending.engine.HEARTBEAT_SECONDS": 0.2,
}

pytestmark = pytest.mark.slow


def mail_process(arena, *, other_than=0):
    """The pid of the process for mail, once it has been heard of."""
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        for name, _ in arena.shop.execute(MAIL):
            pid = int(name.rpartition(":")[2])
            if pid != other_than and alive(pid):
                return pid
        time.sleep(0.05)
    raise AssertionError(f"No process for mail: {arena.shop.execute(MAIL)}")


def end(arena, engine):
    engine.send_signal(signal.SIGTERM)
    assert engine.wait() == 0


@pytest.mark.parametrize("point", ["after_intent", "after_accept"])
def test_a_mail_process_that_stands_still_is_replaced_and_nobody_is_mailed_twice(
    shop, arena_of, point
):
    """Whoever comes next stands still at its third group, too: forty people are enough
    for several, and one of each is in doubt."""
    shop.run("bound")
    arena = arena_of(shop, **IMPATIENT)
    arena.calm = False
    engine = shop.start(
        "supervise",
        **arena.env,
        ATTUNE_CRASH_AT=f"{point}:3",
        ATTUNE_CRASH_BY="SIGSTOP",
        ATTUNE_CRASH_TESTS="yes",
    )
    first = mail_process(arena)
    second = mail_process(arena, other_than=first)
    assert not alive(first)
    arena.wait_until(lambda sums: sums.messages["accepted"] >= 4)
    mail_process(arena, other_than=second)
    end(arena, engine)
    assert "the process for mail hangs" in engine.errors()
    assert any("hung_at" in str(detail) for (detail,) in shop.execute(TOLD))
    arena.work()
    sums = arena.finish()
    assert sums.twice == 0
    assert sums.messages["accepted"] + sums.messages["in_doubt"] == sums.audience
    assert 2 <= sums.messages["in_doubt"] <= 4


def test_while_the_database_is_locked_away_nobody_is_killed(sqlite_shop, arena_of):
    """F8, longer than a process may be silent: it says all the time that it lives."""
    arena = arena_of(sqlite_shop, **IMPATIENT)
    engine = sqlite_shop.start("supervise", **arena.env, WORLD_SQLITE="timeout=0.3")
    first = mail_process(arena)
    path = sqlite_shop.folder / "shop.sqlite3"
    with closing(sqlite3.connect(path, timeout=30)) as holder:
        holder.isolation_level = None
        holder.execute("BEGIN EXCLUSIVE")
        time.sleep(8.0)
        assert "hangs" not in engine.errors()
        assert "the database does not answer" in engine.errors()
        holder.execute("ROLLBACK")
    arena.wait_until(lambda sums: sums.send == "sent", resume=True)
    assert mail_process(arena) == first
    end(arena, engine)
    arena.check(at_rest=True)
