"""What people do while mail leaves: sending.md 7.2, F28 and F31."""

import time

import pytest

from tests.campaigns.chaos.arena import PATIENT
from tests.campaigns.chaos.invariants import SaidNo

WORKERS = 3

pytestmark = pytest.mark.slow


@pytest.fixture
def arena(crowd, arena_of):
    return arena_of(crowd, **PATIENT)


@pytest.mark.parametrize("what", ["pause", "cancel"])
def test_no_more_mails_leave_than_workers_had_under_way(arena, provider, what):
    """F31: one mail is a group here."""
    arena.work(WORKERS)
    arena.until_mailed(30)
    assert arena.run("decide", what) == {"pause": "paused", "cancel": "cancelled"}[what]
    taken = len(provider.ledger)
    time.sleep(1.0)
    assert len(provider.ledger) <= taken + WORKERS
    if what == "pause":
        sums = arena.finish()
        assert sums.messages == {"accepted": sums.audience}
        return
    arena.stop()
    sums = arena.check(at_rest=True)
    assert sums.lost == 0
    assert sums.messages["accepted"] == len(provider.ledger) < sums.audience
    assert sums.messages["cancelled"] == sums.audience - len(provider.ledger)


def test_who_unsubscribes_while_workers_send_gets_no_more_than_what_was_under_way(
    arena,
):
    """F28: forty people in two processes; check() knows who of them still waited."""
    arena.work(WORKERS)
    arena.until_mailed(5)
    leaving = [arena.shop.start("unsubscribe", "20", seed, "1") for seed in "12"]
    for one in leaving:
        arena.said_no += [SaidNo(*said) for said in one.answer()]
    sums = arena.finish()
    waited = {one.address for one in arena.said_no if one.waited}
    mailed = {one.address for one in arena.provider.ledger}
    assert sums.reasons["suppressed"] >= len(waited - mailed) > 0
    assert sums.messages["accepted"] + sums.reasons["suppressed"] == sums.audience
