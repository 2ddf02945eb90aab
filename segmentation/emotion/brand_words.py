"""Words that mean something else in this shop: names of products, words of the trade.

"Killer Queen" is a string set, "Grief Relief" a tea: such names are read as a plain
name. And a shop may know better what a word says: "slaps" is joy among its customers.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from segmentation.emotion.cleaning import clean_title, spell_emoji
from segmentation.emotion.families import FAMILIES

LONGEST_CHARS: Final = 80
MOST: Final = 500
NAME: Final = ""
"""Stands for "only a name": read as the word below, whatever the name says."""

_PLACEHOLDER: Final = "product"
_WORD: Final = re.compile(r"\S+")


class BrandWordRefused(ValueError):
    """A phrase that can't be a rule; says why."""


@dataclass(frozen=True)
class BrandWords:
    """rules: phrase → `NAME` or the family it reads as. Case makes no difference."""

    rules: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.rules) > MOST:
            raise BrandWordRefused(
                f"At most {MOST} brand words, got {len(self.rules)}."
            )
        for phrase, family in self.rules.items():
            if len(phrase) > LONGEST_CHARS:
                raise BrandWordRefused(
                    f"A brand word has at most {LONGEST_CHARS} characters, "
                    f"{phrase[:20]!r}… has {len(phrase)}."
                )
            if not any(char.isalnum() for char in as_read(phrase)):
                raise BrandWordRefused(
                    f"A brand word needs a letter or figure, got {phrase!r}."
                )
            if family != NAME and family not in FAMILIES:
                raise BrandWordRefused(
                    f"{family!r} is no family; one of: {', '.join(FAMILIES)}."
                )

    @cached_property
    def digest(self) -> str:
        """Six hex digits that change with any rule; "" without rules."""
        if not self.rules:
            return ""
        listed = sorted((as_read(one), family) for one, family in self.rules.items())
        return hashlib.sha256(repr(listed).encode()).hexdigest()[:6]

    @cached_property
    def _pattern(self) -> re.Pattern[str] | None:
        """A group per phrase, the longest first: which one it was is never asked of
        the text, where "İ" and "ı" match an "i" that they do not fold to."""
        if not self.rules:
            return None
        phrases = (
            f"(?P<w{place}>{_loose(phrase)})"
            for place, (phrase, _) in enumerate(self._longest_first)
        )
        return re.compile(rf"(?<!\w)(?:{'|'.join(phrases)})(?!\w)", re.IGNORECASE)

    @cached_property
    def _longest_first(self) -> list[tuple[str, str]]:
        rules = [(as_read(phrase), family) for phrase, family in self.rules.items()]
        return sorted(rules, key=lambda rule: (-len(rule[0]), rule[0]))

    def spelt(self, sentence: str) -> list[tuple[str, str]]:
        """A sentence as words: each as shown, and as the model is to read it."""
        words: list[tuple[str, str]] = []
        start = 0
        for found in self._pattern.finditer(sentence) if self._pattern else ():
            words += _plain(sentence[start : found.start()])
            words.append((found[0], _PLACEHOLDER))
            start = found.end()
        return words + _plain(sentence[start:])

    def found_in(self, sentence: str) -> dict[str, str]:
        """Rules that this sentence meets: phrase as written → `NAME` or family."""
        if not self._pattern:
            return {}
        return {
            found[0]: self._longest_first[int((found.lastgroup or "w0")[1:])][1]
            for found in self._pattern.finditer(sentence)
        }


NO_BRAND_WORDS: Final = BrandWords()


def as_read(phrase: str) -> str:
    """A phrase as cleaning leaves it in a text: "Tom’s" is "Tom's"."""
    return clean_title(phrase)


def _plain(text: str) -> list[tuple[str, str]]:
    return [(word, spell_emoji(word)) for word in _WORD.findall(text)]


def _loose(phrase: str) -> str:
    return r"\s+".join(map(re.escape, phrase.split()))
