import numpy as np
import pytest

from segmentation.profile.baseline import (
    likelihoods,
    overall_mix,
    source_baselines,
)
from segmentation.profile.weights import cap_by_day


def test_a_source_nobody_wrote_in_has_everybodys_mix():
    families = np.random.default_rng(0).dirichlet(np.ones(9), 30)
    base = source_baselines(families, np.zeros(30, np.int64), n_sources=2)
    assert base[1] == pytest.approx(overall_mix(families))
    assert base.sum(axis=1) == pytest.approx([1, 1])


def test_two_hundred_texts_of_a_source_count_as_much_as_everybody():
    families = np.tile(np.eye(9)[0] * 0.82 + 0.02, (200, 1))
    other = np.tile(np.eye(9)[8] * 0.82 + 0.02, (200, 1))
    source = np.repeat([0, 1], 200)
    base = source_baselines(np.vstack([families, other]), source, n_sources=2)
    # own 0.84, overall 0.43, half and half
    assert base[0, 0] == pytest.approx((0.84 + 0.43) / 2)


def test_the_usual_share_of_a_source_is_a_likelihood_of_one():
    base = np.full((1, 9), 1 / 9)
    assert likelihoods(base, np.array([0]), base) == pytest.approx(np.ones((1, 9)))


def test_four_texts_of_one_day_count_for_two():
    weight = cap_by_day(np.zeros(4, int), np.zeros(4, int), np.ones(4))
    assert weight.tolist() == [0.5, 0.5, 0.5, 0.5]


def test_texts_of_different_days_or_people_are_not_capped():
    weight = cap_by_day(np.array([0, 0, 1]), np.array([0, 1, 0]), np.ones(3))
    assert weight.tolist() == [1, 1, 1]
