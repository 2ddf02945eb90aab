import numpy as np
import pytest

from segmentation.emotion.families import LABELS, OUTPUTS
from segmentation.emotion.lexical import lexical_head, phrase_keys, rounded, weighed
from segmentation.emotion.training.lexical import fit_lexical

FIRST, LAST = 1, 2
ANGER, JOY = LABELS.index("anger"), LABELS.index("joy")
SENSITIVE, URGENT = OUTPUTS - 2, OUTPUTS - 1


def framed(*pieces):
    return np.array([FIRST, *pieces, LAST])


@pytest.fixture(scope="module")
def head():
    """Piece 10 is said in anger, 20 in joy, and 30 then 31 (but not 31 then 30) in
    anger; two in three texts are customers', and of these alone somebody has said that
    40 is sensitive."""
    texts, labels = [], []
    for row in range(60):
        filler = 40 + row % 5
        said, label = [
            ((10, filler), ANGER),
            ((filler, 20), JOY),
            ((30, 31), ANGER),
            ((31, 30), JOY),
        ][row % 4]
        texts.append(framed(*said))
        flags = [np.nan, np.nan] if row % 3 == 0 else [row % 5 == 0, row % 5 == 1]
        labels.append([*np.eye(len(LABELS))[label] * 0.9 + 0.05, *flags])
    customers = np.arange(60) % 3 > 0
    return fit_lexical(texts, np.array(labels), customers, share=0.25)


def logit(head, *pieces):
    return head.logits(framed(*pieces)).sum(axis=0)


def test_a_piece_and_the_order_of_a_pair_are_remembered(head):
    assert logit(head, 10, 41)[ANGER] > logit(head, 41, 20)[ANGER] + 1
    assert logit(head, 30, 31)[ANGER] > logit(head, 31, 30)[ANGER] + 1


def test_a_flag_is_learned_where_somebody_has_said(head):
    assert logit(head, 10, 40)[SENSITIVE] > logit(head, 10, 42)[SENSITIVE] + 1
    assert logit(head, 10, 41)[URGENT] > logit(head, 10, 42)[URGENT] + 1


def test_a_label_that_nobody_has_is_unlikely_whatever_is_said():
    labels = np.zeros((9, OUTPUTS))
    labels[::2, ANGER] = 1.0
    texts = [framed(10, 40 + row) for row in range(9)]
    head = fit_lexical(texts, labels, np.ones(9, bool), share=0.25)
    assert logit(head, 10, 40)[JOY] == pytest.approx(np.log(0.5 / 9.5))


def test_a_known_key_weighs_its_share_of_the_norm_and_an_unknown_one_nothing():
    rows, weight = weighed(
        np.array([7, 5, 7, 6]), np.array([5, 7]), np.array([2.0, 1.5])
    )
    assert rows[:3].tolist() == [1, 0, 1]
    # Twice 1.5 and once 2 make a norm of the root of 13.
    np.testing.assert_allclose(weight, np.array([1.5, 2, 1.5, 0]) / 13**0.5)


def test_what_the_pieces_add_is_the_regressions_logit(head):
    ids = framed(10, 30, 31, 10, 99)
    keys = phrase_keys(ids)
    rows, weight = weighed(keys, head.keys, head.idf)
    wanted = weight @ (head.weights[rows] * head.scale) + head.bias
    added = head.logits(ids)
    assert added.shape == (5, OUTPUTS)
    np.testing.assert_allclose(added.sum(axis=0), wanted, atol=1e-12)


def test_a_text_of_unknown_pieces_says_what_any_text_says(head):
    np.testing.assert_allclose(logit(head, 7, 8, 9), head.bias, atol=1e-12)


def test_saying_it_a_hundred_times_is_hardly_louder_than_saying_it_twice(head):
    often, twice = logit(head, *[10] * 100), logit(head, 10, 10)
    assert np.abs(often - twice).max() < np.abs(twice - head.bias).max()


def test_a_weight_is_rounded_by_less_than_half_a_step():
    weights = np.random.default_rng(0).normal(size=(50, OUTPUTS))
    whole, scale = rounded(weights)
    assert np.abs(whole * scale - weights).max() <= scale.max() / 2 + 1e-12


def test_a_head_comes_back_from_its_file(head):
    content = head.to_bytes()
    assert content == head.to_bytes()
    again = lexical_head(content)
    np.testing.assert_allclose(
        logit(again, 10, 31), logit(head, 10, 31), rtol=1e-5, atol=1e-6
    )
    assert again.share == head.share


def test_a_file_whose_arrays_do_not_fit_is_refused(head):
    import dataclasses

    broken = dataclasses.replace(head, weights=head.weights[:-1])
    with pytest.raises(ValueError, match=r"needs \(\d+, 30\) weights, has"):
        lexical_head(broken.to_bytes())
