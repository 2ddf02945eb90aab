"""The shop's own words: rules on the texts of this shop, and what they touch."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q

from segmentation.emotion.brand_words import (
    NAME,
    BrandWordRefused,
    BrandWords,
    as_read,
)
from segmentation.emotion.cleaning import clean, clean_title
from segmentation.errors import WordRefused
from segmentation.models import BrandWord, EmotionScore

CHUNK = 500
SAMPLED, SAMPLED_LEAST = 300, 50
EVERYDAY_SHARE = 0.3
_PLAIN_WORD = re.compile(r"[A-Za-z0-9]+")


def brand_words() -> BrandWords:
    """The rules in force."""
    return BrandWords(dict(BrandWord.objects.values_list("phrase", "family")))


def add_brand_word(*, phrase: str, family: str, by: Any, at: datetime) -> int:
    """A new rule; returns how many texts it touches. They are read again soon.

    Raises WordRefused for a phrase that is a rule already, that can't be one, or that
    is no word of this shop's own but stands in most texts.
    """
    phrase = as_read(phrase)
    try:
        BrandWords({**brand_words().rules, phrase: family})
    except BrandWordRefused as error:
        raise WordRefused(str(error)) from error
    _refuse_everyday_words(phrase)
    try:
        with transaction.atomic():
            BrandWord.objects.create(
                phrase=phrase,
                key=phrase.casefold(),
                family=family,
                added_by=by,
                added_at=at,
            )
    except IntegrityError as error:
        raise WordRefused(f"“{phrase}” is a rule already; remove it first.") from error
    return _read_again_soon(phrase)


def remove_brand_word(word: BrandWord) -> int:
    """The rule is gone; returns how many texts it touched."""
    phrase = word.phrase
    word.delete()
    return _read_again_soon(phrase)


def _refuse_everyday_words(phrase: str) -> None:
    """A rule on “the” would bend every reading, and mark every text within a click."""
    newest = EmotionScore.objects.order_by("-pk")
    rows = newest.values_list("interaction__subject", "interaction__text")[:SAMPLED]
    rule = BrandWords({phrase: NAME})
    sample = [f"{subject}\n{text}" for subject, text in rows]
    count = sum(1 for text in sample if rule.found_in(text))
    if len(sample) >= SAMPLED_LEAST and count > EVERYDAY_SHARE * len(sample):
        raise WordRefused(
            f"“{phrase}” stands in {count} of the newest {len(sample)} texts; a rule "
            "needs words that mean something of this shop."
        )


def _read_again_soon(phrase: str) -> int:
    """Mark as outdated: the next refresh reads them with the rules of then."""
    touched, marked = 0, []
    for pk in _scores_with(phrase):
        marked.append(pk)
        if len(marked) == CHUNK:
            touched += _mark(marked)
            marked = []
    return touched + _mark(marked)


def _mark(pks: list[int]) -> int:
    scores = EmotionScore.objects.filter(pk__in=pks, corrected=False)
    return scores.update(analyzer="")


def _scores_with(phrase: str) -> Iterator[int]:
    """Scores of texts that the phrase is found in, by the rule's own pattern.

    The database only narrows them down, by a word of plain letters: it folds others
    in its own way, or not at all.
    """
    rule = BrandWords({phrase: NAME})
    scores = EmotionScore.objects.filter(corrected=False)
    plain = max(_PLAIN_WORD.findall(phrase), key=len, default="")
    if plain:
        scores = scores.filter(
            Q(interaction__text__icontains=plain)
            | Q(interaction__subject__icontains=plain)
        )
    rows = scores.values_list("pk", "interaction__subject", "interaction__text")
    for pk, subject, text in rows.iterator(chunk_size=CHUNK):
        if rule.found_in(f"{clean_title(subject)}\n{clean(text)}"):
            yield pk
