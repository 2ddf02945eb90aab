import numpy as np
import pytest

from segmentation.profile.decay import ProfileSums
from segmentation.profile.shrinkage import (
    KAPPA,
    composition,
    credibility,
    effective_texts,
    kappa_of,
    later_negativity,
    negativity,
)

MIX = np.full(9, 1 / 9)


def test_without_texts_a_customer_is_everybody():
    assert composition(ProfileSums.empty(1), MIX, 6.5)[0] == pytest.approx(MIX)


def test_six_and_a_half_texts_count_as_much_as_the_population():
    sums = ProfileSums.empty(1)
    sums.weight[0], sums.families[0, 0] = 6.5, 6.5
    # (6.5 * 1 + 6.5 / 9) / 13
    assert composition(sums, MIX, 6.5)[0, 0] == pytest.approx(0.5 + 0.5 / 9)
    assert credibility(sums.weight, 6.5)[0] == 0.5


def test_kappa_of_the_generator_is_what_was_measured(generator):
    made = generator.make_customers(10_000, seed=1)
    assert 9 <= kappa_of(made.texts.families, made.texts.customer) <= 16


def test_few_customers_are_pulled_to_the_usual_kappa(generator):
    made = generator.make_customers(12, seed=1)
    assert kappa_of(made.texts.families, made.texts.customer) == pytest.approx(
        KAPPA, rel=0.25
    )


def test_one_text_each_says_nothing_about_kappa():
    families = np.random.default_rng(0).dirichlet(np.ones(9), 50)
    assert kappa_of(families, np.arange(50)) == KAPPA


def test_one_fresh_angry_text_raises_negativity_but_not_to_the_top():
    sums = ProfileSums.empty(1)
    sums.fast_weight[0], sums.fast_families[0, 0] = 1.0, 1.0
    # (1 + 1.5 * 3/9) / (1 + 1.5)
    assert negativity(sums, MIX)[0] == pytest.approx(0.6)


def test_two_equal_texts_are_worth_two():
    sums = ProfileSums.empty(2)
    sums.weight[0], sums.weight_sq[0] = 2.0, 2.0
    assert effective_texts(sums).tolist() == [2.0, 0.0]


def test_negativity_seen_later_is_that_of_the_sums_seen_later():
    mix = np.full(9, 1 / 9)
    sums = ProfileSums.empty(1)
    sums.fast_weight[0], sums.fast_families[0, 0] = 2.0, 1.5
    # (1.5 + 1.5 / 3) / (2 + 1.5); half of both after 30 days: (0.75 + 0.5) / (1 + 1.5)
    now = negativity(sums, mix)
    assert now[0] == pytest.approx(2 / 3.5)
    assert later_negativity(sums, now, np.array([30.0]))[0] == pytest.approx(0.5)
