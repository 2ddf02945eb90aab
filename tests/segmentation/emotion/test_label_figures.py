import numpy as np
import pytest

from segmentation.emotion.families import LABELS
from segmentation.emotion.label_figures import (
    EKMAN,
    NINE,
    SENTIMENT,
    calibration_error,
    f1,
    grouped,
    micro_f1,
    thresholds,
)


@pytest.mark.parametrize("groups", [EKMAN, SENTIMENT, NINE])
def test_every_label_is_in_one_group(groups):
    assert sorted(label for labels in groups.values() for label in labels) == sorted(
        LABELS
    )


def test_f1_counts_hits_twice_over_all_that_is_true_or_said():
    truth = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    present = np.array([[True, False], [False, False], [True, False]])
    assert f1(truth, present) == pytest.approx([0.5, 0.0])
    assert micro_f1(truth, present) == pytest.approx(0.5)


def test_the_threshold_parts_what_can_be_parted():
    scores = np.linspace(0.05, 0.95, 40)[:, None]
    truth = (scores > 0.6).astype(float)
    (cut,) = thresholds(truth, scores)
    assert 0.55 < cut < 0.68
    assert f1(truth, scores >= cut)[0] > 0.95


def test_calibration_error_weighs_bins_by_what_they_hold():
    scores = np.array([[0.02] * 4])
    truth = np.array([[0.0, 0.0, 0.0, 1.0]])
    assert calibration_error(truth, scores) == pytest.approx(0.23)


def test_groups_pool_by_noisy_or_the_largest_or_the_sum():
    scores = np.zeros((1, 28))
    scores[0, [LABELS.index("fear"), LABELS.index("nervousness")]] = 0.5, 0.6
    column = list(NINE).index("anxiety")
    pooled = [
        grouped(scores, NINE, rule)[0, column]
        for rule in ("noisy-or", "largest", "sum")
    ]
    assert pooled == pytest.approx([0.8, 0.6, 1.0])
