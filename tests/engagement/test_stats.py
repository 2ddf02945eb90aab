import pytest

from engagement.stats import difference, rate, wilson_interval


def test_the_interval_is_the_one_worked_out_by_hand():
    # Wilson 1927 with z = 1.96 for 10 of 100: centre 0.1148, half width 0.0596.
    low, high = wilson_interval(10, 100)
    assert (low, high) == pytest.approx((0.0552, 0.1744), abs=5e-4)


def test_nobody_at_all_says_nothing():
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert rate(0, 0).value is None


@pytest.mark.parametrize(("events", "people"), [(3, 2), (-1, 5)])
def test_more_events_than_people_is_refused(events, people):
    with pytest.raises(ValueError, match="people can have"):
        wilson_interval(events, people)


@pytest.mark.parametrize(("events", "people"), [(0, 40), (40, 40), (1, 3)])
def test_the_interval_holds_the_share_and_stays_within_0_and_1(events, people):
    low, high = wilson_interval(events, people)
    assert 0 <= low <= events / people <= high <= 1


def test_a_rate_is_shown_from_twenty_people_and_five_events():
    assert rate(5, 20).enough
    assert not rate(5, 19).enough
    assert not rate(4, 20).enough


def test_equal_shares_have_no_detectable_difference():
    gap = difference(rate(30, 300), rate(30, 300))
    assert gap is not None
    assert gap.value == 0
    assert not gap.detectable


def test_the_difference_is_newcombes():
    # Newcombe 1998, example (a): 56/70 against 48/80: 0.2 with 0.0524 to 0.3339.
    gap = difference(rate(56, 70), rate(48, 80))
    assert gap is not None
    assert (gap.value, gap.low, gap.high) == pytest.approx(
        (0.2, 0.0524, 0.3339), abs=1e-4
    )
    assert gap.detectable


def test_a_side_without_people_has_no_difference():
    assert difference(rate(0, 0), rate(3, 10)) is None
