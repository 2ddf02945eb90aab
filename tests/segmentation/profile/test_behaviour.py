from math import log

import numpy as np
import pytest

from segmentation.profile.behaviour import (
    DEED_CODE,
    DEEDS,
    ENGAGEMENT,
    deed_weight,
    learn_shares,
    log_evidence,
    rating_deed,
    start_shares,
    weight_alone,
)
from segmentation.profile.events import Deeds

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


def test_a_late_answer_counts_as_half_a_low_rating():
    codes = np.array([DEED_CODE["low rating"], DEED_CODE["late answer"]])
    assert log_evidence(start_shares(), EQUAL)[codes[0]] == pytest.approx(
        log_evidence(start_shares(), EQUAL)[codes[1]]
    )
    two = Deeds(np.zeros(2, np.int64), np.array([180.0, 180.0]), codes)
    assert deed_weight(two) == pytest.approx([0.5, 0.25])


def test_what_ratings_say_here_is_what_late_answers_say():
    random = np.random.default_rng(0)
    codes = random.integers(0, 3, 900)
    learned = learn_shares(codes, random.dirichlet(np.ones(7), 900))
    assert (learned[DEED_CODE["late answer"]] == learned[DEED_CODE["low rating"]]).all()


def test_the_three_habits_of_a_segment_add_up_to_one_also_when_learned():
    rows = [DEED_CODE[name] for name in ENGAGEMENT]
    assert start_shares()[rows].sum(axis=0) == pytest.approx(np.ones(7))
    codes = np.repeat(rows, [540, 270, 90])
    learned = learn_shares(codes, np.tile(EQUAL, (900, 1)))[rows]
    assert learned.sum(axis=0) == pytest.approx(np.ones(7))
    # 540 of 900 were idle; 900 / 7 beliefs a segment stand against 50.
    assert learned[0, 0] == pytest.approx((540 / 7 + 50 * 0.45) / (900 / 7 + 50))


def test_habits_tell_nothing_alone():
    codes = np.array([DEED_CODE["high rating"], DEED_CODE["high engagement"]])
    deeds = Deeds(np.zeros(2, np.int64), np.zeros(2), codes)
    assert weight_alone(deeds).tolist() == [1.0, 0.0]
