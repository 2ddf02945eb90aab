import gc

import pytest

from campaigns.collecting import SELDOM, seldom_collected


@pytest.fixture(autouse=True)
def thresholds():
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_meanwhile_cycles_are_looked_for_seldom_and_then_as_often_as_before():
    gc.set_threshold(500, 7, 8)
    with seldom_collected():
        with seldom_collected():
            assert gc.get_threshold() == (SELDOM, 7, 8)
        assert gc.get_threshold() == (SELDOM, 7, 8)
    assert gc.get_threshold() == (500, 7, 8)


def test_trouble_meanwhile_leaves_it_as_it_was():
    gc.set_threshold(500, 7, 8)
    with pytest.raises(ZeroDivisionError), seldom_collected():
        1 / 0  # noqa: B018
    assert gc.get_threshold() == (500, 7, 8)


@pytest.mark.parametrize("own", [0, SELDOM * 2])
def test_whoever_has_chosen_even_less_keeps_that(own):
    gc.set_threshold(own, 7, 8)
    with seldom_collected():
        assert gc.get_threshold()[0] == own
