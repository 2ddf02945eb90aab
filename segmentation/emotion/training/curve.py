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
from segmentation.emotion.training.choices import Recipe, Say
from segmentation.emotion.training.encoder import base_vocabulary
from segmentation.emotion.training.examples import Examples
from segmentation.emotion.training.fitting import Stage, fit
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
# Comments beside them, a seventh of all, and no teacher, who has read all texts: five
# fits more take minutes, not an hour.
CURVE_COMMENTS: Final = 6_000
_MARKED: Final = 0.5
_CURVE: Final = Stage(epochs=3, rate=1.5e-4, mosaic_share=0.1, flag_weight=4.0)


def learning_curve(data: Path, *, say: Say) -> list[dict[str, Any]]:
    """The small network alone, from the base, with fewer customer texts; scored on the
    development set."""
    rows = []
    for texts in (*CURVE, len(training_texts())):
        with tempfile.TemporaryDirectory() as scratch:
            made = Path(scratch) / "made"
            made.mkdir()
            recipe = replace(
                Recipe(), most_customer_texts=texts, most_comments=CURVE_COMMENTS
            )
            checkpoint = Path(scratch) / "alone.pt"
            fit(_alone(data, recipe), _CURVE, start=None, out=checkpoint)
            finish(checkpoint, data, made, recipe, say=say)
            figures = evaluate(
                development_texts(),
                read_answers(development_texts(), MiniLM(made)),
            )["family"]
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


def _alone(data: Path, recipe: Recipe) -> Examples:
    """The first comments, half of them as a customer's, and own texts; no teacher."""
    tokenizer = WordPiece(base_vocabulary())
    split = goemotions.load(data / "emotion" / "goemotions", "train")
    comments = reddit_examples(split.first(recipe.most_comments), tokenizer)
    some = some_rows(len(comments), _MARKED, recipe.seed)
    own = customer_examples(chosen_texts(recipe), tokenizer)
    return marked(comments, some, tokenizer.customer_mark) + own
