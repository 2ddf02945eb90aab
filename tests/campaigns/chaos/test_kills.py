"""Processes die, or stand still, at any instant: sending.md 7.2, F5 and F12."""

import random
import signal
import time

import pytest

from tests.campaigns.chaos.arena import Arena, kill_at_random
from tests.campaigns.chaos.loopback import Provider
from tests.campaigns.chaos.shops import KEYED

KILLS = 30
POSTGRES = pytest.param("postgres", marks=pytest.mark.postgres)
# Twenty seeds on each database; with keys ten, of some seven seconds each.
SEEDS = [
    pytest.param(*database.values, seed, marks=database.marks)
    for seed in range(20)
    for database in (pytest.param("sqlite"), POSTGRES)
]
LEASE_SECONDS = 2.0

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("crowd", "seed"), SEEDS, indirect=["crowd"])
def test_thirty_kills_over_a_hundred_batches_lose_nobody_and_mail_nobody_twice(
    arena, seed
):
    kill_at_random(arena, kills=KILLS, seed=seed)
    sums = arena.finish()
    assert sums.messages["accepted"] + sums.messages["in_doubt"] == sums.audience
    assert sums.messages["in_doubt"] <= KILLS


@pytest.mark.parametrize(("crowd", "seed"), SEEDS[:20], indirect=["crowd"])
def test_with_keys_thirty_kills_and_answers_that_tell_nothing_leave_few_in_doubt(
    crowd, seed
):
    """F5, F15 with keys: only who travelled alone, as a question, stays in doubt."""
    provider, chance = Provider(speaks="resend"), random.Random(seed)
    provider.mode = lambda *_: "cut" if chance.random() < 0.1 else "ok"
    crowd.due_now()
    # A lease is two dozen answers long.
    arena = Arena(crowd, provider, timeout_seconds=0.3, **KEYED)
    arena.env["ATTUNE_MAILS_PER_CALL"] = "2"
    try:
        kill_at_random(arena, kills=KILLS, seed=seed)
        # What is held now, the dead hold; some nine seconds longer, if they could.
        arena.stop()
        arena.forget_leases()
        arena.work(3)
        arena.finish()
        arena.work()
        kept = "SELECT count(*) FROM campaigns_keptcall"
        arena.wait_until(lambda _: crowd.execute(kept) == [(0,)])
        arena.stop()
        sums = arena.check(at_rest=True)
    finally:
        arena.stop()
        provider.close()
    assert sums.messages["accepted"] + sums.messages["in_doubt"] == sums.audience
    # Alone leaves the first after a doubt and the last of a batch; some were killed.
    assert sums.messages["in_doubt"] <= provider.riddles + 3
    assert provider.repeated > 0


@pytest.mark.parametrize(("point", "taken"), [("after_intent", 0), ("after_accept", 1)])
def test_a_worker_that_stands_still_past_its_lease_sends_nothing_and_settles_its_doubt(
    shop, arena_of, point, taken
):
    """Before the call the last gate drops its group, which surely was not sent; after
    it its answer proves that it was. Forty people are enough."""
    shop.run("bound")
    arena = arena_of(shop)
    arena.calm = False
    [frozen] = arena.work(
        ATTUNE_CRASH_AT=point, ATTUNE_CRASH_BY="SIGSTOP", ATTUNE_CRASH_TESTS="yes"
    )
    arena.wait_until(lambda _: frozen.stopped())
    assert len(arena.provider.ledger) == taken
    time.sleep(LEASE_SECONDS)
    arena.work()
    sums = arena.wait_until(lambda sums: sums.send == "sent")
    assert sums.messages == {"accepted": sums.audience - 1, "in_doubt": 1}
    frozen.send_signal(signal.SIGCONT)
    arena.wait_until(lambda sums: sums.messages == {"accepted": sums.audience})
    sums = arena.finish()
    assert (sums.taken, sums.twice) == (sums.audience, 0)
    assert "its lease ran out" in frozen.errors()
    said = "the provider had taken it, as " if taken else "It waits again."
    [(note,)] = shop.execute("SELECT sentence FROM campaigns_sendnote")
    assert said in note
