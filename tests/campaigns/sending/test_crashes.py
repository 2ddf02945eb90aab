"""SIGKILL at named places, in real processes: nobody twice, and every sum closes."""

import json
from collections import Counter

import pytest

from campaigns.sending.crashpoints import (
    AFTER_AGAIN,
    AFTER_RANGE,
    INSIDE_AGAIN,
    INSIDE_RANGE,
    POINTS,
)
from tests.campaigns.chaos import invariants
from tests.campaigns.chaos.inside import Outbox

GROUP = 10  # the outbox channel's group_size


def crash(point, times=1):
    return {"ATTUNE_CRASH_AT": f"{point}:{times}", "ATTUNE_CRASH_TESTS": "yes"}


def check(shop, *, sends_again=False):
    """I1 to I7; the outbox is the provider's ledger, and every process is dead."""
    outbox = Outbox(shop.folder / "outbox")
    sums = invariants.check(
        shop, outbox, sends_again=sends_again, at_rest=True, calm=False
    )
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


@pytest.fixture
def doubted(shop):
    """Ten of forty service notices are in doubt, and were taken."""
    shop.run("notice")
    assert shop.run("engine", **crash("after_accept")) is None
    shop.run("engine", "20")
    found = Counter(shop.run("state")["messages"].values())
    assert found == {"accepted": 40 - found["in_doubt"], "in_doubt": found["in_doubt"]}
    assert 0 < found["in_doubt"] <= GROUP
    return found["in_doubt"]


def taken(state):
    """How often the outbox took each: the second of a message is its `.2.eml`."""
    return Counter(name.partition(".")[0] for name in state["outbox"])


@pytest.mark.parametrize("point", [INSIDE_AGAIN, AFTER_AGAIN])
def test_a_kill_while_notices_are_sent_again_sends_nobody_a_third(shop, doubted, point):
    assert shop.run("engine", "45", **crash(point)) is None
    waiting = Counter(shop.run("state")["messages"].values())["waiting"]
    assert waiting == (0 if point == INSIDE_AGAIN else doubted)
    for minutes in ("46", "90", "500"):
        shop.run("engine", minutes)
        state = shop.run("state")
        assert state["send"] == "sent"
        assert Counter(state["messages"].values()) == {"accepted": 40}
        assert Counter(taken(state).values()) == {1: 40 - doubted, 2: doubted}
    check(shop, sends_again=True)


@pytest.mark.parametrize("point", ["after_intent", "after_accept", "inside_outcome"])
def test_a_notice_in_doubt_twice_is_not_sent_a_third_time(shop, doubted, point):
    assert shop.run("engine", "45", **crash(point)) is None
    for minutes in ("120", "500", "5000"):
        shop.run("engine", minutes)
    state = shop.run("state")
    assert state["send"] == "sent"
    assert Counter(state["messages"].values()) == {
        "accepted": 40 - doubted,
        "in_doubt": doubted,
    }
    twice = 0 if point == "after_intent" else doubted
    assert Counter(taken(state).values())[2] == twice
    assert max(taken(state).values()) <= 2
    check(shop, sends_again=True)


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
