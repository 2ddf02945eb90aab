import pytest

from customers.proportions import wilson_interval


def test_the_interval_is_the_one_worked_out_by_hand():
    # Wilson 1927 with z = 1.96 for 10 of 100: centre 0.1148, half width 0.0596.
    low, high = wilson_interval(10, 100)
    assert (low, high) == pytest.approx((0.0552, 0.1744), abs=5e-4)


def test_nobody_at_all_says_nothing():
    assert wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("events", "people"), [(3, 2), (-1, 5)])
def test_more_events_than_people_is_refused(events, people):
    with pytest.raises(ValueError, match="people can have"):
        wilson_interval(events, people)


@pytest.mark.parametrize(("events", "people"), [(0, 40), (40, 40), (1, 3)])
def test_the_interval_holds_the_share_and_stays_within_0_and_1(events, people):
    low, high = wilson_interval(events, people)
    assert 0 <= low <= events / people <= high <= 1


def test_it_agrees_with_the_textbook():
    # 8 of 10: Brown, Cai, DasGupta 2001, table: 0.490 to 0.943
    assert wilson_interval(8, 10) == pytest.approx((0.490, 0.943), abs=0.001)
