import numpy as np
import pytest

from segmentation.emotion.evaluation import (
    Answer,
    LabelledText,
    auc,
    calibration,
    evaluate,
)
from segmentation.emotion.families import FAMILIES


def answer(family: str, confidence: float = 0.9, valence: float = 0.0) -> Answer:
    mix = np.full(9, (1 - confidence) / 8)
    mix[FAMILIES.index(family)] = confidence
    return Answer(mix, valence)


def test_strict_counts_the_family_and_acceptable_also_what_a_reader_could_defend():
    rows = [
        LabelledText("a", "anger", frozenset({"sadness"})),
        LabelledText("b", "anger", frozenset({"sadness"})),
        LabelledText("c", "joy"),
        LabelledText("d", "joy"),
    ]
    answers = [answer("anger"), answer("sadness"), answer("joy"), answer("trust")]
    found = evaluate(rows, answers)["family"]
    assert found["accuracy_strict"]["share"] == 0.5
    assert found["accuracy_acceptable"]["share"] == 0.75


def test_a_text_that_was_not_read_is_wrong_and_says_why():
    rows = [LabelledText("a", "joy"), LabelledText("hola", "joy")]
    found = evaluate(rows, [answer("joy"), Answer(None, why="language: Spanish")])
    assert found["family"]["accuracy_strict"]["share"] == 0.5
    assert found["abstained"]["reasons"] == {"language: Spanish": 1}
    assert found["family"]["confusion"]["joy"] == {"joy": 1, "not read": 1}


def test_macro_f1_is_the_mean_over_families_that_occur():
    # anger: 1 hit, 1 miss, 0 false = 2/3; joy: 1 hit, 0 miss, 1 false = 2/3
    rows = [
        LabelledText(text, family)
        for text, family in zip("abc", ("anger",) * 2 + ("joy",), strict=True)
    ]
    found = evaluate(rows, [answer("anger"), answer("joy"), answer("joy")])
    assert found["family"]["macro_f1"]["value"] == pytest.approx(2 / 3, abs=1e-4)


def test_kinds_and_difficulty_have_figures_of_their_own():
    rows = [
        LabelledText("a", "joy", kind="sarcasm", hard=True),
        LabelledText("b", "joy", kind="short"),
    ]
    found = evaluate(rows, [answer("trust"), answer("joy")])["family"]
    assert found["by_kind"]["sarcasm"] == {"texts": 1, "strict": 0.0, "acceptable": 0.0}
    assert found["by_kind"]["short"]["strict"] == 1.0
    assert found["by_difficulty"]["hard"]["strict"] == 0.0


def test_valence_is_judged_by_its_sign_and_auc_counts_ties_half():
    rows = [LabelledText("t", valence=value) for value in (-1.0, -0.5, 0.0, 1.0)]
    answers = [answer("joy", valence=value) for value in (-0.9, 0.5, 0.0, 0.5)]
    found = evaluate(rows, answers)["valence"]
    assert found["accuracy"]["share"] == 0.75
    assert found["auc"]["value"] == 0.75  # 1 over -0.9 and a tie with 0.5


def test_auc_is_one_when_every_positive_lies_above():
    assert auc(np.array([0.1, 0.2, 0.3]), np.array([False, False, True])) == 1.0
    assert auc(np.array([0.5, 0.5]), np.array([False, True])) == 0.5


def test_calibration_error_is_the_gap_between_said_and_was():
    sure = np.array([0.95, 0.95, 0.55, 0.55])
    right = np.array([True, True, True, False])
    # gaps .05 and .05, half of the texts each
    assert calibration(sure, right)["ece"] == pytest.approx(0.05)


def test_nothing_to_evaluate_and_unequal_lengths_are_errors():
    with pytest.raises(ValueError, match="at least one"):
        evaluate([], [])
    with pytest.raises(ValueError, match="1 texts but 0 answers"):
        evaluate([LabelledText("a", "joy")], [])
