"""Texts that are too like each other: near-duplicates and templates with filled slots.

Two texts are alike if most of their words come in the same order: the longest common
subsequence of words, divided by the words of the longer text. A template with other
nouns, numbers and names keeps its frame and is found by it; two messages about the same
matter in other words are not.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

ALIKE: Final = 0.6
"""From here on two training texts count as one."""

CLOSE: Final = 0.5
"""A training text this like one of the development set is refused."""

_SHORT_WORDS: Final = 6  # shorter texts share frames by chance: "where is my order"
_SHORT_ALIKE: Final = 0.8
_SHINGLE: Final = 3
_WORD: Final = re.compile(r"[\w']+|[^\w\s]")
_PUNCTUATION: Final = re.compile(r"[^\w\s]+")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts by their place in the list, and how alike they are."""

    first: int
    second: int
    likeness: float


def words(text: str) -> list[str]:
    """Lower-case words; a text of marks and emoji alone keeps those."""
    found = [word for word in _WORD.findall(text.lower()) if word[0].isalnum()]
    return found or _WORD.findall(text.lower())


def likeness(first: Sequence[str], second: Sequence[str]) -> float:
    """Longest common subsequence over the longer length, 0 to 1."""
    longer = max(len(first), len(second))
    return _common(first, second) / longer if longer else 1.0


def alike_within(texts: Sequence[str], *, least: float = ALIKE) -> list[Pair]:
    """Every pair of texts that are too like each other, the later one second."""
    split = [words(text) for text in texts]
    pairs = _candidates(split, range(len(split)))
    return _judged(split, split, pairs, least)


def alike_between(
    texts: Sequence[str], others: Sequence[str], *, least: float = CLOSE
) -> list[Pair]:
    """Pairs of a text (first) and one of the others (second) that are too alike."""
    split = [words(text) for text in texts]
    apart = [words(text) for text in others]
    both = split + apart
    pairs = {
        (first, second - len(split))
        for first, second in _candidates(both, range(len(both)))
        if first < len(split) <= second
    }
    return _judged(split, apart, pairs, least)


def _judged(
    texts: Sequence[Sequence[str]],
    others: Sequence[Sequence[str]],
    pairs: Iterable[tuple[int, int]],
    least: float,
) -> list[Pair]:
    found = []
    for first, second in sorted(pairs):
        shorter = min(len(texts[first]), len(others[second]))
        line = max(least, _SHORT_ALIKE) if shorter < _SHORT_WORDS else least
        measure = likeness(texts[first], others[second])
        if measure >= line:
            found.append(Pair(first, second, measure))
    return found


def _candidates(
    split: Sequence[Sequence[str]], rows: Iterable[int]
) -> set[tuple[int, int]]:
    """Pairs that share two runs of three words, or all words of a short text."""
    holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for row in rows:
        found = split[row]
        grams = {
            tuple(found[at : at + _SHINGLE]) for at in range(len(found) - _SHINGLE + 1)
        }
        if len(found) < _SHORT_WORDS:
            grams = {(word,) for word in found} | {tuple(found)}
        for gram in grams:
            holders[gram].append(row)
    shared: dict[tuple[int, int], int] = defaultdict(int)
    for found_in in holders.values():
        for place, first in enumerate(found_in):
            for second in found_in[place + 1 :]:
                key = (min(first, second), max(first, second))
                shared[key] += 2 if len(split[first]) < _SHORT_WORDS else 1
    return {pair for pair, count in shared.items() if count >= 2}


def _common(first: Sequence[str], second: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    if len(second) > len(first):
        first, second = second, first
    row = [0] * (len(second) + 1)
    for word in first:
        diagonal = 0
        for at, other in enumerate(second, start=1):
            above = row[at]
            row[at] = diagonal + 1 if word == other else max(above, row[at - 1])
            diagonal = above
    return row[-1]
