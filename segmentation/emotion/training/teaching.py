"""What people said of every text, and what two teachers say: the targets of the small
network. The teachers are the large one and the weights that are in place."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from segmentation.emotion.analyzers.minilm import MiniLM
from segmentation.emotion.cleaning import spell_emoji
from segmentation.emotion.corpus.texts import CustomerText
from segmentation.emotion.families import LABELS, OUTPUTS, FloatArray
from segmentation.emotion.training import goemotions
from segmentation.emotion.training.choices import Recipe, Say
from segmentation.emotion.training.encoder import (
    base_vocabulary,
    loaded,
    predict,
)
from segmentation.emotion.training.examples import Examples
from segmentation.emotion.training.fitting import fit
from segmentation.emotion.training.rows import (
    customer_examples,
    marked,
    prepared,
    reddit_examples,
    some_rows,
)
from segmentation.emotion.training.teacher import large
from segmentation.emotion.weights import FOLDER
from segmentation.emotion.wordpiece import WordPiece

_AT_ONCE: Final = 2


def taught_rows(
    split: goemotions.Split,
    texts: Sequence[CustomerText],
    work: Path,
    recipe: Recipe,
    *,
    say: Say,
) -> Examples:
    """All texts with what people said of them, and what both teachers say."""
    tokenizer = WordPiece(base_vocabulary())
    comments = reddit_examples(split, tokenizer)
    own = customer_examples(texts, tokenizer)
    mark = tokenizer.customer_mark
    path = work / "teacher.pt"
    if not path.exists():
        _teach(comments, own, path, recipe, mark, say=say)
    some = some_rows(len(comments), recipe.marked_share, recipe.seed)
    every = comments + marked(comments, some, mark).pick(some) + own
    say("what the teacher says")
    said = heard(path, comments.pieces + own.pieces)
    of_comments, of_own = said[: len(comments)], said[len(comments) :]
    say("what the weights in place say")
    before = heard_before(
        [spell_emoji(text) for text in split.texts],
        some,
        [prepared(text.text) for text in texts],
    )
    said = recipe.teacher_share * np.vstack([of_comments, of_comments[some], of_own])
    said += (1 - recipe.teacher_share) * before
    # Nobody flagged a comment: as a customer's text it has the flags of before.
    flags = slice(len(comments), len(comments) + len(some)), slice(len(LABELS), None)
    said[flags] = every.labels[flags] = before[flags]
    share = np.full((len(every), 1), recipe.soft_share)
    share[-len(own) :] = recipe.own_soft_share
    return replace(every, labels=share * said + (1 - share) * every.labels)


def _teach(
    comments: Examples,
    own: Examples,
    path: Path,
    recipe: Recipe,
    mark: int,
    *,
    say: Say,
) -> None:
    half = path.with_name("teacher-half.pt")
    fewer = own.pick(some_rows(len(own), recipe.teacher_own_again, recipe.seed))
    for stage, texts, start, out in zip(
        recipe.teacher, (own, fewer), (None, half), (half, path), strict=True
    ):
        if out.exists():
            continue
        some = some_rows(len(comments), recipe.teacher_marked_share, stage.seed)
        both = marked(comments, some, mark) + texts
        say(f"the teacher learns from {len(both):,} texts")
        fit(both, stage, start=start, out=out, base=large)


def heard_before(
    comments: Sequence[str], some: NDArray[np.int64], own: Sequence[str]
) -> FloatArray:
    """What the weights in place say, (n, 30): of all comments as comments, of some of
    them as customers' texts, and of our own texts."""
    in_place = MiniLM(FOLDER)
    as_customers = [comments[row] for row in some]
    added = in_place.as_reddit().logits([[text] for text in comments])
    added += in_place.logits([[text] for text in (*as_customers, *own)])
    logits = np.array([of_parts.sum(axis=0) for of_parts in added])
    return np.asarray(1 / (1 + np.exp(-logits)))


def heard(teacher: Path, pieces: list[NDArray[np.int32]]) -> FloatArray:
    """(n, 30): what the teacher says, from two processes with a thread each."""
    with ProcessPoolExecutor(_AT_ONCE, mp_context=get_context("spawn")) as pool:
        parts = pool.map(
            _heard_alone,
            [teacher] * _AT_ONCE,
            [pieces[part::_AT_ONCE] for part in range(_AT_ONCE)],
        )
        said = np.zeros((len(pieces), OUTPUTS))
        for part, scores in enumerate(parts):
            said[part::_AT_ONCE] = scores
    return said


def _heard_alone(teacher: Path, pieces: list[NDArray[np.int32]]) -> FloatArray:
    torch.set_num_threads(1)
    return predict(loaded(teacher, large), pieces, quick=True)
