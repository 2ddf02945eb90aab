import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.sending.mailboxes import mailboxes_of
from campaigns.sending.windows import (
    SECONDS,
    SLOTS,
    grown,
    left,
    pace_now,
    slower,
    taken,
    wait,
)

NOON = 1_800_000_000.0


def test_what_was_taken_is_gone_until_its_window_is_over():
    slots = taken({}, 60.0, 100, now=NOON)
    assert left(slots, 60.0, 100, now=NOON + 60) == 0
    assert left(slots, 60.0, 100, now=NOON + 63) == 100  # its slot of 3 s, and 60


def test_the_wait_ends_when_one_may_leave_and_not_before():
    slots = taken(taken({}, 60.0, 60, now=NOON), 60.0, 40, now=NOON + 30)
    free_at = NOON + 30 + wait(slots, 60.0, 100, now=NOON + 30)
    assert left(slots, 60.0, 100, now=free_at - 0.1) == 0
    assert left(slots, 60.0, 100, now=free_at) == 60


def test_what_did_not_leave_is_given_back():
    slots = taken(taken({}, 60.0, 60, now=NOON), 60.0, 40, now=NOON + 30)
    assert left(taken(slots, 60.0, -50, now=NOON + 31), 60.0, 100, now=NOON + 31) == 50


@pytest.mark.parametrize("window", SECONDS.values())
def test_a_clock_that_goes_back_an_hour_refills_nothing_and_locks_for_two_windows(
    window,
):
    slots = taken({}, window, 10, now=NOON)
    assert left(slots, window, 10, now=NOON - 3600) == 0
    assert wait(slots, window, 10, now=NOON - 3600) <= 2.1 * window


def test_a_clock_that_goes_ahead_a_day_and_back_refills_one_window_at_most():
    slots = taken({}, 3600.0, 10, now=NOON)
    assert left(slots, 3600.0, 10, now=NOON + 86400) == 10
    slots = taken(slots, 3600.0, 10, now=NOON + 86400)
    assert left(slots, 3600.0, 10, now=NOON) == 0


@given(
    st.lists(st.tuples(st.floats(0, 30), st.integers(1, 7)), max_size=60),
    st.integers(1, 20),
)
def test_no_window_wherever_it_begins_holds_more_than_the_limit(steps, most):
    now, slots, left_at = NOON, {}, []
    for seconds, wanted in steps:
        now += seconds
        may = min(wanted, left(slots, 10.0, most, now=now))
        slots = taken(slots, 10.0, may, now=now)
        left_at += [now] * may
    for begin in left_at:
        assert sum(begin <= one <= begin + 10.0 for one in left_at) <= most
    assert len(slots) <= SLOTS + 1


def test_a_429_slows_by_a_fifth_and_five_quiet_minutes_give_a_twentieth_back():
    pace = slower(1.0)
    assert pace == pytest.approx(0.8)
    assert pace_now(pace, since_seconds=299) == pytest.approx(0.8)
    assert pace_now(pace, since_seconds=300) == pytest.approx(0.85)
    assert pace_now(pace, since_seconds=86400) == 1.0
    assert slower(0.1) == pytest.approx(0.1)


def test_a_warm_up_grows_each_day_up_to_its_ceiling():
    assert [grown(500, 50, day, 2000) for day in range(5)] == [
        500,
        750,
        1125,
        1687,
        2000,
    ]
    assert grown(500, 50, -3, None) == 500
    assert grown(500, 1000, 99_999, None) == 2**31 - 1


@pytest.mark.parametrize(
    ("address", "kept_by"),
    [
        ("ada@gmail.com", "gmail"),
        ("ada@GoogleMail.com", "gmail"),
        ("ada@hotmail.co.uk", "microsoft"),
        ("ada@outlook.fr", "microsoft"),
        ("ada@yahoo.co.jp", "yahoo"),
        ("ada@me.com", "apple"),
        ("ada@me.example", "rest"),
        ("ada@gmail.com.evil.example", "rest"),
        ("ada@xn--bcher-kva.example", "rest"),
    ],
)
def test_who_keeps_a_mailbox_is_told_by_its_domain(address, kept_by):
    assert mailboxes_of(address) == kept_by
