"""SIGKILL around a call of many: the provider's own ledger tells who was mailed."""

import json
from collections import Counter

import pytest

from tests.campaigns.chaos import invariants

pytestmark = pytest.mark.slow
IN_A_CALL = 7


@pytest.fixture
def engine(shop, fake, many, settings):
    """A real process that sends through the provider on this machine."""

    def engine(minutes, crash_at=None, name="mailgun"):
        many(name)
        crash = {"ATTUNE_CRASH_AT": crash_at, "ATTUNE_CRASH_TESTS": "yes"}
        return shop.run(
            "engine",
            str(minutes),
            ATTUNE_PROVIDER=name,
            ATTUNE_PROVIDER_OPTIONS=json.dumps(settings.ANYMAIL),
            ATTUNE_BASE_URL="https://mail.shop.example",
            ATTUNE_MAILS_PER_CALL=str(IN_A_CALL),
            **(crash if crash_at else {}),
        )

    return engine


def check(shop, fake):
    """I1 to I7; every process is dead."""
    sums = invariants.check(shop, fake, at_rest=True, calm=False)
    assert sums.audience == 40
    return sums


POINTS = ("after_claim", "after_intent:2", "after_accept:2", "inside_outcome:2")
# Once by each form of a call; SES's own client tries again if nobody stops it.
OTHERS = ("amazon_ses", "sparkpost")


@pytest.mark.parametrize(
    ("name", "point"),
    [
        *(("mailgun", point) for point in POINTS),
        *((name, "after_accept:2") for name in OTHERS),
    ],
)
def test_a_kill_leaves_one_call_in_doubt_and_mails_nobody_twice(
    shop, engine, fake, name, point
):
    """F1 to F4."""
    shop.run("bound")
    assert engine(0, crash_at=point, name=name) is None
    check(shop, fake)
    engine(1, name=name)  # while the lease runs nobody touches the batch
    check(shop, fake)
    engine(60, name=name)
    sums = check(shop, fake)
    found = sums.messages
    assert sums.send == "sent"
    assert found["in_doubt"] <= (0 if point == "after_claim" else IN_A_CALL)
    assert found["accepted"] + found["in_doubt"] == 40
    assert max(fake.sizes) <= IN_A_CALL


@pytest.mark.parametrize(
    ("point", "calls_again"),
    [("after_intent:2", 0), ("after_accept:2", 1), ("inside_outcome:2", 1)],
)
def test_where_keys_are_minded_a_kill_leaves_nobody_in_doubt(
    shop, engine, fake, point, calls_again
):
    """F2 to F4 with a key: the call is repeated, and the provider mails nobody anew."""
    fake.minds_keys = True
    shop.run("bound")
    assert engine(0, crash_at=point, name="resend") is None
    check(shop, fake)
    engine(60, name="resend")
    sums = check(shop, fake)
    assert sums.messages == {"accepted": 40}
    assert sums.taken == 40
    keys = Counter(one.headers["Idempotency-Key"] for one in fake.requests)
    assert sum(keys.values()) - len(keys) == calls_again
