import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segmentation.emotion.families import FAMILIES, LABELS
from segmentation.emotion.pooling import family_mix, intensity_shares, packed, pool

NOTHING = np.zeros((0, 28))


def sentence(**scores: float) -> np.ndarray:
    row = np.zeros((1, 28))
    for label, score in scores.items():
        row[0, LABELS.index(label)] = score
    return row


def family(mix: np.ndarray, name: str) -> float:
    return float(mix[FAMILIES.index(name)])


def test_labels_of_one_family_add_up_as_the_chance_that_any_is_present():
    mix = family_mix(sentence(anger=0.5, disgust=0.5, joy=0.25))[0]
    # anger: 1 - 0.5 * 0.5 = 0.75, joy 0.25; their sum is 1
    assert family(mix, "anger") == pytest.approx(0.75)
    assert family(mix, "joy") == pytest.approx(0.25)


def test_a_sentence_that_shows_nothing_at_all_is_neutral():
    assert family(family_mix(np.zeros((1, 28)))[0], "neutral") == 1.0


def test_certain_labels_do_not_break_the_logarithm():
    mix = family_mix(np.ones((1, 28)))[0]
    assert mix == pytest.approx(np.full(9, 1 / 9))


def test_a_neutral_sentence_hardly_counts():
    families = family_mix(np.vstack([sentence(neutral=1.0), sentence(joy=0.5)]))
    assert intensity_shares(families) == pytest.approx([0.0, 1.0])


def test_only_neutral_sentences_count_alike():
    families = family_mix(np.vstack([sentence(neutral=1.0), sentence(neutral=0.4)]))
    assert intensity_shares(families) == pytest.approx([0.5, 0.5])


def test_the_title_counts_two_fifths():
    text = pool(sentence(joy=0.8), sentence(anger=0.8))
    assert family(text.families, "joy") == pytest.approx(0.4)
    assert family(text.families, "anger") == pytest.approx(0.6)


@pytest.mark.parametrize(
    "parts", [(sentence(joy=1), NOTHING), (NOTHING, sentence(joy=1))]
)
def test_a_lone_title_or_body_counts_whole(parts):
    text = pool(*parts)
    assert family(text.families, "joy") == pytest.approx(1.0)
    assert text.shares.tolist() == [1.0]


def test_graded_valence_is_the_mean_weight_of_what_is_present():
    # joy (8.06 - 5) / 4 = 0.765; mass 1, so 0.5 * 0.765 + 0.5 * 0 for neutral
    text = pool(NOTHING, sentence(joy=0.5, neutral=0.5))
    assert text.valence == pytest.approx(0.3825)


def test_a_faint_emotion_is_divided_by_a_half_at_least():
    assert pool(NOTHING, sentence(joy=0.1)).valence == pytest.approx(0.1 * 0.765 / 0.5)


def test_arousal_stays_within_its_scale():
    assert pool(NOTHING, sentence(love=1.0)).arousal == 1.0  # (8.15 - 4) / 4 > 1
    assert pool(NOTHING, sentence(remorse=1.0)).arousal == 0.0  # (3.55 - 4) / 4 < 0


def test_nothing_to_pool_is_an_error_that_says_so():
    with pytest.raises(ValueError, match="at least one window"):
        pool(NOTHING, NOTHING)


def test_scores_of_the_wrong_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(n, 28\), got \(2, 9\)"):
        family_mix(np.zeros((2, 9)))


@given(
    arrays(float, st.tuples(st.integers(1, 6), st.just(28)), elements=st.floats(0, 1)),
    st.integers(0, 6),
)
def test_families_are_shares_and_can_be_traced_to_their_windows(scores, cut):
    text = pool(scores[:cut], scores[cut:])
    assert text.families.sum() == pytest.approx(1.0)
    assert text.shares.sum() == pytest.approx(1.0)
    assert text.shares @ text.windows == pytest.approx(text.families)
    assert -1 <= text.valence <= 1
    assert 0 <= text.arousal <= 1


def test_sentences_fill_windows_evenly_and_in_order():
    assert packed([50, 50, 50, 50], most=126) == [[0, 1], [2, 3]]
    assert packed([100, 10, 10], most=126) == [[0, 1, 2]]
    assert packed([], most=126) == []


def test_a_sentence_longer_than_a_window_has_one_of_its_own():
    assert packed([300, 20], most=126) == [[0], [1]]


@given(st.lists(st.integers(0, 126), max_size=40))
def test_no_sentence_is_lost_and_no_window_overflows(lengths):
    windows = packed(lengths, most=126)
    assert [place for window in windows for place in window] == list(
        range(len(lengths))
    )
    assert all(sum(lengths[place] for place in window) <= 126 for window in windows)
