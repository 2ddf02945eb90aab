import pytest

from segmentation.pictures import (
    area,
    curve,
    level_bars,
    line,
    mini_bar,
    month_bars,
    outline,
    place_tags,
    signature_bar,
    sparkline,
    spread_labels,
    stacked_bands,
)


def test_twice_as_much_reaches_halfway_to_the_right():
    # The axis is logarithmic from 1/4 to 4: log2(2) is half of log2(4).
    bar = signature_bar(2.0, 1.0, 4.0)
    assert (bar.left, bar.width) == (50.0, 25.0)
    assert (bar.whisker_left, bar.whisker_width) == (50.0, 50.0)


def test_half_as_much_reaches_as_far_to_the_left():
    bar = signature_bar(0.5, 0.4, 0.6)
    assert (bar.left, bar.width) == (25.0, 25.0)


def test_what_is_off_the_axis_stays_on_the_picture():
    bar = signature_bar(40.0, 20.0, 80.0)
    assert bar.left + bar.width == 100.0
    assert bar.whisker_left + bar.whisker_width <= 100.5


def test_a_small_bar_grows_up_for_more_and_down_for_less():
    assert mini_bar(4.0).top == 1.0
    assert mini_bar(0.25).top == 18
    assert mini_bar(4.0).height == mini_bar(0.25).height == 17


def test_bands_stand_on_each_other_and_fill_the_box():
    bands = stacked_bands([[0.25, 0.75], [0.5, 0.5]])
    assert bands[0].path == "M0.0 0.00 100.0 0.00 L100.0 50.00 0.0 25.00Z"
    assert bands[1].path.endswith("L100.0 100.00 0.0 100.00Z")
    assert [band.middle for band in bands] == [25.0, 75.0]


def test_bands_stand_where_their_moments_are():
    bands = stacked_bands([[1.0], [1.0], [1.0]], across=[0, 90, 100])
    assert bands[0].path.startswith("M0.0 0.00 90.0 0.00 100.0 0.00 ")


def test_an_area_is_closed_along_the_bottom():
    assert line([0, 25, 100], [50, 0, 100]) == "M0.00 50.00 25.00 0.00 100.00 100.00"
    assert area([0, 100], [50, 25]) == "M0.00 50.00 100.00 25.00 100.00 100 0.00 100Z"


def test_labels_move_apart_and_stay_inside():
    placed = spread_labels([10, 11, 99], least=6)
    assert placed[1] - placed[0] >= 6
    assert placed[2] <= 97


def test_labels_that_do_not_fit_at_the_bottom_push_the_others_up():
    placed = spread_labels([96, 97, 98], least=6)
    assert placed == [85, 91, 97]


def test_a_line_that_did_not_move_is_flat_in_the_middle():
    assert sparkline([5, 5, 5]) == "M0.0 13.0 50.0 13.0 100.0 13.0"


@pytest.mark.parametrize(("start", "end"), [(0, 100), (50, 50)])
def test_a_curve_goes_from_list_to_list(start, end):
    path = curve(start, end)
    assert path.startswith(f"M0 {start:.1f}")
    assert path.endswith(f"100 {end:.1f}")


def test_who_came_and_who_left_share_one_scale():
    # Half of 52 px for 2 of 4; each month has a tenth of the picture.
    bars = month_bars([4] + [0] * 9, [2] + [0] * 9)
    assert (bars[0].up, bars[0].top, bars[0].down) == (52.0, 0.0, 26.0)
    assert (bars[1].up, bars[1].top, bars[1].down) == (0.0, 52.0, 0.0)
    assert bars[9].left + bars[9].width <= 100


def test_a_year_without_anybody_is_flat():
    assert {bar.up for bar in month_bars([0] * 12, [0] * 12)} == {0.0}


def test_bars_and_their_lines_share_one_scale():
    # The highest bar takes 90 % of the box; an alarm line far above it is not drawn.
    low, high = level_bars([(0.1, 0.1, 0.2), (0.2, 0.1, 0.9)])
    assert (low.height, low.warning, low.alarm) == (45.0, 45.0, 90.0)
    assert (high.height, high.alarm) == (90.0, None)


def test_an_outline_is_closed():
    assert outline([(0, 0), (10, 0), (10, 5)]) == "M0.00 0.00 L10.00 0.00 L10.00 5.00Z"


def test_name_tags_move_past_each_other_and_stay_inside():
    tags = place_tags([(50, 20), (52, 21), (99, 1)], width=30, height=10)
    assert tags[0] == (50, 20)
    assert tags[2] == (85, 5)
    assert abs(tags[1][1] - 20) >= 10
