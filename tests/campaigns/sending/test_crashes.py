"""SIGKILL at named places, in real processes: nobody twice, and every sum closes."""

import json
from collections import Counter

import pytest

from campaigns.sending.crashpoints import AFTER_RANGE, INSIDE_RANGE, POINTS

GROUP = 10  # the outbox channel's group_size


def crash(point, times=1):
    return {"ATTUNE_CRASH_AT": f"{point}:{times}", "ATTUNE_CRASH_TESTS": "yes"}


def check(state):
    """I1, I3, I4, I5, I6 of sending.md 7.1; the outbox is the provider's ledger."""
    messages, outbox = state["messages"], state["outbox"]
    assert not [name for name in outbox if name.count(".") > 1], "mailed twice"
    ledger = {name.removesuffix(".eml") for name in outbox}
    assert len(ledger) == len(outbox)
    for public_id, where in messages.items():
        if where == "accepted":
            assert public_id in ledger
        if public_id in ledger:
            assert where in {"accepted", "in_doubt", "handing_over"}
    assert len(messages) == state["audience"] == 40
    if state["send"] == "sent":
        assert not {"waiting", "handing_over"} & set(messages.values())


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
    assert shop.run("engine", **crash(point)) is None
    check(shop.run("state"))
    # While the lease runs, nobody touches the batch; an hour later it is swept.
    shop.run("engine", "1")
    check(shop.run("state"))
    shop.run("engine", "60")
    state = shop.run("state")
    check(state)
    found = Counter(state["messages"].values())
    assert state["send"] == "sent"
    # The first batch may be shorter than a group.
    assert found["in_doubt"] <= doubts
    assert (found["in_doubt"] > 0) is (doubts > 0)
    assert len(state["outbox"]) >= delivered
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
    state = shop.run("state")
    check(state)
    assert state["send"] == "sent"
    assert Counter(state["messages"].values()) == {"accepted": 40}


@pytest.mark.slow
def test_kills_again_and_again_lose_nobody(shop):
    for turn, point in enumerate((*POINTS[1:], *POINTS)):
        shop.run("engine", str(60 * turn), **crash(point, 1 + turn % 2))
        check(shop.run("state"))
    shop.run("engine", "600")
    state = shop.run("state")
    check(state)
    assert state["send"] == "sent"
    assert set(state["messages"].values()) <= {"accepted", "in_doubt"}


def test_crash_points_do_nothing_unless_a_test_asked_twice(sqlite_shop):
    report = sqlite_shop.run("engine", ATTUNE_CRASH_AT="after_claim")
    assert report == {"accepted": 40, "in_doubt": 0}
