import numpy as np
import pytest

from segmentation.clustering.quality import (
    calibration_error,
    largest_shift,
    renamed_share,
    signature,
)
from segmentation.clustering.wording import how_sure, reads_as, subtitle
from segmentation.emotion.families import FAMILIES
from segmentation.profile.decay import ProfileSums


def test_a_segment_with_twice_the_anger_says_so():
    sums = ProfileSums.empty(60)
    sums.weight[:] = 1
    sums.families[:] = np.eye(9)[8]
    sums.families[:30] = 0.4 * np.eye(9)[0] + 0.6 * np.eye(9)[8]
    found = signature(sums, np.arange(60) < 30)
    # 0.4 among them, 0.2 among all
    assert found[0, 0] == pytest.approx(2.0)
    assert found[0, 1] <= 2.0 <= found[0, 2]


def test_nineteen_people_have_no_signature():
    sums = ProfileSums.empty(60)
    sums.weight[:] = 1
    sums.families[:, 8] = 1.0
    assert signature(sums, np.arange(60) < 19) is None


def test_one_of_three_renamed_is_a_third():
    before, after = np.array([0, 1, 2, -1]), np.array([0, 1, 3, 5])
    assert renamed_share(before, after, n_named=7) == pytest.approx(1 / 3)


def test_leaving_mixed_or_unknown_renames_nobody():
    before, after = np.array([7, 8, 0, 0]), np.array([0, 1, 0, 7])
    assert renamed_share(before, after, n_named=7) == 0


def test_a_shift_is_the_largest_change_of_a_share():
    before, after = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    assert largest_shift(before, after, n_named=7) == 0.25


def test_the_first_run_renames_nobody():
    nobody = np.full(4, -1)
    assert renamed_share(nobody, np.zeros(4, int), n_named=7) == 0
    assert largest_shift(nobody, np.zeros(4, int), n_named=7) == 0


def test_being_right_as_often_as_stated_is_no_error():
    assert calibration_error(np.array([0.5, 0.5]), np.array([1.0, 0.0])) == 0
    assert calibration_error(np.array([0.95]), np.array([0.0])) == pytest.approx(0.95)


@pytest.mark.parametrize(
    ("probability", "words"),
    [
        (0.84, "quite sure"),
        (0.61, "fairly sure"),
        (0.45, "leaning"),
        (0.3, "too close to call"),
    ],
)
def test_certainty_has_words(probability, words):
    assert how_sure(probability) == words


def test_a_subtitle_names_what_is_lifted_strongest_first():
    mix = np.full(9, 1 / 9)
    row = mix.copy()
    row[FAMILIES.index("anxiety")] = 0.50
    row[FAMILIES.index("confusion")] = 0.35
    assert subtitle(row / row.sum(), mix) == "anxiety and confusion"


def test_a_headline_says_what_texts_read_as_and_not_what_people_are():
    words = reads_as("anxious", "Anxious", "anxiety and confusion")
    assert "recent messages read as worried" in words
    assert "are anxious" not in words
