"""Going on from the weights in place."""

from dataclasses import replace

import numpy as np
import pytest

from segmentation.emotion.corpus.texts import training_texts
from segmentation.emotion.weights import FOLDER

pytestmark = [pytest.mark.train, pytest.mark.slow]


@pytest.fixture
def rows():
    """Three comments, each of them twice, and forty texts of our own."""
    from segmentation.emotion.families import LABELS
    from segmentation.emotion.training.choices import Recipe
    from segmentation.emotion.training.goemotions import Split
    from segmentation.emotion.training.rows import all_rows

    split = Split(["so it goes", "lovely!", "why though"], np.eye(3, len(LABELS)))
    found = all_rows(split, training_texts()[:40], Recipe())
    assert found.text_of.tolist() == [0, 1, 2, *range(43)]
    assert len(found.text_of) == len(found.examples)
    return found


def test_the_unpacked_network_reads_as_the_packed_one(rows):
    from segmentation.emotion.analyzers.minilm import MiniLM
    from segmentation.emotion.training.encoder import predict
    from segmentation.emotion.training.in_place import heard_in_place
    from segmentation.emotion.training.unpacking import unpacked

    heard = heard_in_place(rows)
    network = unpacked(FOLDER)
    scores = predict(network, rows.examples.pieces)
    apart = np.abs(np.log(scores / (1 - scores)) - heard.of_encoder)
    assert apart.mean() < 0.05  # the steps of int8; another network is 2 apart
    head = network.head
    last = heard.layers[:, -384:] @ head.weight.detach().numpy().T
    last += head.bias.detach().numpy()
    np.testing.assert_allclose(last, heard.of_encoder[:, :28], atol=1e-4)
    # Inner outputs keep nodes from being fused, which moves a logit by some hundredths.
    for texts, of_customers, place in (
        (rows.own, True, slice(-len(rows.own), None)),
        (rows.comments, False, slice(3)),
    ):
        added = MiniLM(FOLDER, of_customers=of_customers).logits([[t] for t in texts])
        read = np.array([parts.sum(axis=0) for parts in added])
        assert np.abs(heard.logits[place] - read).mean() < 0.02


def test_a_graph_of_another_kind_is_refused(tmp_path):
    import onnx
    from onnx import helper

    from segmentation.emotion.training.unpacking import unpacked
    from segmentation.emotion.weights import FILES, write_sums

    for name in FILES:
        (tmp_path / name).touch()
    graph = helper.make_graph([], "other", [], [])
    onnx.save(helper.make_model(graph), str(tmp_path / "model.int8.onnx"))
    write_sums(tmp_path)
    with pytest.raises(ValueError, match=r"does not fit: 'head\.w'"):
        unpacked(tmp_path)


def said_of(labels, layers, text_of):
    from segmentation.emotion.families import FAMILIES, OUTPUTS
    from segmentation.emotion.label_figures import SENTIMENT
    from segmentation.emotion.training.choices import Recipe
    from segmentation.emotion.training.examples import Examples
    from segmentation.emotion.training.wider import said_by_others

    n = len(labels)
    rows = Examples(
        [np.zeros(1, np.int32)] * n,
        labels,
        np.zeros((n, len(FAMILIES))),
        np.full((n, len(SENTIMENT)), np.nan),
    )
    nothing = np.zeros((n, OUTPUTS), np.float32)
    return said_by_others(nothing, layers, rows, text_of, Recipe().refining, seed=0)


def test_a_wider_head_says_what_other_texts_taught_it_and_nothing_by_heart():
    from segmentation.emotion.families import OUTPUTS

    layers = np.random.default_rng(3).normal(size=(1500, 12)).astype(np.float32)
    layers[1] = layers[0]
    text_of = np.arange(1500)
    text_of[1] = 0  # one text stands twice
    labels = np.zeros((1500, OUTPUTS))
    labels[:, 0] = layers[:, 0] > 0
    added = said_of(labels, layers, text_of)
    yes, no = (added[labels[:, 0] == value, 0].mean() for value in (1, 0))
    assert yes - no > 0.3
    labels[:2, 0] = 1 - labels[:2, 0]
    changed = said_of(labels, layers, text_of)
    np.testing.assert_array_equal(changed[:2], added[:2])  # not of itself
    assert (changed[:, 0] != added[:, 0]).mean() > 0.5  # all others heard of it


def test_people_a_wider_head_and_a_large_network_teach_together(rows):
    from segmentation.emotion.families import OUTPUTS
    from segmentation.emotion.training.choices import Recipe
    from segmentation.emotion.training.in_place import InPlace
    from segmentation.emotion.training.refining import refined_targets

    recipe, n = Recipe(), len(rows.examples)
    logits = np.zeros((n, OUTPUTS))
    said = np.full((n, OUTPUTS), 0.75)
    said[3:6, :28] = 0.99  # of comments as a customer's: not passed on
    heard = InPlace(logits, logits, logits, share=0.5)
    of_comments = np.full((3, OUTPUTS), 0.15)
    found = refined_targets(rows, heard, said, of_comments, recipe)
    taught = found.labels
    people = rows.examples.labels
    share = recipe.soft_share
    both = (2 * 0.75 + 0.15) / 3
    np.testing.assert_allclose(
        taught[:6, :28], share * both + (1 - share) * people[:6, :28]
    )
    assert np.isnan(taught[:3, 28:]).all()  # a comment is not flagged
    assert (taught[3 : -len(rows.own), 28:] == 0.5).all()  # the surer no of the two
    share = recipe.own_soft_share
    np.testing.assert_allclose(taught[-40:], share * 0.75 + (1 - share) * people[-40:])
    positive = [1 - 0.85**12, 1 - 0.85**11, 1 - 0.85**4, 0.15]  # of so many labels
    for row in (0, 3):  # "admiration", as a comment and as a customer's
        np.testing.assert_allclose(
            found.sentiments[row],
            0.8 * np.array(positive) + 0.2 * np.array([1, 0, 0, 0]),
        )
    assert np.isnan(found.sentiments[-40:]).all()


def test_what_is_shipped_lies_between_two_fits(tmp_path):
    import torch

    from segmentation.emotion.training.refining import mean_of

    for name, value in (("one.pt", 1.0), ("two.pt", 3.0)):
        torch.save(
            {"w": torch.full((2,), value), "n": torch.tensor(7)}, tmp_path / name
        )
    found = mean_of(tmp_path / "one.pt", tmp_path / "two.pt", 0.25)
    assert found["w"].tolist() == [2.5, 2.5]
    assert found["n"] == 7


@pytest.mark.shared
def test_one_step_further_moves_the_weights_in_place(tmp_path, shared_data):
    from segmentation.emotion.training.choices import Recipe
    from segmentation.emotion.training.encoder import loaded
    from segmentation.emotion.training.refining import refined
    from segmentation.emotion.training.unpacking import unpacked

    data, said = shared_data / "emotion/goemotions", []
    recipe = Recipe(most_comments=120, most_customer_texts=40)
    recipe = replace(
        recipe,
        refining=replace(recipe.refining, most_steps=1),
        comments_alone=replace(recipe.comments_alone, most_steps=1),
        teacher_of_comments=replace(recipe.teacher_of_comments, most_steps=1),
    )
    out = refined(data, tmp_path, recipe, say=said.append)
    after, before = loaded(out).state_dict(), unpacked(FOLDER).state_dict()
    assert (after["head.weight"] != before["head.weight"]).any()
    words = "body.embeddings.word_embeddings.weight"
    assert (after[words] == before[words]).all()
    assert refined(data, tmp_path, recipe, say=said.append) == out
    assert len(said) == 6  # what is there is not fitted again
    alone = refined(data, tmp_path, replace(recipe, refines_all=False), say=said.append)
    assert alone != out
    key = "body.encoder.layer.0.attention.self.value.weight"
    moved = [
        (found[key] - before[key]).abs().sum()
        for found in (after, loaded(alone).state_dict())
    ]
    assert moved[0] > moved[1] > 0  # one of the two it lies between did not move
    more = replace(recipe, most_customer_texts=41, refines_all=False)
    assert refined(data, tmp_path, more, say=said.append) not in (out, alone)


def test_a_text_reads_alike_whatever_products_the_processor_has():
    """Signed weights saturate where there is no VNNI; unsigned ones nowhere."""
    import onnx
    from onnx import TensorProto, numpy_helper

    from segmentation.emotion.analyzers.minilm import _session

    shipped = (FOLDER / "model.int8.onnx").read_bytes()
    unsigned = onnx.load_from_string(shipped)
    turned = 0
    for tensor in unsigned.graph.initializer:
        # Not the words: those are looked up, and multiplied with nothing.
        if tensor.data_type == TensorProto.INT8 and tensor.name.startswith("body."):
            values = (numpy_helper.to_array(tensor) ^ np.int8(-128)).view(np.uint8)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
            turned += 1
    assert turned > 24
    ids = np.random.default_rng(0).integers(200, 9_000, (1, 60), np.int64)
    read, again = (
        _session(graph).run(["logits"], {"ids": ids})[0]
        for graph in (shipped, unsigned.SerializeToString())
    )
    np.testing.assert_allclose(read, again, atol=1e-3)
