import numpy as np
import pytest

from segmentation.emotion.families import FAMILIES, LABELS
from segmentation.emotion.training.examples import mosaics, reader_targets


def test_two_readers_who_differ_leave_a_soft_target():
    labels, families = reader_targets([["anger"], ["sadness"]])
    assert labels[LABELS.index("anger")] == pytest.approx(0.45)
    assert families[FAMILIES.index("anger")] == pytest.approx(0.5)
    assert families[FAMILIES.index("sadness")] == pytest.approx(0.5)


def test_the_first_label_weighs_most_and_labels_of_one_family_add_up():
    _, families = reader_targets([["annoyance", "anger", "confusion"]])
    assert families[FAMILIES.index("anger")] == pytest.approx(0.85)
    assert families.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("said", [[], ["joy"] * 2, ["joy", "love", "pride", "relief"]])
def test_a_reader_gives_one_to_three_different_labels(said):
    with pytest.raises(ValueError, match="1 to 3 different labels"):
        reader_targets([said])


def test_a_label_there_is_none_of_is_refused():
    with pytest.raises(ValueError, match="'hunger' is no label"):
        reader_targets([["hunger"]])


def test_texts_read_side_by_side_fit_into_one_window():
    lengths = np.array([10, 60, 120, 30])
    groups = mosaics(5.0, np.array([0, 1, 3]), lengths, longest=128, seed=1)
    assert len(groups) == 15
    assert all(2 <= len(group) <= 3 and 2 not in group for group in groups)
    assert all(sum(lengths[list(group)]) <= 128 for group in groups)
    assert groups == mosaics(5.0, np.array([0, 1, 3]), lengths, longest=128, seed=1)
