"""The recipe: GoEmotions and our own customer texts → the weights that are shipped.

A large network learns the 28 labels of GoEmotions and those of our own customer texts,
which carry the labels of both their readers. What it and the weights that are in place
say of all of them, beside what people said, is what the small one learns from the base
(distillation, Hinton, Vinyals and Dean 2015; born again, Furlanello et al. 2018): every
comment as a comment, many as a customer's text besides. Stage 2 goes on more slowly,
with several texts in one window now and then. When texts are added, the weights go on
from where they are instead (refining.py). Beside the network stands a lexical head,
fitted on both sets by itself, and one of comments alone.
"""

import json
import shutil
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmentation.emotion.analyzers.minilm import MiniLM
from segmentation.emotion.cleaning import spell_emoji
from segmentation.emotion.corpus.likeness import alike_between, alike_within
from segmentation.emotion.corpus.texts import CustomerText
from segmentation.emotion.families import LABELS, FloatArray
from segmentation.emotion.label_figures import thresholds
from segmentation.emotion.proof import judging_texts
from segmentation.emotion.training import goemotions
from segmentation.emotion.training.choices import Recipe, Say
from segmentation.emotion.training.encoder import (
    base_vocabulary,
    describe_base,
    loaded,
    predict,
)
from segmentation.emotion.training.examples import encode
from segmentation.emotion.training.export import (
    kept_pieces,
    largest_inputs,
    write_onnx,
)
from segmentation.emotion.training.fitting import fit
from segmentation.emotion.training.lexical import fit_lexical
from segmentation.emotion.training.refining import refined
from segmentation.emotion.training.rows import (
    chosen_texts,
    comment_labels,
    prepared,
    reader_labels,
)
from segmentation.emotion.training.teaching import taught_rows
from segmentation.emotion.weights import FOLDER, write_sums
from segmentation.emotion.wordpiece import MAX_PIECES, WordPiece


class CorpusTooAlike(ValueError):
    """Training texts that are near-duplicates, or close to a development text."""


def check_corpus(texts: Sequence[CustomerText]) -> None:
    """Raises CorpusTooAlike, naming up to five pairs."""
    own = [text.text for text in texts]
    apart = judging_texts()
    for what, pairs, others in (
        ("near-duplicates", alike_within(own), own),
        ("close to a text that judges", alike_between(own, apart), apart),
    ):
        if pairs:
            shown = "\n".join(
                f"  {own[pair.first]!r}\n  {others[pair.second]!r}"
                for pair in pairs[:5]
            )
            raise CorpusTooAlike(
                f"{len(pairs)} pairs of training texts are {what}, the first:\n{shown}"
            )


def train(data: Path, work: Path, recipe: Recipe, *, say: Say) -> Path:
    """Fit all stages; returns the checkpoint. work: keeps checkpoints between runs.

    A checkpoint that `work` already has is not fitted again.
    """
    second = work / "second.pt"
    if second.exists():
        return second
    split = goemotions.load(data, "train").first(recipe.most_comments)
    own = chosen_texts(recipe)
    taught = taught_rows(split, own, work, recipe, say=say)
    first = work / "first.pt"
    if not first.exists():
        say(f"stage 1: {len(taught):,} rows, {len(own):,} customer texts among them")
        fit(taught, recipe.first, start=None, out=first)
    say("stage 2")
    fit(taught, recipe.second, start=first, out=second)
    return second


def export(
    checkpoint: Path, folder: Path, data: Path, customers: Sequence[CustomerText]
) -> FloatArray:
    """Write graph and vocabulary; returns customers' texts' mean logits, (28,)."""
    network = loaded(checkpoint)
    vocabulary = base_vocabulary()
    tokenizer = WordPiece(vocabulary)
    texts = [prepared(text.text) for text in customers]
    names = list(vocabulary)
    seen = frozenset(
        names[piece]
        for text in (*goemotions.load(data, "train").texts, *texts)
        for piece in tokenizer.encode(spell_emoji(text))
    )
    with largest_inputs(network) as largest:
        scores = predict(
            network, encode(texts, tokenizer, longest=MAX_PIECES, of_customers=True)
        )
    scores = scores[:, : len(LABELS)]
    kept = kept_pieces(vocabulary, seen)
    write_onnx(
        network,
        [vocabulary[piece] for piece in kept],
        folder / "model.int8.onnx",
        largest,
    )
    (folder / "vocab.txt").write_text("\n".join(kept) + "\n", encoding="utf-8")
    return np.asarray(np.log(scores / (1 - scores)).mean(axis=0))


def export_lexical(folder: Path, data: Path, recipe: Recipe) -> FloatArray:
    """Fit and write both lexical heads over the vocabulary that lies in the folder;
    returns the mean logits of customers' texts, (28,)."""
    pieces = (folder / "vocab.txt").read_text("utf-8").splitlines()
    tokenizer = WordPiece({piece: number for number, piece in enumerate(pieces)})
    comments = goemotions.load(data, "train").first(recipe.most_comments)
    customers = chosen_texts(recipe)
    of_comments = [_framed(spell_emoji(t), tokenizer) for t in comments.texts]
    of_customers = [_framed(prepared(t.text), tokenizer) for t in customers]
    labels = np.vstack([comment_labels(comments), reader_labels(customers)])
    n, share = len(of_comments), recipe.lexical_share
    are_customers = np.arange(len(labels)) >= n
    head = fit_lexical(of_comments + of_customers, labels, are_customers, share=share)
    (folder / "lexical.npz").write_bytes(head.to_bytes())
    alone = fit_lexical(of_comments, labels[:n], are_customers[:n], share=share)
    (folder / "comments.npz").write_bytes(alone.to_bytes())
    logits = [head.logits(ids).sum(axis=0) for ids in of_customers]
    return np.asarray(np.mean(logits, axis=0)[: len(LABELS)])


def _framed(text: str, tokenizer: WordPiece) -> NDArray[np.int64]:
    return np.array(tokenizer.framed(tokenizer.pieces(text)), np.int64)


def write_meta(folder: Path, **fields: Any) -> None:
    """meta.json with these fields replaced."""
    path = folder / "meta.json"
    meta = json.loads(path.read_text()) if path.exists() else {}
    meta = {
        "labels": list(LABELS),
        "thresholds": [0.3] * len(LABELS),
        "base": describe_base(),
        "made": datetime.now(UTC).date().isoformat(),
        **meta,
        **fields,
    }
    path.write_text(json.dumps(meta, indent=1) + "\n")


def replace_folder(made: Path, folder: Path) -> None:
    """Put all files of `made` in place of those of the same name, at the very end."""
    for path in sorted(made.iterdir()):
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            file.write(path.read_bytes())
        shutil.move(file.name, folder / path.name)
        (folder / path.name).chmod(0o644)


def make(data: Path, work: Path, made: Path, recipe: Recipe, *, say: Say) -> None:
    """All of it: checkpoint, graph, vocabulary, thresholds. made: an empty folder."""
    checkpoint = train(data / "emotion" / "goemotions", work, recipe, say=say)
    finish(checkpoint, data, made, recipe, say=say)


def make_refined(
    data: Path, work: Path, made: Path, recipe: Recipe, *, say: Say
) -> None:
    """The same, from the weights in place and not from the base."""
    write_meta(
        made, goes_on_from=MiniLM(FOLDER).version, refined_all=recipe.refines_all
    )
    checkpoint = refined(data / "emotion" / "goemotions", work, recipe, say=say)
    finish(checkpoint, data, made, recipe, say=say)


def finish(
    checkpoint: Path, data: Path, made: Path, recipe: Recipe, *, say: Say
) -> None:
    """From a fitted network to what is shipped of it. made: an empty folder."""
    reddit = data / "emotion" / "goemotions"
    say("export, lexical head, thresholds")
    share, customers = recipe.lexical_share, chosen_texts(recipe)
    usual = (1 - share) * export(checkpoint, made, reddit, customers)
    usual += share * export_lexical(made, reddit, recipe)
    write_meta(
        made,
        usual_logits=[float(value) for value in usual],
        lexical_share=share,
        customer_texts=len(customers),
    )
    write_sums(made)
    dev = goemotions.load(reddit, "dev")
    scores = MiniLM(made, of_customers=False).score([spell_emoji(t) for t in dev.texts])
    cuts = thresholds(dev.labels, scores)
    write_meta(
        made,
        thresholds=[round(float(cut), 4) for cut in cuts],
    )
    write_sums(made)
