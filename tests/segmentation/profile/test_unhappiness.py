import numpy as np
import pytest

from segmentation.profile.events import SOURCES, Texts
from segmentation.profile.unhappiness import (
    LINE,
    _end_of_day,
    hold_line,
    lingers,
)

NOTHING = np.zeros(0)


def texts(*said):
    """(days ago, anger) of one customer; what is not anger is neutral."""
    ages = np.array([age for age, _ in said])
    families = np.zeros((len(said), 9))
    families[:, 0] = [anger for _, anger in said]
    families[:, 8] = 1 - families[:, 0]
    return Texts(
        n_customers=1,
        customer=np.zeros(len(said), np.int64),
        age_days=ages,
        source=np.full(len(said), SOURCES.index("review")),
        weight=np.ones(len(said)),
        families=families,
        valence=np.zeros(len(said)),
    )


def goes_on(
    said, *, reasons=NOTHING, ends=NOTHING, settled=np.inf, usual=0.2, today=0.0
):
    return lingers(
        said,
        usual=usual,
        line=0.45,
        reasons=reasons,
        ends=ends,
        settled=settled,
        today=today,
    )


# 1.5 of everybody at .2 and one at .9: (.3 + .9) / 2.5 = .48.
CROSSES = (20.0, 0.9)


def test_what_crossed_the_line_goes_on_just_below_it():
    # After 5 days, at .891: (.3 + .802) / 2.391 = .461; after 10, at .794: .442.
    assert goes_on(texts((10.0, 0.9)))


def test_it_ends_once_five_hundredths_below_and_does_not_begin_again_by_itself():
    # After 20 days, at .63: (.3 + .567) / 2.13 = .407; after 25: .391.
    assert goes_on(texts(CROSSES))
    assert not goes_on(texts((25.0, 0.9)))
    # A text that brings it back to .43, not over the line, begins nothing.
    assert not goes_on(texts((30.0, 0.9), (1.0, 0.5)))


def test_what_never_crossed_never_began():
    assert not goes_on(texts((20.0, 0.7), (0.0, 0.5)))


def test_another_reason_lasts_to_its_end_and_then_as_long_as_it_is_close():
    close = texts((20.0, 0.5), (18.0, 0.5), (16.0, 0.7), (1.0, 0.5), (0.5, 0.5))
    began, over = np.array([15.0]), np.array([1.0])
    assert not goes_on(close)
    assert goes_on(close, reasons=began, ends=over)
    far = texts((20.0, 0.5), (0.5, 0.1))
    assert not goes_on(far, reasons=began, ends=over)


def test_too_little_left_to_go_by_ends_it_for_good():
    # Where people are unhappy as a rule, negativity itself never comes down.
    assert goes_on(texts((29.0, 0.9)), usual=0.42)
    assert not goes_on(texts((31.0, 0.9)), usual=0.42)
    assert not goes_on(texts((700.0, 0.9), (0.0, 0.44)), usual=0.42)


def test_a_day_counts_as_it_was_at_its_end():
    # At noon: .58 with two angry texts; in the evening the day's mean is .44.
    day = [(0.4, 0.9), (0.4, 0.9), *((0.1, 0.3) for _ in range(6))]
    assert not goes_on(texts(*day), today=0.5)
    assert goes_on(texts(*((age + 5, anger) for age, anger in day[:2])), today=0.5)


def test_moments_of_one_day_are_one():
    ages = np.array([0.0, 0.2, 0.3, 0.4, 1.29, 1.31, np.inf])
    ends = _end_of_day(ages, today=0.3)
    assert ends[:3].tolist() == [0, 0, 0]
    assert ends[3:5] == pytest.approx(0.3, abs=1e-9)
    assert ends[5] == pytest.approx(1.3, abs=1e-9)
    assert (ends[3:6] <= ages[3:6]).all()
    assert ends[6] == np.inf


def test_what_was_made_good_does_not_go_on_but_what_came_after_does():
    assert not goes_on(texts(CROSSES), settled=12.0)
    assert goes_on(texts(CROSSES), settled=21.0)


@pytest.mark.parametrize(
    ("customers", "line"), [(499, LINE), (500, pytest.approx(0.76))]
)
def test_the_line_is_the_most_unhappy_twentieth_of_a_shop_that_has_one(customers, line):
    assert hold_line(np.linspace(0, 0.8, customers)) == line


def test_the_line_is_never_lower_than_it_is_anywhere():
    assert hold_line(np.full(1000, 0.1)) == LINE
