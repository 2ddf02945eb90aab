from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.assignment import SALT, arm_of, unit_interval


def test_the_number_is_the_first_53_bits_of_the_digest():
    digest = sha256(b"salt|spring|7").hexdigest()
    assert unit_interval("salt", "spring", 7) == int(digest[:16], 16) // 2**11 / 2**53


@given(st.text(max_size=8), st.text(max_size=8), st.integers())
def test_the_number_is_in_the_unit_interval_and_stays(salt, experiment, customer):
    number = unit_interval(salt, experiment, customer)
    assert 0 <= number < 1
    assert number == unit_interval(salt, experiment, customer)


def test_a_fifth_of_ten_thousand_customers_is_the_control():
    neutral = sum(
        arm_of("campaign 1", one, neutral_share=0.2) == "neutral"
        for one in range(10_000)
    )
    # Binomial, standard deviation 40: five of them.
    assert abs(neutral - 2000) < 200


def test_another_campaign_draws_another_control():
    first = [unit_interval(SALT, "campaign 1", one) < 0.2 for one in range(1000)]
    second = [unit_interval(SALT, "campaign 2", one) < 0.2 for one in range(1000)]
    both = sum(a and b for a, b in zip(first, second, strict=True))
    assert 10 < both < 80  # 40 expected if they are independent


@pytest.mark.parametrize(("share", "arm"), [(0, "fitting"), (1, "neutral")])
def test_a_share_of_nothing_or_everything_leaves_no_chance(share, arm):
    arms = {arm_of("x", one, neutral_share=share) for one in range(50)}
    assert arms == {arm}


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match="from 0 to 1"):
        arm_of("x", 1, neutral_share=share)
