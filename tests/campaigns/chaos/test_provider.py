"""What a provider does to us: sending.md 7.2, F14 to F17, and what reports settle."""

import time
from functools import partial

import pytest

from tests.campaigns.chaos.arena import PATIENT
from tests.campaigns.chaos.loopback import DOUBTFUL
from tests.campaigns.chaos.shops import shortened

WORKERS = 3
FEW = 3
RESTS = {
    "campaigns.sending.breaker.FIRST_OPEN_SECONDS": 4.0,
    "campaigns.sending.breaker.LONGEST_OPEN_SECONDS": 4.0,
}

pytestmark = pytest.mark.slow


@pytest.fixture
def arena_of(arena_of, provider):
    provider.slow_seconds = 2 * PATIENT["timeout_seconds"]
    return partial(arena_of, **PATIENT)


@pytest.fixture
def arena(shop, arena_of):
    """Forty people are enough, on both databases."""
    return arena_of(shop)


def first(count, mode):
    return lambda number, address: mode if number < count else "ok"


@pytest.mark.parametrize("mode", DOUBTFUL)
def test_what_is_no_clear_answer_is_in_doubt_and_never_asked_for_again(
    arena, provider, mode
):
    provider.mode = first(FEW, mode)
    arena.work(2)
    sums = arena.finish()
    assert sums.messages == {"accepted": sums.audience - FEW, "in_doubt": FEW}
    assert len(provider.calls) == sums.audience


def test_a_storm_of_errors_leaves_no_more_in_doubt_than_are_under_way(arena, provider):
    """The lane rests at the first doubt: one group of each worker, and no more."""
    arena.env |= shortened(**arena.set, **RESTS)
    provider.mode = "error"
    arena.work(WORKERS)
    arena.wait_until(lambda sums: sums.messages["in_doubt"])
    time.sleep(1.0)  # long enough for a hundred more
    assert arena.check().messages["in_doubt"] <= WORKERS
    provider.mode = "ok"
    sums = arena.finish()
    assert sums.messages["in_doubt"] <= WORKERS
    assert sums.messages["accepted"] >= sums.audience - WORKERS


@pytest.mark.parametrize("mode", ["throttled", "unavailable"])
def test_a_provider_that_asks_for_a_second_gets_it_and_nobody_is_in_doubt(
    arena, provider, mode
):
    """One worker: a second one's call may be on its way when the first is told."""
    provider.mode = lambda number, address: mode if 10 <= number < 14 else "ok"
    arena.work(1)
    sums = arena.finish()
    assert sums.messages == {"accepted": sums.audience}
    asked = [number for number, (_, said) in enumerate(provider.calls) if said == mode]
    assert len(asked) == 4
    for number in asked:
        assert provider.calls[number + 1][0] - provider.calls[number][0] > 0.9


def test_a_door_that_is_closed_leaves_nobody_in_doubt(arena, provider):
    # Closing takes half a second: not everybody may be mailed by then.
    provider.delay_seconds = 0.2
    arena.work(2)
    arena.until_mailed(5)
    provider.close()
    arena.wait_until(
        lambda _: arena.shop.execute(
            "SELECT 1 FROM campaigns_batch WHERE outcome = 'not_sent_net'"
        )
    )
    provider.open()
    sums = arena.finish()
    # Whose answer was cut off as it closed may be in doubt; who came later is not.
    assert sums.messages["in_doubt"] <= 2
    assert sums.messages["accepted"] >= sums.audience - 2


def test_addresses_that_are_refused_fail_alone(arena, provider):
    provider.mode = lambda number, address: (
        "refused" if address.startswith("person1") else "ok"
    )
    arena.work(2)
    sums = arena.finish()
    # person1 and person10 to person19.
    assert sums.messages == {"accepted": sums.audience - 11, "failed": 11}
    assert sums.reasons == {"rejected": 11}


@pytest.mark.parametrize("order", ["sorted", "doubled", "reversed", "shuffled"])
def test_reports_that_come_late_settle_every_doubt_about_what_was_taken(
    arena, provider, order, tmp_path
):
    provider.mode = lambda number, address: "cut" if number % 10 == 0 else "ok"
    arena.work(2)
    assert arena.finish().messages["in_doubt"]
    posted = tmp_path / "reports"
    reports = provider.reports(order=order)
    posted.write_text("\n".join(reports))
    assert arena.run("post", str(posted)) == len(reports)
    sums = arena.check(at_rest=True)
    assert sums.messages == {"accepted": sums.audience}
    [(events,)] = arena.shop.execute("SELECT count(*) FROM engagement_trackingevent")
    assert events == sums.audience
