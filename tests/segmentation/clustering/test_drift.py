from math import log

import numpy as np
import pytest

from segmentation.clustering.drift import (
    Drift,
    Verdict,
    judge,
    largest_parts,
    lines,
    moved_since,
    psi,
)

SHARES = np.array([0.14, 0.08, 0.12, 0.14, 0.22, 0.10, 0.20])
RUNS = 1000


def test_the_index_adds_up_what_each_part_moved_by():
    # 0.1 ln(0.6/0.5) + (-0.1) ln(0.4/0.5) = 0.1 ln 1.5
    then, now = np.array([500.0, 500.0]), np.array([60.0, 40.0])
    assert psi(then, now) == pytest.approx(0.1 * log(1.5))


def test_equal_shares_have_not_moved_whatever_their_number():
    assert psi(np.array([10.0, 30.0]), np.array([100.0, 300.0])) == 0.0


def test_a_part_that_nobody_is_in_counts_as_half_a_one():
    # 0.5 of 100 against 50 of 100: (0.5 - 0.005) ln 100, and the other part back.
    then, now = np.array([0.0, 99.5]), np.array([50.0, 50.0])
    expected = 0.495 * log(0.5 / 0.005) - 0.495 * log(0.5 / 0.995)
    assert psi(then, now) == pytest.approx(expected)


def test_lines_are_fixed_for_many_and_higher_for_few():
    assert lines(7, 10_000, 10_000) == (0.025, 0.10)
    # 3 * 6 * (1/500 + 1/500) = 0.072, and twice that.
    assert lines(7, 500, 500) == pytest.approx((0.072, 0.144))


def test_between_the_lines_it_warns_and_above_both_it_alarms():
    then = np.array([5000.0, 5000.0])
    # 0.05 ln(0.55/0.45) = 0.010; 0.1 ln 1.5 = 0.041; 0.2 ln(0.7/0.3) = 0.169
    found = [judge(then, 10_000 * np.array([p, 1 - p])) for p in (0.55, 0.60, 0.70)]
    assert [one.verdict for one in found] == [
        Verdict.STEADY,
        Verdict.WARNING,
        Verdict.ALARM,
    ]


def test_of_less_than_a_hundred_nothing_is_said():
    assert judge(np.array([500.0, 500.0]), np.array([99.0, 0.0])).verdict == 0


def shifted():
    """Ten points from trusting to frustrated."""
    shares = SHARES.copy()
    shares[4] -= 0.10
    shares[0] += 0.10
    return shares


def warned(n, then, now):
    random = np.random.default_rng(7)
    found = [
        judge(
            random.multinomial(n, then).astype(float),
            random.multinomial(n, now).astype(float),
        )
        for _ in range(RUNS)
    ]
    return sum(one.moved for one in found) / RUNS


def test_chance_alone_warns_once_in_a_hundred_at_most():
    assert warned(2000, SHARES, SHARES) <= 0.01
    assert warned(500, SHARES, SHARES) <= 0.01


def test_a_shift_of_ten_points_is_noticed():
    assert warned(2000, SHARES, shifted()) >= 0.99
    assert warned(500, SHARES, shifted()) >= 0.75


@pytest.mark.parametrize(
    ("verdicts", "since"),
    [
        ([1, 2, 3], 1),
        ([2, 1, 3], 0),
        ([2, 1, 1, 3], 3),
        ([2, 0, 2], 0),
        ([2, 2, 1], None),
        ([2, 0], 0),
        ([0, 0], None),
    ],
)
def test_a_movement_lasts_from_its_first_step_to_the_end(verdicts, since):
    found = [Drift(0.0, 0.0, 0.0, Verdict(verdict)) for verdict in verdicts]
    assert moved_since(found) == since


def test_the_parts_that_moved_most_come_first():
    then, now = np.array([50.0, 30.0, 20.0]), np.array([30.0, 30.0, 40.0])
    found = largest_parts(then, now, at_most=3)
    assert [(part.part, round(part.points, 2)) for part in found] == [
        (0, -0.2),
        (2, 0.2),
    ]
