"""WordPiece, lower case, as the encoder was trained with: text → vocabulary ids.

The algorithm is greedy longest match first (Schuster and Nakajima 2012; Devlin et al.
2019, uncased): words split at white space, punctuation and CJK ideographs, accents off.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

MAX_PIECES: Final = 128  # [CLS], the marker and [SEP] included
CUSTOMER_MARK: Final = "[unused0]"
"""Second piece of every text that a customer wrote: it tells the encoder that this is
no Reddit comment, whose annotators called "third mail, still nothing" neutral."""

_FRAME: Final = 3
_LONGEST_WORD_CHARS: Final = 100  # a longer word is [UNK], as in the reference
_CACHED_WORDS: Final = 50_000
_ASCII_WORD: Final = re.compile(r"[a-z0-9]+|[^\sa-z0-9\x00-\x1f\x7f]")
_CJK: Final = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2FA1F),
)


class WordPiece:
    """Turns sentences into ids. Holds a word cache and nothing else that changes.

    customer_mark: the id of the marker of a customer's text.
    """

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        """vocabulary: piece → id. KeyError without a frame piece."""
        self._ids = vocabulary
        self._first = vocabulary["[CLS]"]
        self._last = vocabulary["[SEP]"]
        self._unknown = vocabulary["[UNK]"]
        self.customer_mark = vocabulary[CUSTOMER_MARK]
        self._cache: dict[str, list[int]] = {}

    def encode(self, text: str) -> list[int]:
        """Ids of one sentence, [CLS] first, [SEP] last, at most `MAX_PIECES`."""
        return self.framed(self.pieces(text))

    def pieces(self, text: str) -> list[int]:
        """Ids of a part without its frame, at most `MAX_PIECES` - 3.

        Words are cut one by one: the pieces of two parts, one after the other, are the
        pieces of both parts with a space between.
        """
        ids: list[int] = []
        for word in _words(text.lower()):
            ids += self._pieces(word)
            if len(ids) >= MAX_PIECES - _FRAME:
                return ids[: MAX_PIECES - _FRAME]
        return ids

    def framed(self, ids: list[int], *, customer: bool = False) -> list[int]:
        """Between [CLS] and [SEP]; a customer's text comes after its marker."""
        marker = [self.customer_mark] if customer else []
        return [self._first, *marker, *ids, self._last]

    def length(self, text: str) -> int:
        """Number of pieces of a part."""
        return len(self.pieces(text))

    def _pieces(self, word: str) -> list[int]:
        found = self._cache.get(word)
        if found is None:
            found = self._longest_matches(word)
            if len(self._cache) >= _CACHED_WORDS:
                self._cache.clear()
            self._cache[word] = found
        return found

    def _longest_matches(self, word: str) -> list[int]:
        if len(word) > _LONGEST_WORD_CHARS:
            return [self._unknown]
        pieces: list[int] = []
        start = 0
        while start < len(word):
            for end in range(len(word), start, -1):
                piece = word[start:end] if start == 0 else "##" + word[start:end]
                if piece in self._ids:
                    pieces.append(self._ids[piece])
                    start = end
                    break
            else:
                return [self._unknown]
        return pieces


def _words(text: str) -> list[str]:
    if text.isascii():
        return _ASCII_WORD.findall(text)
    spaced: list[str] = []
    for char in unicodedata.normalize("NFD", text):
        category = unicodedata.category(char)
        if char.isspace():
            spaced.append(" ")
        elif category in ("Mn", "Cc", "Cf", "Cs") or char == "\ufffd":
            continue
        elif _stands_alone(char, category):
            spaced.append(f" {char} ")
        else:
            spaced.append(char)
    return "".join(spaced).split()


def _stands_alone(char: str, category: str) -> bool:
    code = ord(char)
    if code < 128:
        return not char.isalnum()
    return category[0] == "P" or any(low <= code <= high for low, high in _CJK)
