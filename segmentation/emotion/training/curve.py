"""The learning curve: would more customer texts help?"""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from segmentation.emotion.analyzers.minilm import MiniLM
from segmentation.emotion.corpus.texts import development_texts, training_texts
from segmentation.emotion.evaluation import evaluate
from segmentation.emotion.proof import read_answers
from segmentation.emotion.training import goemotions
from segmentation.emotion.training.choices import Recipe, Say, side_by_side
from segmentation.emotion.training.encoder import base_vocabulary
from segmentation.emotion.training.examples import Examples
from segmentation.emotion.training.fitting import fit
from segmentation.emotion.training.recipe import finish
from segmentation.emotion.training.rows import (
    chosen_texts,
    customer_examples,
    marked,
    reddit_examples,
    some_rows,
)
from segmentation.emotion.wordpiece import WordPiece

CURVE: Final = (500, 1_000, 2_500, 5_000)
# A seventh of all comments, and no teacher, who has read all texts: five fits more take
# minutes, not an hour.
CURVE_COMMENTS: Final = 6_000
_BESIDE: Final = 2_000  # comments that stand beside the texts
_MARKED: Final = 0.5
_FIRST: Final = side_by_side(epochs=3, rate=1.5e-4)
_THEN: Final = side_by_side(epochs=1, rate=1.5e-4, mosaic_share=0.1, flag_weight=4.0)
# Each has as many: with as many rounds few texts would have had few steps, too, and the
# curve would have shown those (500 texts: 0.161 right).
_STEPS: Final = 240


def learning_curve(data: Path, *, say: Say) -> list[dict[str, Any]]:
    """The small network alone learns comments from the base, and then, each time from
    there, fewer customer texts or more; scored on the development set."""
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        start = Path(scratch) / "comments.pt"
        fit(_comments(data, CURVE_COMMENTS), _FIRST, start=None, out=start)
        for texts in (*CURVE, len(training_texts())):
            figures = _with_so_many(texts, data, start, say=say)
            rows.append(
                {
                    "texts": texts,
                    "of": len(training_texts()),
                    "strict": figures["accuracy_strict"]["share"],
                    "acceptable": figures["accuracy_acceptable"]["share"],
                }
            )
            say(f"{texts:,} texts: {rows[-1]['strict']:.3f} strict")
    return rows


def _with_so_many(texts: int, data: Path, start: Path, *, say: Say) -> dict[str, Any]:
    recipe = replace(Recipe(), most_customer_texts=texts, most_comments=CURVE_COMMENTS)
    own = customer_examples(chosen_texts(recipe), WordPiece(base_vocabulary()))
    examples = _comments(data, _BESIDE) + own
    rounds = _STEPS * _THEN.processes * _THEN.batch / len(examples)
    with tempfile.TemporaryDirectory() as scratch:
        made, checkpoint = Path(scratch) / "made", Path(scratch) / "then.pt"
        made.mkdir()
        fit(examples, replace(_THEN, epochs=rounds), start=start, out=checkpoint)
        finish(checkpoint, data, made, recipe, say=say)
        answers = read_answers(development_texts(), MiniLM(made))
    figures: dict[str, Any] = evaluate(development_texts(), answers)["family"]
    return figures


def _comments(data: Path, most: int) -> Examples:
    """The first comments, half of them as a customer's; no teacher."""
    tokenizer = WordPiece(base_vocabulary())
    split = goemotions.load(data / "emotion" / "goemotions", "train")
    comments = reddit_examples(split.first(most), tokenizer)
    some = some_rows(len(comments), _MARKED, Recipe().seed)
    return marked(comments, some, tokenizer.customer_mark)
