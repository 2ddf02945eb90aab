import numpy as np
import pytest

from segmentation.emotion.families import (
    AROUSAL,
    FAMILIES,
    FAMILY_LABELS,
    LABEL_AROUSAL,
    LABEL_VALENCE,
    LABELS,
    MEMBERSHIP,
    VALENCE,
)


def test_every_label_belongs_to_exactly_one_family():
    assert MEMBERSHIP.shape == (28, 9)
    assert MEMBERSHIP.sum(axis=1).tolist() == [1.0] * 28
    assert tuple(FAMILY_LABELS) == FAMILIES


def test_labels_are_alphabetical_with_neutral_last_as_the_model_gives_them():
    assert list(LABELS[:-1]) == sorted(LABELS[:-1])
    assert LABELS[-1] == "neutral"


@pytest.mark.parametrize(
    ("label", "valence", "arousal"),
    [
        ("joy", (8.06 - 5) / 4, (6.94 - 4) / 4),
        ("anger", (2.53 - 5) / 4, (5.64 - 4) / 4),
        ("curiosity", (6.78 - 5) / 16, (6.45 - 4) / 4),  # ambiguous: a quarter
        ("neutral", 0.0, 0.0),
    ],
)
def test_label_weights_come_from_the_glasgow_norms(label, valence, arousal):
    index = LABELS.index(label)
    assert LABEL_VALENCE[index] == pytest.approx(valence)
    assert LABEL_AROUSAL[index] == pytest.approx(arousal)


def test_the_family_constants_cannot_be_changed_by_accident():
    with pytest.raises(ValueError, match="read-only"):
        VALENCE[0] = 1.0
    assert AROUSAL.min() >= 0.0
    assert np.abs(VALENCE).max() <= 1.0
