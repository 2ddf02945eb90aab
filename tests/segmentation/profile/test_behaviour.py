from math import log

import numpy as np
import pytest

from segmentation.profile.behaviour import (
    DEED_CODE,
    DEEDS,
    learn_shares,
    log_evidence,
    rating_deed,
    start_shares,
)

EQUAL = np.full(7, 1 / 7)


@pytest.mark.parametrize(
    ("rating", "deed"),
    [
        (1, "low rating"),
        (2, "low rating"),
        (3, "middling rating"),
        (4, "high rating"),
        (5, "high rating"),
        (6, "low rating"),
        (7, "middling rating"),
        (9, "high rating"),
    ],
)
def test_stars_and_promoter_scores_are_read_on_their_own_scale(rating, deed):
    assert rating_deed(rating) == deed


def test_a_return_speaks_for_frustration_half_as_loud_as_its_odds():
    evidence = log_evidence(start_shares(), EQUAL)[DEED_CODE["return"]]
    # mean of the seven shares is 0.61 / 7
    assert evidence[0] == pytest.approx(0.5 * log(0.20 / (0.61 / 7)))


def test_the_three_ratings_of_a_segment_add_up_to_one():
    ratings = [DEEDS[f"{size} rating"].shares for size in ("low", "middling", "high")]
    assert np.array(ratings).sum(axis=0) == pytest.approx(np.ones(7))


def test_where_nearly_everybody_gives_five_stars_they_say_little():
    codes = np.full(2_000, DEED_CODE["high rating"])
    learned = learn_shares(codes, np.tile(EQUAL, (2_000, 1)))
    before = log_evidence(start_shares(), EQUAL)[DEED_CODE["high rating"]]
    after = log_evidence(learned, EQUAL)[DEED_CODE["high rating"]]
    assert np.abs(after).max() < 0.2 * np.abs(before).max()


def test_under_five_hundred_ratings_the_start_table_stays():
    codes = np.full(499, DEED_CODE["high rating"])
    assert (learn_shares(codes, np.tile(EQUAL, (499, 1))) == start_shares()).all()


def test_learned_ratings_of_a_segment_add_up_to_one():
    random = np.random.default_rng(0)
    codes = random.integers(0, 3, 900)
    learned = learn_shares(codes, random.dirichlet(np.ones(7), 900))
    assert learned[:3].sum(axis=0) == pytest.approx(np.ones(7))
