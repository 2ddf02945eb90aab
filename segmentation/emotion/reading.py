"""The way in: texts → what they feel, or why they were not read.

    read_texts([TextToRead("Still no answer. I am worried.", rating=2)])

A text is read in windows of whole sentences, as long as the encoder takes: "Third
message. Still nothing." says together what its sentences do not say apart.

Source of every number: docs/method.md, "From text to a family vector".
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np

from segmentation.emotion import cleaning, pooling
from segmentation.emotion.analyzers import (
    MOST_PIECES,
    Analyzer,
    analyzer_named,
)
from segmentation.emotion.brand_words import NAME, NO_BRAND_WORDS, BrandWords
from segmentation.emotion.families import (
    AROUSAL,
    FAMILIES,
    LABELS,
    OUTPUTS,
    VALENCE,
    FloatArray,
)
from segmentation.emotion.language import Language, language_of
from segmentation.emotion.sensitive import (
    Sensitive,
    flagged,
    sensitive_matter,
    stronger,
)
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
    """One sentence in the light of its window.

    families: (9,), sums to 1: what it reads as. share: of its words in the text; they
    sum to 1. What each adds to the text: explaining.py.
    """

    text: str
    families: FloatArray
    share: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What one text says.

    families: (9,), sums to 1; None if not read.
    valence: -1 to 1; arousal: 0 to 1 (coarse); both 0 if not read.
    labels: those of the 28 that reach their threshold, strongest first.
    sentences: title first; names are masked in them.
    language: ISO code, "und" if not recognised.
    weight: 1; less if doubted; 0 if not read.
    not_read: "" if read, else why. notes: what a person looking at it should know.
    sensitive: the sentence that only a person may answer, if there is one.
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
    sensitive: Sensitive | None = None


@dataclass(frozen=True, slots=True)
class _Prepared:
    """Sentences of one text as shown; empty where `not_read` says why."""

    language: Language
    title: tuple[str, ...] = ()
    body: tuple[str, ...] = ()
    not_read: str = ""
    notes: tuple[str, ...] = ()
    sensitive: Sensitive | None = None


def read_texts(
    items: Sequence[TextToRead],
    *,
    analyzer: str | Analyzer = DEFAULT_ANALYZER,
    brand_words: BrandWords = NO_BRAND_WORDS,
) -> list[Reading]:
    """Read every text; result i belongs to item i.

    All windows are scored in one pass, equal ones once. A reading depends on its own
    item alone, so any split of the items gives the same numbers.
    Raises UnknownAnalyzer; WeightsDamaged if the model is not the one shipped.
    """
    chosen = analyzer_named(analyzer)
    split = [split_text(item, chosen, brand_words) for item in items]
    wanted = dict.fromkeys(
        window.spelt for text in split for window in chain(text.title, text.body)
    )
    scores = dict(zip(wanted, chosen.logits(list(wanted)), strict=True))
    return [
        _reading(item, text, scores, chosen, brand_words)
        for item, text in zip(items, split, strict=True)
    ]


def reading_version(
    *,
    analyzer: str | Analyzer = DEFAULT_ANALYZER,
    brand_words: BrandWords = NO_BRAND_WORDS,
) -> str:
    """Changes whenever the same text may be read otherwise."""
    version = analyzer_named(analyzer).version
    return f"{version}+{brand_words.digest}" if brand_words.digest else version


@dataclass(frozen=True, slots=True)
class Window:
    """Sentences read together: as shown, as spelt for the model, and their pieces."""

    shown: tuple[str, ...]
    spelt: tuple[str, ...]
    sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SplitText:
    """A text as the analyzer takes it: windows of its title and of its body."""

    prepared: _Prepared
    title: list[Window]
    body: list[Window]


def split_text(
    item: TextToRead, analyzer: Analyzer, brand_words: BrandWords
) -> SplitText:
    """Clean a text and cut it into windows; none if it is not to be read."""
    text = _prepare(item)
    return SplitText(
        text,
        _windows(text.title, analyzer, brand_words),
        _windows(text.body, analyzer, brand_words),
    )


def _windows(
    sentences: Sequence[str], analyzer: Analyzer, brand_words: BrandWords
) -> list[Window]:
    spelt = [
        " ".join(word for _, word in brand_words.spelt(sentence))
        for sentence in sentences
    ]
    sizes = [analyzer.pieces(sentence) for sentence in spelt]
    return [
        Window(
            tuple(sentences[place] for place in places),
            tuple(spelt[place] for place in places),
            tuple(sizes[place] for place in places),
        )
        for places in pooling.packed(sizes, most=MOST_PIECES)
    ]


_Logits = dict[tuple[str, ...], FloatArray]


def _prepare(item: TextToRead) -> _Prepared:
    title = cleaning.clean_title(item.title, names=item.names)
    body = cleaning.clean(item.text, names=item.names)
    language = language_of(f"{title}\n{body}", declared=item.language)
    titles, bodies = split_sentences(title), split_sentences(body)
    if not titles and not bodies:
        return _Prepared(language, not_read="no text")
    sensitive = sensitive_matter(f"{title}\n{body}")
    if not language.validated:
        return _Prepared(
            language, not_read=f"language: {language.name}", sensitive=sensitive
        )
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
        language,
        tuple(first_and_last(titles)),
        tuple(read),
        notes=tuple(notes),
        sensitive=sensitive,
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


def _reading(
    item: TextToRead,
    text: SplitText,
    scores: _Logits,
    analyzer: Analyzer,
    brand_words: BrandWords,
) -> Reading:
    about = text.prepared
    if about.not_read:
        return Reading(
            families=None,
            valence=0.0,
            arousal=0.0,
            labels={},
            sentences=(),
            language=about.language.code,
            weight=0.0,
            not_read=about.not_read,
            notes=about.notes,
            sensitive=about.sensitive,
        )
    pooled = pool_text(text, scores)
    sentences = [
        sentence
        for window, share in zip(
            chain(text.title, text.body), pooled.shares, strict=True
        )
        for sentence in _sentences(window, scores[window.spelt], share)
    ]
    ruled, rules = _ruled(sentences, brand_words)
    left = 1.0 - float(ruled.sum())
    valence = left * pooled.valence + float(ruled @ VALENCE)
    doubted = _disagrees(item.rating, valence)
    return Reading(
        families=left * pooled.families + ruled,
        valence=valence,
        arousal=left * pooled.arousal + float(ruled @ AROUSAL),
        labels=_present(left * pooled.labels, analyzer.thresholds),
        sentences=tuple(sentences),
        language=about.language.code,
        weight=_DISAGREEMENT_WEIGHT if doubted else 1.0,
        not_read="",
        notes=(*about.notes, *rules, *((DISAGREEMENT,) if doubted else ())),
        sensitive=stronger(about.sensitive, _flagged(text, scores)),
    )


def _flagged(text: SplitText, scores: _Logits) -> Sensitive | None:
    """The sentence that the encoder itself finds most in need of a person.

    A sentence is asked by itself and with its window: half a sentence in a long
    cheerful message must not drown.
    """
    found: Sensitive | None = None
    for window in chain(text.title, text.body):
        parts = scores[window.spelt]
        own = _own_logits(window, parts)[:, len(LABELS) :]
        whole = parts.sum(axis=0)[len(LABELS) :]
        flags = pooling.probabilities(np.maximum(own, whole))
        sentence = window.shown[int(flags.max(axis=1).argmax())]
        found = stronger(found, flagged(sentence, *map(float, flags.max(axis=0))))
    return found


def _own_logits(window: Window, parts: FloatArray) -> FloatArray:
    """Logits of each sentence of a window: the mean over its own pieces."""
    sizes = np.array(window.sizes, np.float64)
    if not sizes.any():
        return parts * len(sizes)
    return np.asarray(parts * (sizes.sum() / np.maximum(sizes, 1.0))[:, None])


def pool_text(text: SplitText, scores: _Logits) -> pooling.PooledText:
    """Families, valence and arousal of a text, and how much each window counts."""
    title, body = (
        pooling.probabilities(
            np.array([scores[window.spelt].sum(axis=0) for window in part]).reshape(
                -1, OUTPUTS
            )[:, : len(LABELS)]
        )
        for part in (text.title, text.body)
    )
    return pooling.pool(title, body)


def _sentences(
    window: Window, parts: FloatArray, share: float
) -> list[SentenceReading]:
    sizes = np.array(window.sizes, np.float64)
    part = sizes / sizes.sum() if sizes.any() else np.full(len(sizes), 1 / len(sizes))
    own = _own_logits(window, parts)
    families = pooling.family_mix(pooling.probabilities(own[:, : len(LABELS)]))
    return [
        SentenceReading(shown, mix, float(share * size))
        for shown, mix, size in zip(window.shown, families, part, strict=True)
    ]


def _ruled(
    sentences: list[SentenceReading], brand_words: BrandWords
) -> tuple[FloatArray, list[str]]:
    """What the shop's own rules say: (9,), the share of the sentences that meet one.

    Sentences with a rule are replaced in the list by what the rule says of them.
    """
    ruled = np.zeros(len(FAMILIES))
    notes: dict[str, None] = {}
    for place, sentence in enumerate(sentences):
        for phrase, family in brand_words.found_in(sentence.text).items():
            if family == NAME:
                notes[f"“{phrase}” is read as a name"] = None
                continue
            notes[f"“{phrase}” is read as {family}, by a rule of this shop"] = None
            mix = np.zeros(len(FAMILIES))
            mix[FAMILIES.index(family)] = 1.0
            ruled += sentence.share * mix
            sentences[place] = SentenceReading(sentence.text, mix, sentence.share)
            break
    return ruled, list(notes)


def _disagrees(rating: float | None, valence: float) -> bool:
    """Low stars beside a pleased text. It may be sarcasm, which is not detected."""
    if rating is None or math.isnan(rating):
        return False
    return rating <= _LOW_RATING and valence > _PLEASED_VALENCE


def _present(labels: FloatArray, thresholds: FloatArray) -> dict[str, float]:
    present = np.flatnonzero(labels >= thresholds)
    strongest_first = sorted(present, key=lambda label: (-labels[label], label))
    return {LABELS[label]: float(labels[label]) for label in strongest_first}
