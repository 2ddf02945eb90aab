import itertools
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation.profile.course import course_of, moments_until, trend_of
from segmentation.profile.decay import fold
from segmentation.profile.events import Texts
from segmentation.profile.shrinkage import composition, mean_valence

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
JOY = 5


def texts(ages, valences, *, weight=1.0) -> Texts:
    n = len(ages)
    families = np.zeros((n, 9))
    families[:, JOY] = 1
    return Texts(
        1,
        np.zeros(n, np.int64),
        np.array(ages, float),
        np.zeros(n, np.int64),
        np.full(n, weight),
        families,
        np.array(valences, float),
    )


def up_to(found: Texts, age: float) -> Texts:
    known = found.age_days >= age
    return Texts(
        1,
        found.customer[known],
        found.age_days[known] - age,
        found.source[known],
        found.weight[known],
        found.families[known],
        found.valence[known],
    )


def test_a_text_fades_on_both_clocks_from_its_day_on():
    course = course_of(texts([180.0], [0.5]), np.array([181.0, 180.0, 150.0, 0.0]))
    assert course.sums.texts.tolist() == [0, 1, 1, 1]
    # 2^(-30/180), 2^(-30/30) and six half-lives: 2^(-180/30).
    assert course.sums.weight == pytest.approx([0, 1, 2 ** (-1 / 6), 0.5])
    assert course.sums.fast_weight == pytest.approx([0, 1, 0.5, 1 / 64])
    assert course.fast_valence == pytest.approx([0, 0.5, 0.25, 1 / 128])


def test_a_second_text_is_added_to_what_is_left_of_the_first():
    course = course_of(texts([180.0, 0.0], [-1.0, 1.0]), np.array([180.0, 0.0]))
    mix, sums = np.full(9, 1 / 9), course.sums
    # Evidence 1, then 1/2 + 1; joy (1.5 + 6.5/9) / (1.5 + 6.5).
    assert sums.weight == pytest.approx([1, 1.5])
    assert composition(sums, mix, 6.5)[1, JOY] == pytest.approx((1.5 + 6.5 / 9) / 8)
    # (-1/2 + 1 + 6.5 * 0.1) / 8 and (-1/64 + 1 + 1.5 * 0.1) / (1 + 1/64 + 1.5)
    assert mean_valence(sums, 0.1, 6.5)[1] == pytest.approx(1.15 / 8)
    assert course.state_valence(0.1)[1] == pytest.approx(1.134375 / 2.515625)


def test_before_the_first_text_a_customer_is_everybody():
    course = course_of(texts([5.0], [1.0]), np.array([6.0, 0.0]))
    mix = np.arange(1, 10) / 45
    assert composition(course.sums, mix, 6.5)[0] == pytest.approx(mix)
    assert course.state_valence(0.2)[0] == pytest.approx(0.2)


@given(
    st.lists(st.integers(0, 4000), min_size=1, max_size=40),
    st.sets(st.integers(0, 4000), min_size=1, max_size=28),
    st.integers(0, 2**32 - 1),
)
def test_every_moment_is_what_a_fold_then_would_have_given(ages, moments, seed):
    random = np.random.default_rng(seed)
    found = texts(ages, random.uniform(-1, 1, len(ages)))
    found.families[:] = random.dirichlet(np.ones(9), len(ages))
    found.weight[:] = random.uniform(0, 1, len(ages))
    asked = np.array(sorted(moments, reverse=True), float)
    course = course_of(found, asked).sums
    for k, age in enumerate(asked):
        then = fold(up_to(found, age))
        for field in fields(then):
            one, other = getattr(course, field.name)[k], getattr(then, field.name)[0]
            assert np.allclose(one, other, rtol=1e-9, atol=1e-12), field.name


def test_a_text_of_tomorrow_belongs_to_no_moment_of_today():
    course = course_of(texts([3.0, 1.0], [1.0, 1.0]), np.array([4.0, 2.0]))
    assert course.sums.texts.tolist() == [0, 1]


def test_moments_out_of_order_and_two_customers_are_refused():
    with pytest.raises(ValueError, match="oldest first"):
        course_of(texts([1.0], [0.0]), np.array([0.0, 1.0]))
    with pytest.raises(ValueError, match="of one customer"):
        course_of(fold_of_two(), np.array([0.0]))


def fold_of_two() -> Texts:
    one = texts([1.0], [0.0])
    return Texts(2, *(getattr(one, field.name) for field in fields(one)[1:]))


@pytest.mark.parametrize(
    ("days", "moments", "step"),
    # A text of this morning, a week, half a year, two years, six years, sixty.
    [
        (0, 2, 1),
        (7, 9, 1),
        (180, 27, 7),
        (720, 27, 28),
        (2200, 26, 91),
        (21900, 27, 843),
    ],
)
def test_moments_lie_as_far_apart_as_a_reader_can_count(days, moments, step):
    first = NOON - timedelta(days=days, hours=1)
    found = moments_until(NOON, first=first)
    assert (len(found), found[-1]) == (moments, NOON)
    assert found[0] < first
    assert found[1] >= first
    assert {b - a for a, b in itertools.pairwise(found[:-1])} <= {timedelta(days=step)}


def test_moments_are_the_last_instants_of_days():
    found = moments_until(NOON, first=NOON - timedelta(days=1))
    assert found == [
        datetime(2026, 2, 28, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2026, 3, 1, 23, 59, 59, 999999, tzinfo=UTC),
        NOON,
    ]


def test_lately_is_told_from_always_by_its_standard_error():
    # One text now at -1, four half as heavy at +1: W = 3, mean 1/3, mean square 1.
    found = trend_of(texts([0.0, 180, 180, 180, 180], [-1.0, 1, 1, 1, 1]))
    assert found.volatility == pytest.approx(sqrt(8 / 9))
    # Fast weights 1 and 4/64: mean -15/17. Shares differ by 31/51 and 4 times 31/204.
    assert found.change == pytest.approx(-15 / 17 - 1 / 3)
    assert found.error == pytest.approx(sqrt(8 / 9 * 1.25) * 31 / 51)
    # 1.216 is less than twice 0.641.
    assert not found.clear


def test_two_angry_texts_after_ten_kind_ones_are_a_clear_change():
    # W = 2 + 5, mean 3/7; fast 2 + 10/64.
    found = trend_of(texts([0.0, 0.0] + [180.0] * 10, [-1.0, -1.0] + [1.0] * 10))
    assert found.change == pytest.approx((-2 + 10 / 64) / (2 + 10 / 64) - 3 / 7)
    assert found.clear


def test_texts_that_all_read_the_same_have_no_trend():
    found = trend_of(texts([0.0, 1.0, 2.0, 3.0], [0.3] * 4))
    assert found.volatility == pytest.approx(0, abs=1e-7)
    assert not found.clear


# W just below 3; or fresh evidence 60 * 2^(-400/30), far below a half.
@pytest.mark.parametrize("ages", [[0.0, 0.0, 1.0], [400.0] * 60])
def test_too_little_or_nothing_fresh_has_no_trend(ages):
    assert trend_of(texts(ages, np.linspace(-1, 1, len(ages)))) is None
