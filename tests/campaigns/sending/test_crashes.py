"""SIGKILL at named places, in real processes: nobody twice, and every sum closes."""

import json

import pytest

from campaigns.sending.crashpoints import AFTER_RANGE, INSIDE_RANGE, POINTS
from tests.campaigns.chaos import invariants
from tests.campaigns.chaos.inside import Outbox

GROUP = 10  # the outbox channel's group_size


def crash(point, times=1):
    return {"ATTUNE_CRASH_AT": f"{point}:{times}", "ATTUNE_CRASH_TESTS": "yes"}


def check(shop):
    """I1 to I7; the outbox is the provider's ledger, and every process is dead."""
    outbox = Outbox(shop.folder / "outbox")
    sums = invariants.check(shop, outbox, at_rest=True, calm=False)
    assert sums.audience == 40
    return sums


@pytest.mark.parametrize(
    ("point", "doubts", "delivered"),
    [
        ("after_claim", 0, 40),
        ("after_intent", GROUP, 40 - GROUP),
        ("after_accept", GROUP, 40),
        ("inside_outcome", GROUP, 40),
    ],
)
def test_a_kill_leaves_at_most_one_group_in_doubt_and_mails_nobody_twice(
    shop, point, doubts, delivered
):
    shop.run("bound")
    assert shop.run("engine", **crash(point)) is None
    check(shop)
    # While the lease runs, nobody touches the batch; an hour later it is swept.
    shop.run("engine", "1")
    check(shop)
    shop.run("engine", "60")
    sums = check(shop)
    found = sums.messages
    assert sums.send == "sent"
    # The first batch may be shorter than a group.
    assert found["in_doubt"] <= doubts
    assert (found["in_doubt"] > 0) is (doubts > 0)
    assert sums.taken >= delivered
    assert found["accepted"] + found["in_doubt"] == 40


@pytest.mark.parametrize(
    ("point", "times", "written"), [(INSIDE_RANGE, 3, 14), (AFTER_RANGE, 3, 21)]
)
def test_a_kill_while_the_audience_is_written_loses_nobody_and_doubts_nobody(
    shop, point, times, written
):
    of_seven = {
        "WORLD_SET": json.dumps({"campaigns.materialising.CUSTOMERS_A_CHUNK": 7})
    }
    assert shop.run("engine", **of_seven, **crash(point, times)) is None
    state = shop.run("state")
    assert (state["send"], state["audience"]) == ("preparing", written)
    assert len(state["messages"]) == written
    assert state["outbox"] == []
    shop.run("engine", **of_seven)
    sums = check(shop)
    assert sums.send == "sent"
    assert sums.messages == {"accepted": 40}


@pytest.mark.slow
def test_kills_again_and_again_lose_nobody(shop):
    shop.run("bound")
    for turn, point in enumerate((*POINTS[1:], *POINTS)):
        shop.run("engine", str(60 * turn), **crash(point, 1 + turn % 2))
        check(shop)
    shop.run("engine", "600")
    sums = check(shop)
    assert sums.send == "sent"
    assert set(sums.messages) <= {"accepted", "in_doubt"}


def test_crash_points_do_nothing_unless_a_test_asked_twice(sqlite_shop):
    report = sqlite_shop.run("engine", ATTUNE_CRASH_AT="after_claim")
    assert report == {"accepted": 40, "in_doubt": 0}
