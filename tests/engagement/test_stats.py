import pytest

from engagement.stats import difference, rate


def test_nobody_at_all_has_no_rate():
    assert rate(0, 0).value is None


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
