import pytest

from customers.templatetags.attune import level


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.416, "+0.42"), (-0.1, "−0.10"), (-0.001, "0.00"), (0, "0.00"), (None, "–")],
)
def test_a_level_has_a_sign_and_a_true_minus(value, words):
    assert level(value) == words
