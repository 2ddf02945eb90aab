"""One step on 200 rows, from base weights to a graph that reads: never a training."""

from dataclasses import replace

import numpy as np
import pytest

from segmentation.emotion.corpus.texts import training_texts

pytestmark = [pytest.mark.train, pytest.mark.slow, pytest.mark.shared]


@pytest.fixture
def recipe():
    from segmentation.emotion.training import recipe

    return recipe


@pytest.fixture
def rows(shared_data, recipe):
    from segmentation.emotion.training.encoder import base_vocabulary
    from segmentation.emotion.training.goemotions import load
    from segmentation.emotion.training.rows import customer_examples, reddit_examples
    from segmentation.emotion.wordpiece import WordPiece

    tokenizer = WordPiece(base_vocabulary())
    reddit = reddit_examples(
        load(shared_data / "emotion/goemotions", "train"), tokenizer
    ).pick(range(150))
    own = customer_examples(training_texts()[:50], tokenizer)
    return reddit + own


def step(rows, out, start=None, **options):
    from segmentation.emotion.training.fitting import Stage, fit

    stage = Stage(epochs=1, rate=1e-4, most_steps=1, mosaic_share=0.1, **options)
    fit(rows, stage, start=start, out=out, log=False)


def test_one_step_moves_the_weights_and_the_same_step_moves_them_alike(rows, tmp_path):
    from segmentation.emotion.training.encoder import loaded

    step(rows, tmp_path / "one.pt")
    step(rows, tmp_path / "two.pt")
    one, two = (loaded(tmp_path / name).state_dict() for name in ("one.pt", "two.pt"))
    assert all((one[name] == two[name]).all() for name in one)
    step(rows, tmp_path / "three.pt", start=tmp_path / "one.pt")
    three = loaded(tmp_path / "three.pt").state_dict()
    assert (three["head.weight"] != one["head.weight"]).any()
    words = "body.embeddings.word_embeddings.weight"
    assert (three[words] == one[words]).all()  # words stay as they came


def test_two_processes_meet_and_end_with_the_same_weights_each_time(rows, tmp_path):
    from segmentation.emotion.training.encoder import loaded

    step(rows, tmp_path / "alone.pt", threads=1)
    for name in ("one.pt", "two.pt"):
        step(rows, tmp_path / name, threads=1, processes=2)
    alone, one, two = (
        loaded(tmp_path / f"{name}.pt").state_dict() for name in ("alone", "one", "two")
    )
    assert all((one[name] == two[name]).all() for name in one)
    assert (one["head.weight"] != alone["head.weight"]).any()  # both batches moved it


def test_the_loss_on_sentiments_counts_where_they_are_known():
    import torch

    from segmentation.emotion.families import FAMILIES, LABELS, OUTPUTS
    from segmentation.emotion.training.fitting import Stage, loss_of

    def loss(felt, weight):
        logits = torch.full((1, OUTPUTS), -40.0)
        logits[0, LABELS.index("joy")] = 2.0
        nothing = torch.full((1, OUTPUTS), torch.nan), torch.zeros(1, len(FAMILIES))
        stage = Stage(epochs=1, rate=1e-4, sentiment_weight=weight)
        return float(loss_of(logits, *nothing, torch.tensor([felt]), stage))

    unknown = torch.nan
    assert loss([unknown] * 4, 3.0) == 0
    assert loss([1.0, 0.0, 0.0, 0.0], 0.0) == 0
    right, wrong = np.log1p(np.exp(-2.0)), np.log1p(np.exp(2.0))
    assert loss([1.0, *[unknown] * 3], 3.0) == pytest.approx(3 * right, rel=1e-3)
    assert loss([0.0, *[unknown] * 3], 3.0) == pytest.approx(3 * wrong, rel=1e-3)
    assert loss([1.0, 1.0, 0.0, 0.0], 1.0) > 10  # no label of the negative is there


def test_the_small_network_learns_from_people_and_both_teachers(tmp_path, monkeypatch):
    from segmentation.emotion.families import LABELS, OUTPUTS
    from segmentation.emotion.training import teaching
    from segmentation.emotion.training.choices import Recipe
    from segmentation.emotion.training.goemotions import Split
    from segmentation.emotion.training.in_place import InPlace

    def heard(path, pieces):  # of comments, of all as a customer's, of our own texts
        return np.repeat(np.arange(len(pieces))[:, None] / 10, OUTPUTS, axis=1)

    def heard_in_place(rows):
        even = np.zeros((len(rows.examples), OUTPUTS))
        return InPlace(even, even, even, share=1.0)

    monkeypatch.setattr(teaching, "heard", heard)
    monkeypatch.setattr(teaching, "heard_in_place", heard_in_place)
    (tmp_path / "teacher.pt").touch()
    recipe, own = Recipe(), training_texts()[:2]
    split = Split(["one", "two", "three", "four"], np.eye(4, len(LABELS)))
    taught = teaching.taught_rows(split, own, tmp_path, recipe, say=print)
    assert len(taught) == 4 + 4 + 2
    heard_of = np.arange(len(taught))[:, None] / 10
    said = (1 - recipe.soft_share) * np.vstack([split.labels, split.labels])
    said += recipe.soft_share * (heard_of[:-2] + 0.5) / 2
    np.testing.assert_allclose(taught.labels[:-2, :28], said)
    assert np.isnan(taught.labels[:4, 28:]).all()  # nobody flagged a comment
    agreed = np.repeat(np.minimum(heard_of[4:-2], 0.5), 2, axis=1)
    np.testing.assert_allclose(taught.labels[4:-2, 28:], agreed)
    # Three tenths of each of four labels is there: one of any of them.
    ambiguous = recipe.sentiment_soft_share * (1 - 0.7**4)
    assert taught.sentiments[3, 2] == pytest.approx(ambiguous)
    assert (taught.sentiments[4:8] == taught.sentiments[:4]).all()
    assert np.isnan(taught.sentiments[-2:]).all()
    assert [len(ids) for ids in taught.pieces[4:-2]] == [
        len(taught.pieces[row]) + 1 for row in range(4)
    ]
    anger, joy = LABELS.index("anger"), LABELS.index("joy")
    assert own[0].readers[0][0] == own[0].readers[1][0] == "anger"  # so it is 0.9 there
    of_both = 0.4 * (heard_of[-2, 0] + 0.5) / 2
    assert taught.labels[-2, anger] == pytest.approx(0.6 * 0.9 + of_both)
    assert taught.labels[-2, joy] == pytest.approx(of_both)


def test_the_teacher_reads_the_same_pieces_under_its_own_numbers():
    import torch

    from segmentation.emotion.training.encoder import base_vocabulary, padded
    from segmentation.emotion.training.examples import encode
    from segmentation.emotion.training.teacher import large
    from segmentation.emotion.wordpiece import MAX_PIECES, WordPiece

    teacher = large().eval()
    texts = ["The parcel never came.", "My package has not arrived.", "A lovely cake!"]
    tokenizer = WordPiece(base_vocabulary())
    ids, mask = padded(encode(texts, tokenizer, longest=MAX_PIECES))
    ids = teacher.ids_of_body[ids]
    with torch.no_grad():
        hidden = teacher.body(input_ids=ids, attention_mask=mask).last_hidden_state
    of_text = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    of_text = torch.nn.functional.normalize(of_text)
    alike = of_text @ of_text.T
    # Its makers' own task: to tell sentences that say the same.
    assert alike[0, 1] > 0.4 > 0.25 > alike[0, 2]


def test_the_graph_reads_as_the_network_does(rows, tmp_path, recipe, shared_data):
    from segmentation.emotion.analyzers.minilm import MiniLM
    from segmentation.emotion.training.choices import Recipe
    from segmentation.emotion.training.encoder import base_vocabulary, loaded, predict
    from segmentation.emotion.training.examples import encode
    from segmentation.emotion.training.rows import prepared
    from segmentation.emotion.weights import write_sums
    from segmentation.emotion.wordpiece import MAX_PIECES, WordPiece

    step(rows, tmp_path / "one.pt")
    made = tmp_path / "made"
    made.mkdir()
    reddit = shared_data / "emotion/goemotions"
    usual = recipe.export(tmp_path / "one.pt", made, reddit, training_texts()[:600])
    few = Recipe(most_comments=400, most_customer_texts=200, lexical_share=0.0)
    usual_lexical = recipe.export_lexical(made, reddit, few)
    recipe.write_meta(made)
    write_sums(made)
    texts = [prepared(text.text) for text in training_texts()[:40]]
    tokenizer = WordPiece(base_vocabulary())
    wanted = predict(
        loaded(tmp_path / "one.pt"),
        encode(texts, tokenizer, longest=MAX_PIECES, of_customers=True),
    )
    assert MiniLM(made).score(texts) == pytest.approx(wanted[:, :28], abs=0.06)
    assert (made / "model.int8.onnx").stat().st_size < 24_000_000
    assert np.isfinite(usual).all()
    assert np.isfinite(usual_lexical).all()

    recipe.export_lexical(made, reddit, replace(few, lexical_share=0.25))
    write_sums(made)
    beside = MiniLM(made).score(texts)
    assert np.abs(beside - wanted[:, :28]).max() > 0.01  # the head has its say
    parts = [text.split() for text in texts]
    added = MiniLM(made).logits(parts)
    whole = 1 / (1 + np.exp(-np.array([rows.sum(axis=0) for rows in added])))
    assert whole[:, :28] == pytest.approx(beside, abs=1e-6)  # it adds up over words
