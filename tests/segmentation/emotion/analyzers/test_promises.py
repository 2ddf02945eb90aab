"""What every analyzer promises, over every entry of the table."""

import os

import numpy as np
import pytest

from segmentation.emotion.analyzers import (
    ANALYZERS,
    UnknownAnalyzer,
    analyzer_named,
)
from segmentation.emotion.families import LABELS

SENTENCES = [
    "I love this guitar, thank you so much!",
    "Nobody answers me and I am furious.",
    "ok",
    "",
    "\x00\ufffd",
    "\ud800 lone",
    "😡" * 500,
    "a" * 100_000,
    "word " * 20_000,
    "שלום \u202eabc",
]


@pytest.fixture(params=sorted(ANALYZERS))
def analyzer(request):
    return ANALYZERS[request.param]


def test_scores_have_one_row_a_sentence_and_are_probabilities(analyzer):
    scores = analyzer.score(SENTENCES)
    assert scores.shape == (len(SENTENCES), 28)
    assert np.isfinite(scores).all()
    assert scores.min() >= 0.0
    assert scores.max() <= 1.0


def test_no_sentences_give_no_rows(analyzer):
    assert analyzer.score([]).shape == (0, 28)


def test_the_neighbours_of_a_sentence_do_not_change_its_score(analyzer):
    together = analyzer.score(SENTENCES)
    alone = np.vstack([analyzer.score([sentence]) for sentence in SENTENCES])
    backwards = analyzer.score(SENTENCES[::-1])[::-1]
    assert np.array_equal(together, alone)
    assert np.array_equal(together, backwards)


def test_the_parts_of_a_window_add_up_to_its_score(analyzer):
    parts = ["Nobody answers", "me and I am", "furious."]
    (added,) = analyzer.logits([parts])
    assert added.shape == (3, 30)
    score = 1 / (1 + np.exp(-added.sum(axis=0)[:28]))
    assert score == pytest.approx(analyzer.score([" ".join(parts)])[0])


def test_a_window_without_words_is_neutral_and_a_long_one_is_cut(analyzer):
    empty, long = analyzer.logits([["", "\x00"], ["word " * 400, "never read"]])
    assert empty.sum(axis=0)[:28].argmax() == LABELS.index("neutral")
    assert not long[1].any()


def test_thresholds_and_version_are_there_before_anything_is_scored(analyzer):
    assert analyzer.thresholds.shape == (28,)
    assert ((analyzer.thresholds > 0) & (analyzer.thresholds < 1)).all()
    assert analyzer.version


def test_thanks_read_as_gratitude_and_fury_as_anger(analyzer):
    scores = analyzer.score(["Thank you so much!", "I am so angry about this."])
    assert [LABELS[row.argmax()] for row in scores] == ["gratitude", "anger"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_scores_the_same(analyzer):
    before = analyzer.score(["I am worried."])
    child = os.fork()
    if child == 0:
        same = np.array_equal(analyzer.score(["I am worried."]), before)
        os._exit(0 if same else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_an_unknown_analyzer_is_answered_with_those_there_are():
    with pytest.raises(UnknownAnalyzer, match=r"'vader'; choose one of: minilm"):
        analyzer_named("vader")
