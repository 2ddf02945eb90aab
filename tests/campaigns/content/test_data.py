from datetime import date

import pytest

from campaigns.content.data import plain_data


def test_what_is_blank_or_missing_is_left_away():
    assert plain_data({"a": {"b": "", "c": None, "d": " ", "e": "x"}}) == {
        "a": {"e": "x"}
    }


def test_zero_and_false_are_values():
    assert plain_data({"a": {"n": 0, "f": False}}) == {"a": {"n": 0, "f": False}}


def test_lists_of_plain_values_are_kept():
    lines = [{"product": "Fern", "price": 12.5}]
    assert plain_data({"order": {"lines": lines}}) == {"order": {"lines": lines}}


@pytest.mark.parametrize("value", [object(), date(2026, 3, 2), {1, 2}, b"x", print])
def test_no_object_reaches_a_template(value):
    with pytest.raises(TypeError, match=r"customer\.x is .*; a mail needs text"):
        plain_data({"customer": {"x": value}})


def test_data_are_at_most_four_deep():
    with pytest.raises(TypeError, match="nested more than 4 deep"):
        plain_data({"a": {"b": {"c": {"d": {"e": 1}}}}})
