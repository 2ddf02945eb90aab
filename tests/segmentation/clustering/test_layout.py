import numpy as np
import pytest

from segmentation.clustering.layout import (
    AXES,
    Frame,
    Region,
    chosen,
    frame_for,
    in_words,
    nearest,
    places,
    region,
)
from segmentation.emotion.families import FAMILIES

CROSS = np.array([[-2.0, 0.0], [2.0, 0.0], [0.0, -1.0], [0.0, 1.0]])


def test_the_directions_are_at_right_angles_and_of_length_one():
    assert np.eye(2) == pytest.approx(AXES @ AXES.T)


def test_joy_is_right_of_anger_and_excitement_above_sadness():
    at = dict(zip(FAMILIES, places(np.eye(9)), strict=True))
    assert at["joy"][0] > at["neutral"][0] > at["anger"][0]
    assert at["excitement"][1] > at["curiosity"][1] > at["sadness"][1]


def test_half_anger_and_half_joy_count_by_their_square_roots():
    mix = np.zeros((1, 9))
    mix[0, FAMILIES.index("anger")] = mix[0, FAMILIES.index("joy")] = 0.5
    anger, joy = AXES[:, FAMILIES.index("anger")], AXES[:, FAMILIES.index("joy")]
    assert places(mix)[0] == pytest.approx(0.5**0.5 * (anger + joy))


def test_a_region_is_as_wide_and_as_high_as_its_customers_ask_for():
    # Variances 8/3 and 2/3; every point is sqrt(1.5) away, so 1.5 times: 4 and 1.
    found = region(CROSS + 10)
    assert found.centre == pytest.approx([10, 10])
    assert found.spread == pytest.approx(np.diag([4, 1]), abs=1e-6)
    assert found.distance(CROSS + 10) == pytest.approx(1)
    assert found.distance(found.edge()) == pytest.approx(1)


def test_half_of_the_customers_are_in_their_region():
    where = np.random.default_rng(3).normal(size=(1000, 2)) @ np.array([[2, 1], [0, 1]])
    assert (region(where).distance(where) <= 1).sum() == 500


def test_customers_in_one_place_have_a_region_all_the_same():
    assert np.isfinite(region(np.ones((20, 2))).distance(np.zeros((1, 2)))).all()


def test_the_nearest_region_is_so_by_its_own_size():
    wide = Region(np.zeros(2), 4 * np.eye(2), 20)
    small = Region(np.array([4.0, 0.0]), np.eye(2) / 4, 20)
    # 2.5 is 1.25 radii from the wide one and 3 from the small one.
    assert nearest(np.array([[2.5, 0.0], [3.9, 0.0]]), [wide, small]).tolist() == [0, 1]


def test_places_are_counted_from_the_left_and_from_the_top():
    frame = Frame(left=0, right=2, bottom=-1, top=1)
    assert frame.percent(0.5, 0.5) == (25, 25)
    assert frame.percent(2, -1) == (100, 100)


def test_the_frame_stays_while_customers_fit_it_and_fill_it():
    where = np.random.default_rng(1).uniform(size=(500, 2))
    before = frame_for(where)
    assert frame_for(0.9 * where + 0.05, before=before) == before
    assert frame_for(0.5 * where, before=before) != before
    assert frame_for(where + 0.5, before=before) != before


def test_drawn_is_as_many_of_each_as_its_share_asks_for():
    label = np.array([0] * 60 + [1] * 30 + [2] * 10)
    rows = chosen(np.arange(100), label, at_most=10)
    assert np.bincount(label[rows]).tolist() == [6, 3, 1]


def test_who_is_drawn_stays_drawn_when_others_join():
    ids = np.arange(1000)
    before = set(chosen(ids, np.zeros(1000), at_most=100))
    more = np.arange(1010)
    after = set(chosen(more, np.zeros(1010), at_most=100))
    assert len(before & after) >= 95


def test_all_are_drawn_where_there_are_few():
    assert chosen(np.array([7, 9]), np.array([0, 1])).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("gap", "words"),
    [
        ((-1.0, 1.0), "clearly unpleasant, clearly stirred"),
        ((0.4, 0.0), "a little pleasant"),
        ((0.1, -0.9), "clearly calm"),
        ((0.2, 0.2), "about the same"),
    ],
)
def test_a_middle_is_told_in_words(gap, words):
    assert in_words(np.array(gap), np.ones(2)) == words
