"""The way in: texts → what they feel, or why they were not read.

    read_texts([TextToRead("Still no answer. I am worried.", rating=2)])

Source of every number: docs/method.md, "From text to a family vector".
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np

from segmentation.emotion import cleaning, pooling
from segmentation.emotion.analyzers import Analyzer, analyzer_named
from segmentation.emotion.families import LABELS, FloatArray
from segmentation.emotion.language import Language, language_of
from segmentation.emotion.sentences import first_and_last, split_sentences

DEFAULT_ANALYZER: Final = "minilm"
DISAGREEMENT: Final = "text and rating disagree"
_LOW_RATING: Final = 2.0  # of 5; a pleased text beside it may be sarcasm
_PLEASED_VALENCE: Final = 0.3
_DISAGREEMENT_WEIGHT: Final = 0.3
_FOREIGN_SENTENCE_WORDS: Final = 4  # fewer may be a name or a flourish: "Oh la la"


@dataclass(frozen=True, slots=True)
class TextToRead:
    """rating: 1 to 5 stars, None or NaN without one. language: as declared, if it was.

    names: first and last names to mask, of the customer and of staff they write to.
    """

    text: str
    title: str = ""
    rating: float | None = None
    language: str | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SentenceReading:
    """families: (9,), sums to 1. share: of this sentence in its text; they sum to 1."""

    text: str
    families: FloatArray
    share: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What one text says.

    families: (9,), the sum over sentences of share * families; None if not read.
    valence: -1 to 1; arousal: 0 to 1 (coarse); both 0 if not read.
    labels: those of the 28 that reach their threshold, strongest first.
    sentences: title first; names are masked in them.
    language: ISO code, "und" if not recognised.
    weight: 1; less if doubted; 0 if not read.
    not_read: "" if read, else why. notes: what a person looking at it should know.
    """

    families: FloatArray | None
    valence: float
    arousal: float
    labels: dict[str, float]
    sentences: tuple[SentenceReading, ...]
    language: str
    weight: float
    not_read: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """Sentences of one text as shown; empty where `not_read` says why."""

    language: Language
    title: tuple[str, ...] = ()
    body: tuple[str, ...] = ()
    not_read: str = ""
    notes: tuple[str, ...] = ()


def read_texts(
    items: Sequence[TextToRead], *, analyzer: str = DEFAULT_ANALYZER
) -> list[Reading]:
    """Read every text; result i belongs to item i.

    All sentences are scored in one pass, equal sentences once. A reading depends on its
    own item alone, so any split of the items gives the same numbers.
    Raises UnknownAnalyzer; WeightsDamaged if the model is not the one shipped.
    """
    chosen = analyzer_named(analyzer)
    prepared = [_prepare(item) for item in items]
    parts = chain.from_iterable((text.title, text.body) for text in prepared)
    shown = chain.from_iterable(parts)
    spelt = {sentence: cleaning.spell_emoji(sentence) for sentence in shown}
    rows = {sentence: row for row, sentence in enumerate(dict.fromkeys(spelt.values()))}
    scores = chosen.score(list(rows))
    return [
        _reading(item, text, _Scores(chosen, scores, rows, spelt))
        for item, text in zip(items, prepared, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Scores:
    """Scores of all sentences of a call, found by the sentence as shown."""

    analyzer: Analyzer
    scores: FloatArray
    rows: dict[str, int]
    spelt: dict[str, str]

    def of(self, sentences: Sequence[str]) -> FloatArray:
        return self.scores[[self.rows[self.spelt[shown]] for shown in sentences]]


def _prepare(item: TextToRead) -> _Prepared:
    title = cleaning.clean_title(item.title, names=item.names)
    body = cleaning.clean(item.text, names=item.names)
    language = language_of(f"{title}\n{body}", declared=item.language)
    titles, bodies = split_sentences(title), split_sentences(body)
    if not titles and not bodies:
        return _Prepared(language, not_read="no text")
    if not language.validated:
        return _Prepared(language, not_read=f"language: {language.name}")
    notes = []
    if cleaning.clip(item.text) is not item.text:
        notes.append(
            f"only the first {cleaning.MAX_HEAD_CHARS:,} and the last "
            f"{cleaning.MAX_TAIL_CHARS:,} of {len(item.text):,} characters were read"
        )
    kept = first_and_last(bodies)
    if len(kept) < len(bodies):
        notes.append(f"{len(kept)} of {len(bodies)} sentences were read")
    read, foreign = _in_validated_language(kept)
    if foreign:
        notes.append(f"sentences not read: {', '.join(foreign)}")
    return _Prepared(
        language, tuple(first_and_last(titles)), tuple(read), notes=tuple(notes)
    )


def _in_validated_language(sentences: list[str]) -> tuple[list[str], list[str]]:
    """Split off the sentences of an English text that are plainly in another language.

    Returns the others and the names of the languages left out. A text keeps at least
    one sentence: if all look foreign by themselves, the whole text decided better.
    """
    read, names = [], set()
    for sentence in sentences:
        language = (
            language_of(sentence)
            if sentence.count(" ") + 1 >= _FOREIGN_SENTENCE_WORDS
            else None
        )
        if language and language.certain and not language.validated:
            names.add(language.name)
        else:
            read.append(sentence)
    return (read, sorted(names)) if read else (sentences, [])


def _reading(item: TextToRead, text: _Prepared, scores: _Scores) -> Reading:
    if text.not_read:
        return Reading(
            families=None,
            valence=0.0,
            arousal=0.0,
            labels={},
            sentences=(),
            language=text.language.code,
            weight=0.0,
            not_read=text.not_read,
            notes=text.notes,
        )
    pooled = pooling.pool(scores.of(text.title), scores.of(text.body))
    doubted = _disagrees(item.rating, pooled.valence)
    shown = zip(text.title + text.body, pooled.sentences, pooled.shares, strict=True)
    return Reading(
        families=pooled.families,
        valence=pooled.valence,
        arousal=pooled.arousal,
        labels=_present(pooled.labels, scores.analyzer.thresholds),
        sentences=tuple(
            SentenceReading(sentence, families, float(share))
            for sentence, families, share in shown
        ),
        language=text.language.code,
        weight=_DISAGREEMENT_WEIGHT if doubted else 1.0,
        not_read="",
        notes=(*text.notes, DISAGREEMENT) if doubted else text.notes,
    )


def _disagrees(rating: float | None, valence: float) -> bool:
    """Low stars beside a pleased text. It may be sarcasm, which is not detected."""
    if rating is None or math.isnan(rating):
        return False
    return rating <= _LOW_RATING and valence > _PLEASED_VALENCE


def _present(labels: FloatArray, thresholds: FloatArray) -> dict[str, float]:
    present = np.flatnonzero(labels >= thresholds)
    strongest_first = sorted(present, key=lambda label: (-labels[label], label))
    return {LABELS[label]: float(labels[label]) for label in strongest_first}
