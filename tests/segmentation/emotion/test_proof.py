"""The shipped weights against the figures that are claimed of them."""

import json

import pytest

from segmentation.emotion import evaluation, proof
from segmentation.emotion.analyzers.minilm import MiniLM
from segmentation.emotion.corpus.texts import development_texts, held_out_texts
from segmentation.emotion.language import language_of
from segmentation.emotion.model_report import markdown
from segmentation.emotion.weights import FOLDER, shipped_digests

# Processors differ in the last digits of 8-bit sums: a share may move by this much.
CLOSE = 0.02


@pytest.fixture(scope="module")
def claimed():
    return json.loads((FOLDER / "eval.json").read_text("utf-8"))


def accuracy(rows):
    found = evaluation.evaluate(rows, proof.read_answers(rows))["family"]
    return found["accuracy_strict"]["share"], found["accuracy_acceptable"]["share"]


def test_the_claims_are_about_the_weights_that_are_shipped(claimed):
    assert claimed["analyzer"] == MiniLM().version
    digests = {name: row[1] for name, row in claimed["about"]["files"].items()}
    assert digests == shipped_digests()


def test_the_development_set_is_read_as_claimed(claimed):
    strict, acceptable = accuracy(development_texts())
    figures = claimed["development"]["family"]
    assert strict == pytest.approx(figures["accuracy_strict"]["share"], abs=CLOSE)
    assert strict >= 0.70 - CLOSE
    assert acceptable >= 0.80 - CLOSE


def test_the_held_out_set_is_read_as_claimed(claimed):
    strict, _ = accuracy(held_out_texts())
    figures = claimed["held_out"]["family"]
    assert strict == pytest.approx(figures["accuracy_strict"]["share"], abs=CLOSE)


def test_forty_names_make_no_difference_at_all():
    found = proof.names_figures()
    assert (found["names"], found["largest_difference"]) == (40, 0.0)


def test_dialects_read_hardly_more_negative_than_the_standard():
    pairs = proof.dialect_pairs()
    found = proof.dialect_figures(pairs)
    assert len(pairs) >= 60
    assert found["mean_rise"] <= 0.05


def test_other_languages_abstain_and_english_does_not():
    kept = [not language_of(text).validated for _, text in proof.foreign_texts()]
    assert len(kept) >= 400
    assert sum(kept) / len(kept) >= 0.98
    own = [row.text for row in (*development_texts(), *held_out_texts())]
    long = [text for text in own if len(text.split()) >= proof.ENGLISH_WORDS]
    assert sum(not language_of(text).validated for text in long) <= 0.01 * len(long)


def test_messages_for_a_person_are_noticed_as_claimed(claimed):
    found = proof.sensitive_figures(proof.sensitive_texts(), {})
    assert found["noticed"]["of"] >= 120
    for name in ("noticed", "urgent_noticed", "look_alikes_taken"):
        share = claimed["sensitive"][name]["share"]
        assert found[name]["share"] == pytest.approx(share, abs=0.05), name


def test_weights_below_the_gate_are_refused_by_name(claimed):
    assert proof.below_the_gate(claimed) == []
    worse = json.loads(json.dumps(claimed))
    worse["development"]["family"]["accuracy_strict"]["share"] = 0.5
    assert proof.below_the_gate(worse) == ["development strict 0.500, needs 0.720"]


def test_the_model_page_is_made_from_the_evaluation(claimed, settings):
    page = (settings.BASE_DIR / "docs" / "emotion_model.md").read_text("utf-8")
    assert page == markdown(claimed)
    assert page == (FOLDER / "card.md").read_text("utf-8")


@pytest.mark.slow
@pytest.mark.shared
def test_public_data_are_read_as_claimed(shared_data, claimed):
    found = proof.goemotions_figures(MiniLM(), shared_data)
    assert found["macro_f1"] == pytest.approx(
        claimed["goemotions"]["macro_f1"], abs=0.01
    )
    assert found["macro_f1"] >= 0.49
    assert found["micro_f1"] >= 0.58
    assert found["ece"] <= 0.01
    for name, rows, least in (
        ("uci", proof.uci_rows(shared_data), 0.94),
        ("airline", proof.airline_rows(shared_data)[:4000], 0.93),
        ("reviews", proof.review_rows(shared_data)[::4], 0.90),
    ):
        figures = evaluation.evaluate(rows, proof.read_answers(rows))["valence"]
        assert figures["auc"]["value"] >= least, name
