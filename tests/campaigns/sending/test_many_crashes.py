"""SIGKILL around a call of many: the provider's own ledger tells who was mailed."""

import json
from collections import Counter

import pytest

pytestmark = pytest.mark.slow
IN_A_CALL = 7


@pytest.fixture
def engine(shop, fake, many):
    """A real process that sends through the provider on this machine."""
    many("mailgun")
    options = {
        "MAILGUN_API_KEY": "k",
        "MAILGUN_SENDER_DOMAIN": "shop.example",
        "MAILGUN_API_URL": fake.url,
    }

    def engine(minutes, crash_at=None):
        crash = {"ATTUNE_CRASH_AT": crash_at, "ATTUNE_CRASH_TESTS": "yes"}
        return shop.run(
            "engine",
            str(minutes),
            ATTUNE_PROVIDER="mailgun",
            ATTUNE_PROVIDER_OPTIONS=json.dumps(options),
            ATTUNE_BASE_URL="https://mail.shop.example",
            ATTUNE_MAILS_PER_CALL=str(IN_A_CALL),
            **(crash if crash_at else {}),
        )

    return engine


def check(state, fake):
    """I1, I3, I4, I5 of sending.md 7.1."""
    mailed = Counter(one.public_id for one in fake.ledger)
    assert set(mailed.values()) <= {1}, "mailed twice"
    for public_id, where in state["messages"].items():
        if where == "accepted":
            assert public_id in mailed
        if public_id in mailed:
            assert where in {"accepted", "in_doubt", "handing_over"}
    assert len(state["messages"]) == state["audience"] == 40


@pytest.mark.parametrize(
    "point", ["after_claim", "after_intent:2", "after_accept:2", "inside_outcome:2"]
)
def test_a_kill_leaves_one_call_in_doubt_and_mails_nobody_twice(
    shop, engine, fake, point
):
    """F1 to F4."""
    assert engine(0, crash_at=point) is None
    check(shop.run("state"), fake)
    engine(1)  # while the lease runs nobody touches the batch
    check(shop.run("state"), fake)
    engine(60)
    state = shop.run("state")
    check(state, fake)
    found = Counter(state["messages"].values())
    assert state["send"] == "sent"
    assert found["in_doubt"] <= (0 if point == "after_claim" else IN_A_CALL)
    assert found["accepted"] + found["in_doubt"] == 40
    assert max(fake.sizes) <= IN_A_CALL
