"""WordPiece, lower case, as the encoder was trained with: text → vocabulary ids.

The algorithm is greedy longest match first (Schuster and Nakajima 2012; Devlin et al.
2019, uncased): words split at white space, punctuation and CJK ideographs, accents off.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

MAX_PIECES: Final = 128  # [CLS] and [SEP] included; training saw 48
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
    """Turns sentences into ids. Holds a word cache and nothing else that changes."""

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        """vocabulary: piece → id. KeyError without [CLS], [SEP] or [UNK]."""
        self._ids = vocabulary
        self._first = vocabulary["[CLS]"]
        self._last = vocabulary["[SEP]"]
        self._unknown = vocabulary["[UNK]"]
        self._cache: dict[str, list[int]] = {}

    def encode(self, text: str) -> list[int]:
        """Ids of one sentence, [CLS] first, [SEP] last, at most `MAX_PIECES`."""
        ids = [self._first]
        for word in _words(text.lower()):
            ids += self._pieces(word)
            if len(ids) >= MAX_PIECES - 1:
                del ids[MAX_PIECES - 1 :]
                break
        ids.append(self._last)
        return ids

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
