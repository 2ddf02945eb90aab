"""Which sentences and words carried a reading.

The text is read with each word alone, and with each word alone left out. A word's part
is the mean of what it adds to a usual text and of what is missing without it: its
Shapley value (Shapley 1953), the mean over all orders of what it adds when the words
come one by one, wherever words act alone or in pairs. What more of them do together is
spread evenly, so that the parts add up to the reading within `TOLERANCE`. One word
that stands out among ten plain ones is shown up to 1.8 times as strong as it is. Long
texts are taken apart in runs of words: `MOST_UNITS` at most, if they have not more
sentences.
"""

from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np

from segmentation.emotion import pooling
from segmentation.emotion.analyzers import MOST_PIECES, Analyzer, analyzer_named
from segmentation.emotion.brand_words import NO_BRAND_WORDS, BrandWords
from segmentation.emotion.families import FAMILIES, FloatArray
from segmentation.emotion.reading import (
    DEFAULT_ANALYZER,
    Reading,
    SplitText,
    TextToRead,
    Window,
    pool_text,
    read_texts,
    split_text,
)

TOLERANCE: Final = 1e-6
MOST_UNITS: Final = 28


@dataclass(frozen=True, slots=True)
class WordPart:
    """A word as shown. carried: (9,), what it adds to each family of the text."""

    text: str
    carried: FloatArray


@dataclass(frozen=True, slots=True)
class SentencePart:
    """carried: (9,), the sum over its words. families: (9,), what it reads as."""

    text: str
    words: tuple[WordPart, ...]
    families: FloatArray
    share: float

    @property
    def carried(self) -> FloatArray:
        return np.asarray(np.sum([word.carried for word in self.words], axis=0))


@dataclass(frozen=True, slots=True)
class Explained:
    """usual + what all sentences carry == what the model read (TOLERANCE).

    model: (9,), before rules of the shop; equals reading.families without such rules.
    Both empty for a text that was not read.
    """

    reading: Reading
    model: FloatArray
    usual: FloatArray
    sentences: tuple[SentencePart, ...]

    @property
    def family(self) -> str:
        """The family the text reads as most, "" if it was not read."""
        if self.reading.families is None:
            return ""
        return FAMILIES[int(np.argmax(self.reading.families))]

    def strongest(self, family: str, *, most: int = 5) -> list[str]:
        """The words that carried most of a family, strongest first."""
        column = FAMILIES.index(family)
        words = [word for sentence in self.sentences for word in sentence.words]
        words.sort(key=lambda word: -word.carried[column])
        return [word.text for word in words[:most] if word.carried[column] > 0]


def explain_text(
    item: TextToRead,
    *,
    analyzer: str | Analyzer = DEFAULT_ANALYZER,
    brand_words: BrandWords = NO_BRAND_WORDS,
) -> Explained:
    """Read one text again and again, with words left out; mostly under half a second.

    Raises UnknownAnalyzer; WeightsDamaged if the model is not the one shipped.
    """
    chosen = analyzer_named(analyzer)
    reading = read_texts([item], analyzer=chosen, brand_words=brand_words)[0]
    if reading.families is None:
        return Explained(reading, np.zeros(0), np.zeros(0), ())
    text = split_text(item, chosen, brand_words)
    sentences = [
        brand_words.spelt(sentence)
        for window in text.title + text.body
        for sentence in window.shown
    ]
    usual = pooling.family_mix(pooling.probabilities(chosen.usual[None]))[0]
    carried, model = _carried(text, sentences, chosen, usual)
    rows = iter(carried)
    parts = [
        tuple(WordPart(shown, next(rows)) for shown, _ in sentence)
        for sentence in sentences
    ]
    return Explained(
        reading,
        model,
        usual,
        tuple(
            SentencePart(read.text, words, read.families, read.share)
            for read, words in zip(reading.sentences, parts, strict=True)
        ),
    )


def _carried(
    text: SplitText,
    sentences: list[list[tuple[str, str]]],
    analyzer: Analyzer,
    usual: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """(words, 9) parts and the (9,) reading of the whole text."""
    unit = _units([len(sentence) for sentence in sentences])
    n = int(unit.max()) + 1
    everything = frozenset(range(n))
    alone = [frozenset({one}) for one in range(n)]
    without = [everything - one for one in alone]
    read = dict.fromkeys([everything, *alone, *without], usual)
    split = {some: _only(text, sentences, unit, some, analyzer) for some in read}
    spelt = list(
        dict.fromkeys(
            window.spelt
            for left in split.values()
            for window in chain(left.title, left.body)
        )
    )
    logits = dict(zip(spelt, analyzer.logits(spelt), strict=True))
    for some, left in split.items():
        if left.title or left.body:
            read[some] = pool_text(left, logits).families
    model = read[everything]
    first = np.array([read[one] - usual for one in alone])
    last = np.array([model - read[rest] for rest in without])
    added = (first + last) / 2
    added += (model - usual - added.sum(axis=0)) / n
    sizes = np.bincount(unit)
    return added[unit] / sizes[unit][:, None], model


def _units(lengths: list[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """(words,): the run each word is in; no run crosses the end of a sentence."""
    longest = 1
    while sum(-(-length // longest) for length in lengths) > MOST_UNITS:
        if longest >= max(lengths):
            break
        longest += 1
    units: list[int] = []
    start = 0
    for length in lengths:
        units += [start + word // longest for word in range(length)]
        start += -(-length // longest)
    return np.array(units, np.int64)


def _only(
    text: SplitText,
    sentences: list[list[tuple[str, str]]],
    unit: np.ndarray[tuple[int], np.dtype[np.int64]],
    kept: frozenset[int],
    analyzer: Analyzer,
) -> SplitText:
    """The same windows with only the words of these runs in them."""
    rows = iter(unit.tolist())
    left = iter(
        [
            " ".join(word for _, word in sentence if next(rows) in kept)
            for sentence in sentences
        ]
    )

    def shortened(windows: list[Window]) -> list[Window]:
        found = []
        for window in windows:
            spelt = tuple(next(left) for _ in window.shown)
            if any(spelt):
                sizes = tuple(min(analyzer.pieces(part), MOST_PIECES) for part in spelt)
                found.append(Window(window.shown, spelt, sizes))
        return found

    return SplitText(text.prepared, shortened(text.title), shortened(text.body))
