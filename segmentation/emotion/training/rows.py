"""GoEmotions and our own customer texts as rows to train on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segmentation.emotion.cleaning import clean, spell_emoji
from segmentation.emotion.corpus.texts import CustomerText, training_texts
from segmentation.emotion.families import FAMILIES, FLAGS, LABELS, FloatArray
from segmentation.emotion.label_figures import SENTIMENT, grouped
from segmentation.emotion.training import goemotions
from segmentation.emotion.training.choices import Recipe
from segmentation.emotion.training.encoder import base_vocabulary
from segmentation.emotion.training.examples import Examples, encode, reader_targets
from segmentation.emotion.wordpiece import MAX_PIECES, WordPiece

SHORT: Final = 48  # pieces; 99.8 % of GoEmotions fit


def chosen_texts(recipe: Recipe) -> list[CustomerText]:
    """The customer texts this recipe trains on, shuffled."""
    texts = training_texts()
    order = np.random.default_rng(recipe.seed).permutation(len(texts))
    return [texts[row] for row in order[: recipe.most_customer_texts]]


def prepared(text: str) -> str:
    """A text as the product hands it to the encoder."""
    return spell_emoji(" ".join((clean(text) or text).split()))


def customer_examples(texts: Sequence[CustomerText], tokenizer: WordPiece) -> Examples:
    """Own texts with the mean of both readers as target."""
    return Examples(
        encode(
            [prepared(text.text) for text in texts],
            tokenizer,
            longest=MAX_PIECES,
            of_customers=True,
        ),
        reader_labels(texts),
        np.array([reader_targets(text.readers)[1] for text in texts]),
        np.full((len(texts), len(SENTIMENT)), np.nan),
    )


def reader_labels(texts: Sequence[CustomerText]) -> FloatArray:
    """(n, 30): the mean of both readers, and the flags."""
    return np.array(
        [[*reader_targets(text.readers)[0], *_flags(text)] for text in texts]
    )


def _flags(text: CustomerText) -> list[float]:
    """Sensitive and urgent; unknown where a reader could not tell."""
    if text.sensitive is None:
        return [np.nan, np.nan]
    return [float(text.sensitive), float(text.urgent)]


def reddit_examples(split: goemotions.Split, tokenizer: WordPiece) -> Examples:
    """GoEmotions; its rows have no say on the family mix, only on labels and on the
    sentiments that its authors group them in."""
    return Examples(
        encode([spell_emoji(text) for text in split.texts], tokenizer, longest=SHORT),
        comment_labels(split),
        np.zeros((len(split.texts), len(FAMILIES))),
        grouped(split.labels, SENTIMENT, "largest"),
    )


def comment_labels(split: goemotions.Split) -> FloatArray:
    """(n, 30): the annotators' labels; nobody has flagged a comment."""
    return np.hstack([split.labels, np.full((len(split.texts), len(FLAGS)), np.nan)])


def some_rows(number: int, share: float, seed: int) -> NDArray[np.int64]:
    """Rows of this share of all."""
    return np.flatnonzero(np.random.default_rng(seed).random(number) < share)


def marked(comments: Examples, rows: NDArray[np.int64], mark: int) -> Examples:
    """The same, these of them read as a customer's, so that what they teach of feeling
    holds there too. Without them the AUC on UCI sentences fell from 0.95 to 0.87."""
    pieces = list(comments.pieces)
    for row in rows:
        pieces[row] = np.insert(pieces[row], 1, mark).astype(np.int32)
    return replace(comments, pieces=pieces)


@dataclass(frozen=True, slots=True)
class AllRows:
    """What the small network learns from: every comment, every one as a customer's text
    besides, our own texts; in this order, with what people said of them.

    comments, own: as they are read. mark: the id of the customer's mark.
    """

    examples: Examples
    comments: list[str]
    own: list[str]
    mark: int

    @property
    def places_of_own(self) -> range:
        return range(len(self.examples) - len(self.own), len(self.examples))

    @property
    def text_of(self) -> NDArray[np.int64]:
        """(n,): which text each row is, one number for both rows of a comment."""
        n = len(self.comments)
        return np.concatenate([np.arange(n), np.arange(n + len(self.own))])

    @property
    def marked(self) -> slice:
        """The comments as a customer's text."""
        return slice(len(self.comments), 2 * len(self.comments))

    @property
    def unflagged(self) -> tuple[slice, slice]:
        """Rows and columns of the flags that a customer's text has and nobody gave."""
        return self.marked, slice(len(LABELS), None)


def all_rows(
    split: goemotions.Split, texts: Sequence[CustomerText], recipe: Recipe
) -> AllRows:
    tokenizer = WordPiece(base_vocabulary())
    comments = reddit_examples(split, tokenizer)
    mark = tokenizer.customer_mark
    every = np.arange(len(comments))
    return AllRows(
        comments + marked(comments, every, mark) + customer_examples(texts, tokenizer),
        [spell_emoji(text) for text in split.texts],
        [prepared(text.text) for text in texts],
        mark,
    )
