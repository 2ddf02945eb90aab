"""What people said of every text, and what two teachers say: the targets of the small
network. The teachers are the large one and the weights that are in place."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from segmentation.emotion.corpus.texts import CustomerText
from segmentation.emotion.families import FloatArray
from segmentation.emotion.pooling import probabilities
from segmentation.emotion.training import goemotions
from segmentation.emotion.training.choices import Recipe, Say
from segmentation.emotion.training.encoder import loaded, predict
from segmentation.emotion.training.examples import Examples, sentiments_of
from segmentation.emotion.training.fitting import fit
from segmentation.emotion.training.halves import Ids, in_halves
from segmentation.emotion.training.in_place import heard_in_place
from segmentation.emotion.training.rows import AllRows, all_rows, marked, some_rows
from segmentation.emotion.training.teacher import large


def taught_rows(
    split: goemotions.Split,
    texts: Sequence[CustomerText],
    work: Path,
    recipe: Recipe,
    *,
    say: Say,
) -> Examples:
    """All texts with what people said of them, and what both teachers say."""
    rows = all_rows(split, texts, recipe)
    path = work / "teacher.pt"
    if not path.exists():
        _teach(rows, path, recipe, say=say)
    say("what the teacher says")
    of_teacher = heard(path, rows.examples.pieces)
    say("what the weights in place say")
    before = probabilities(heard_in_place(rows).logits)
    said = recipe.teacher_share * of_teacher + (1 - recipe.teacher_share) * before
    of_comments = of_teacher[: len(rows.comments)]
    return blended(rows, said, (of_teacher, before), of_comments, recipe)


def blended(
    rows: AllRows,
    said: FloatArray,
    of_both: tuple[FloatArray, FloatArray],
    of_comments: FloatArray,
    recipe: Recipe,
) -> Examples:
    """The targets: what people said, and so much of what teachers say, (n, 30).

    of_both: what each of two says; a comment is flagged only where both are sure, since
    nobody has looked at it. of_comments: what the large network says of each comment;
    its sentiments hold where that is read as a customer's text, too.
    """
    said, labels = said.copy(), rows.examples.labels.copy()
    flags = np.minimum(*of_both)[rows.unflagged]
    said[rows.unflagged] = labels[rows.unflagged] = flags
    share = np.full((len(labels), 1), recipe.soft_share)
    share[rows.places_of_own] = recipe.own_soft_share
    felt = rows.examples.sentiments.copy()
    taught = sentiments_of(of_comments)
    for same in (slice(len(rows.comments)), rows.marked):
        felt[same] += recipe.sentiment_soft_share * (taught - felt[same])
    return replace(
        rows.examples, labels=share * said + (1 - share) * labels, sentiments=felt
    )


def teach_of_comments(
    rows: AllRows, said: FloatArray, path: Path, recipe: Recipe, *, say: Say
) -> FloatArray:
    """(comments, 30): what a large network says of comments, once it has learned them
    half from people and half from `said`, (n, 30), the weights in place."""
    n = len(rows.comments)
    comments = rows.examples.pick(range(n))
    if not path.exists():
        felt = sentiments_of(said[:n])
        half = replace(
            comments,
            labels=(comments.labels + said[:n]) / 2,
            sentiments=(comments.sentiments + felt) / 2,
        )
        say(f"the teacher learns from {n:,} comments")
        fit(half, recipe.teacher_of_comments, start=None, out=path, base=large)
    say("what the teacher says")
    return heard(path, comments.pieces)


def _teach(rows: AllRows, path: Path, recipe: Recipe, *, say: Say) -> None:
    half = path.with_name("teacher-half.pt")
    n = len(rows.comments)
    comments, own = rows.examples.pick(range(n)), rows.examples.pick(rows.places_of_own)
    fewer = own.pick(some_rows(len(own), recipe.teacher_own_again, recipe.seed))
    for stage, texts, start, out in zip(
        recipe.teacher, (own, fewer), (None, half), (half, path), strict=True
    ):
        if out.exists():
            continue
        some = some_rows(n, recipe.teacher_marked_share, stage.seed)
        both = marked(comments, some, rows.mark) + texts
        say(f"the teacher learns from {len(both):,} texts")
        fit(both, stage, start=start, out=out, base=large)


def heard(teacher: Path, pieces: Sequence[Ids]) -> FloatArray:
    """(n, 30): what the teacher says."""
    (said,) = in_halves(_heard_alone, teacher, pieces)
    return said


def _heard_alone(teacher: Path, pieces: Sequence[Ids]) -> tuple[FloatArray]:
    torch.set_num_threads(1)
    return (predict(loaded(teacher, large), pieces, quick=True),)
