"""Which language a text is in, from small evidence: scripts, small words, endings.

The classifier was validated on English alone and calls everything else a confident
neutral, so what is not English is named and not scored. Built to decide "English or
not"; among close relatives (Danish and Norwegian, Catalan and Spanish) the name given
is the nearest one on the list.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Final

from segmentation.emotion.function_words import NAMES, WORDS

VALIDATED: Final = frozenset({"en"})
UNRECOGNISED: Final = "und"  # ISO 639-2 for "undetermined"

_READ_AT_MOST_CHARS: Final = 4_000  # more adds no evidence
_TOKEN: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_NO_LANGUAGE: Final = frozenset({"und", "mul", "zxx", "mis", "c", "posix"})

# Endings and letters of languages written in Latin letters; each word shows one once.
_TRACES: Final = tuple(
    (language, re.compile(pattern))
    for language, pattern in (
        ("es", r"ñ|ción$|ciones$|[áéíóú]s?$|mente$|^ll"),
        ("pt", r"ã|õ|ção$|ções$|nh[oa]s?$|lh[oa]s?$"),
        ("fr", r"ç|œ|[èêû]|eux$|euse$|ement$|^[dlnjsmtcq]['’]|ées?$"),
        ("de", r"ß|ä|ö|ü|ungen$|keit$|lich$|isch$|^gesch|^sch"),
        ("it", r"zione$|zioni$|[àìòù]$|issim[oaie]$|gli|cch"),
        ("nl", r"ij|aa[a-z]|uu|sch[a-z]|^ge.+[dt]$|eer?d$"),
        ("sv", r"å|ä|ö|skt?$"),
        ("da", r"æ|ø|å"),
        ("no", r"æ|ø|å|skj|kjø"),
        ("fi", r"ä|ö|yy|ssa$|ssä$|lla$|nen$|kk|uu"),
        ("pl", r"ą|ę|ł|ś|ż|ź|ć|ń|sz|cz|rz|owie$"),
        ("cs", r"ř|ě|ů|š|č|ž|ý"),
        ("hu", r"ő|ű|á|é|gy|sz|ny"),
        ("ro", r"ă|ș|ț|ş|ţ|â|î"),
        ("tr", r"ı|ğ|ş|lar$|ler$|yor"),
        ("id", r"^mem|^ber|^meng|nya$"),
    )
)
_TRACE_WEIGHT: Final = 0.5
_ENGLISH: Final = frozenset(word for word, codes in WORDS.items() if "en" in codes)
_ENGLISH_SHARE_LEAST: Final = 0.06  # 1st percentile of English reviews is above 0.15
_WORDS_TO_BE_SURE: Final = 8

_SCRIPTS: Final = (
    # (first code point, last, script)
    (0x0370, 0x03FF, "Greek"),
    (0x0400, 0x052F, "Cyrillic"),
    (0x0590, 0x05FF, "Hebrew"),
    (0x0600, 0x077F, "Arabic"),
    (0x0900, 0x097F, "Devanagari"),
    (0x0E00, 0x0E7F, "Thai"),
    (0x3040, 0x30FF, "Kana"),
    (0x3400, 0x9FFF, "Han"),
    (0x1100, 0x11FF, "Hangul"),
    (0xAC00, 0xD7AF, "Hangul"),
)
_BY_SCRIPT: Final = {
    "Greek": "el",
    "Hebrew": "he",
    "Devanagari": "hi",
    "Thai": "th",
    "Kana": "ja",
    "Hangul": "ko",
}


@dataclass(frozen=True, slots=True)
class Language:
    """code: ISO 639-1, or `und`. certain: the text itself showed it."""

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
    language, else English; a long one without any known word is `und`.
    """
    text = text[:_READ_AT_MOST_CHARS]
    assumed = _code(declared) or "en"
    letters = sum(char.isalpha() for char in text)
    if not letters:  # figures and emoji are in no language
        return Language("en", certain=False)
    foreign = _by_script(text, letters)
    if foreign:
        return Language(foreign, certain=True)
    return _by_words(_tokens(text), assumed)


def _tokens(text: str) -> list[str]:
    """Words in lower case, without codes such as DEN or EL: they are in no language."""
    found = _TOKEN.findall(text)
    if not text.isupper():
        found = [word for word in found if len(word) == 1 or not _is_code(word)]
    return [word.lower().replace("’", "'") for word in found]


def _is_code(word: str) -> bool:
    return len(word) <= 4 and word.isupper() and word.lower() not in _ENGLISH


def _by_words(tokens: Sequence[str], assumed: str) -> Language:
    english, others, other_words = 0.0, defaultdict[str, float](float), 0.0
    for token in tokens:
        known = WORDS.get(token, ())
        if "en" in known:
            english += 1.0 / len(known)
        elif known:
            other_words += 1.0 if len(token) > 1 else 0.0
        else:
            other_words += _add_traces(token, others)
        for code in known:
            if code != "en":
                others[code] += 1.0 / len(known)
    count = len(tokens)
    few = count < _WORDS_TO_BE_SURE
    enough = other_words >= 2.0 or (other_words >= 1.0 and count <= 3)
    if enough and other_words > 1.5 * english + (0.0 if few else 0.5):
        return Language(_strongest(others), certain=True)
    if not few and english < _ENGLISH_SHARE_LEAST * count:
        return Language(UNRECOGNISED if assumed == "en" else assumed, certain=False)
    if english >= 1.0 or (not few and english > other_words):
        return Language("en", certain=True)
    return Language(assumed, certain=False)


def _add_traces(token: str, others: MutableMapping[str, float]) -> float:
    """Count what an unknown word shows; return its weight against English.

    Endings are shared with English names and loans (Schiphol, quickly made up words),
    letters beyond a-z are not, so only the latter speak against English.
    """
    for code, pattern in _TRACES:
        if pattern.search(token):
            others[code] += _TRACE_WEIGHT / 2
    return 0.0 if token.isascii() else _TRACE_WEIGHT


def _strongest(others: Mapping[str, float]) -> str:
    # Equal scores: the order of NAMES, so that the answer never depends on a hash.
    return max(NAMES, key=lambda code: others.get(code, 0.0))


def _by_script(text: str, letters: int) -> str:
    """The language if most letters are not Latin, else ""."""
    scripts: Counter[str] = Counter()
    if text.isascii():
        return ""
    for char in text:
        code = ord(char)
        if code < 0x0370 or not char.isalpha():
            continue
        for first, last, script in _SCRIPTS:
            if first <= code <= last:
                scripts[script] += 1
                break
        else:
            if not unicodedata.name(char, "").startswith(("LATIN", "MATHEMATICAL")):
                scripts["other"] += 1
    # One ideograph says as much as a whole word in Latin letters.
    weight = {"Han": 3, "Kana": 3, "Hangul": 2}
    weighted = sum(number * weight.get(name, 1) for name, number in scripts.items())
    if weighted * 2 <= letters - scripts.total() + weighted:
        return ""
    return _code_of_script(max(scripts, key=lambda name: scripts[name]), scripts, text)


def _code_of_script(script: str, scripts: Counter[str], text: str) -> str:
    lowered = text.lower()
    if script == "Cyrillic":
        if any(char in lowered for char in "іїєґ"):
            return "uk"
        return "ru"
    if script == "Arabic":
        return "fa" if any(char in lowered for char in "پچژگ") else "ar"
    if script == "Han":
        return "ja" if scripts["Kana"] else "zh"
    return _BY_SCRIPT.get(script, UNRECOGNISED)


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
