"""Raw text → the customer's own words: markup, quotes, signatures and names taken away.

Nothing here fails on bad text, and every pattern runs in linear time: the input comes
from anyone who can write an email.
"""

import html
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

MAX_HEAD_CHARS: Final = 75_000  # 40 sentences of 500 characters are 20,000
MAX_TAIL_CHARS: Final = 25_000
LONGEST_TOKEN_CHARS: Final = 100  # WordPiece calls a longer word unknown
MASK: Final = "PERSON"

_INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200c\u200e\u200f"
    "\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffd\U000e0000-\U000e007f]"
)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_DRESSED: Final = re.compile("[\U0001d400-\U0001d7ff\uff01-\uff5e]+")
_BLANK: Final = re.compile(r"[^\S\n]+")

# An unclosed element runs to the end, as in a browser; that also keeps this linear.
_HIDDEN: Final = re.compile(
    r"<(script|style|head|title)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)", re.I | re.S
)
_BLOCK_TAG: Final = re.compile(
    r"</?(?:p|div|br|hr|li|ul|ol|tr|table|tbody|thead|td|th|h[1-6]|section|article|body|html|pre)"
    r"(?:\s[^<>]{0,2000})?/?>",
    re.I,
)
_QUOTE_TAG: Final = re.compile(r"<blockquote\b.*?(?:</blockquote\s*>|\Z)", re.I | re.S)
_INLINE_TAG: Final = re.compile(
    r"</?(?:a|abbr|b|big|center|code|em|font|i|img|ins|del|mark|o:p|q|s|small|span|strike"
    r"|strong|sub|sup|u|tt|meta|link|input|button|label|form|blockquote)"
    r"(?:\s[^<>]{0,2000})?/?>",
    re.I,
)

_ADDRESS: Final = re.compile(
    r"(?:https?://|www\.)\S+|\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+"
    r"|\b[a-z0-9-]{2,63}\.(?:com|org|net|co\.uk|io|de)\b(?:/\S*)?",
    re.I,
)
_HANDLE: Final = re.compile(r"(?<![\w@])@\w{1,50}")
_ENDLESS: Final = re.compile(rf"[\w!-~]{{{LONGEST_TOKEN_CHARS + 1},}}")
_REPEATED: Final = re.compile(r"([^\w\s])\1{3,}")

_ATTRIBUTION: Final = re.compile(
    r"^[ \t]*(?:"
    r"On\b[^\n]{4,200}(?:\n[^\n]{0,120}){0,2}\bwrote:"
    r"|(?:El|Le|Am|Il|Em|Op)\b[^\n]{4,200}(?:escribió|a écrit|schrieb[^\n]{0,80}"
    r"|ha scritto|escreveu|schreef[^\n]{0,80})\s?:"
    r"|-{2,}[ \t]*(?:Original|Forwarded|Urspr)[^\n]{0,60}"
    r"|_{8,}[ \t]*\n+[ \t]*From:[^\n]*"
    r"|\*?From:[^\n]{3,200}\n+[ \t]*\*?(?:Sent|Date|To):[^\n]*"
    r"|\d[^\n]{4,200}(?:\n[^\n]{0,120})?(?:написала?|пишет):"
    r")[ \t]*$",
    re.I | re.M,
)
_QUOTED_LINE: Final = re.compile(r"^[ \t]*>(?![_.]?<).*$", re.M)
_DEVICE: Final = re.compile(
    r"^[ \t]*(?:Sent (?:from|via|with)|Get Outlook for|Envoyé de|Von meinem)\b.{0,80}$",
    re.I | re.M,
)
_SIGNATURE_RULE: Final = re.compile(r"^(?:--|—|__+) ?$", re.M)
_SIGN_OFF: Final = re.compile(
    r"^[ \t]*(?:(?:with )?(?:best|kind|warm|many)?[ \t]*(?:regards|wishes|thanks)"
    r"|best|cheers|thanks|thank you|thx|sincerely|yours"
    r"|yours (?:sincerely|faithfully|truly)"
    r"|all the best|love|xx?|br|kr)[ \t]*[,.!\-–—]*[ \t]*$",
    re.I | re.M,
)
_SIGNATURE_LINES: Final = 6
_SIGNATURE_LINE_CHARS: Final = 60
_REPLY_PREFIX: Final = re.compile(r"^(?:\s*(?:re|fwd?|aw|sv|tr|antw)\s*:)+\s*", re.I)

_NAME: Final = r"[^\W\d_a-zà-öø-ÿ][^\W\d_]*(?:['’-][^\W\d_]+)*\.?"
_NAMES: Final = rf"{_NAME}(?:[ \t]+{_NAME}){{0,2}}"
_SALUTATION: Final = re.compile(
    rf"(\A\W*|\n[ \t]*)((?i:dear|hi|hello|hey|good (?:morning|afternoon|evening)))"
    rf"([ \t]+)({_NAMES})(?=\s*(?:[,!:;–—-]|\n|\.\s))"
)
_GREETING_LINE: Final = re.compile(
    r"\A\W*(?:dear|hi|hello|hey|good (?:morning|afternoon|evening))"
    r"(?:[ \t]+[^\s,!.:?]{1,40}){0,3}[ \t]*[,!.:–—-]?[ \t]*\n+(?=\s*\S)",
    re.I,
)
_TITLED: Final = re.compile(rf"\b(Mr|Mrs|Ms|Miss|Dr|Prof|Sir|Madam)\b\.?[ \t]+{_NAME}")
_INLINE_SIGN_OFF: Final = re.compile(
    rf"(\b(?i:regards|sincerely|cheers|thanks|thank you|best|wishes|love),[ \t]*)"
    rf"{_NAMES}(?=\s*\Z)"
)
_DASHED_NAME: Final = re.compile(rf"(?<=\S)\s*\n[-–—~]{{1,2}}{_NAMES}\s*\Z")
_NOT_A_NAME: Final = frozenset(
    "sir madam team support service customer customers all everyone everybody there "
    "folks guys friend friends sirs again person manager i".split()
)
# First names that are everyday words in lower case; masked only where capitalised.
_EVERYDAY: Final = frozenset(
    "will may mark joy hope grace rose rich bill art faith dawn june april august "
    "summer autumn amber crystal angel gene frank jack pat rob sue drew chase chance "
    "hunter mason earnest ernest max ray dean grant wade cliff forest heather holly "
    "ivy jade lily melody misty olive pearl penny ruby sandy star sunny iris ginger "
    "love young long short white black brown green king price good best wise bright "
    "day hand case page stone wood rice reed bush field ford lane park street church "
    "bell ball bird fox wolf cook baker carter miller smith taylor mason gray grey "
    "van de la le so an do my you no he she an on in at to".split()
)
_REPEATED_MASK: Final = re.compile(rf"\b{MASK}(?:[ \t]+{MASK})+\b")


def clip(text: str) -> str:
    """At most the first 75,000 and the last 25,000 characters of a text."""
    if len(text) <= MAX_HEAD_CHARS + MAX_TAIL_CHARS:
        return text
    return text[:MAX_HEAD_CHARS] + "\n" + text[-MAX_TAIL_CHARS:]


def clean(text: str, *, names: Sequence[str] = ()) -> str:
    """The customer's own words in a message, lines kept.

    names: of the customer and of staff, first and last; each becomes PERSON, as do the
    names after a salutation, a title or a sign-off. Emoji stay (see `spell_emoji`).
    Read at most `clip(text)`. Returns "" if nothing of their own is left.
    """
    text = _plain(clip(text))
    text = _without_quotes(text)
    text = _without_signature(text)
    return _finished(text, names)


def clean_title(title: str, *, names: Sequence[str] = ()) -> str:
    """A subject line or review title on one line, without "Re:" and "Fwd:"."""
    text = _REPLY_PREFIX.sub("", _plain(clip(title)).strip())
    return " ".join(_finished(text, names).split())


def _plain(text: str) -> str:
    """Decode entities, drop tags and what can't be seen."""
    text = _SURROGATE.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = text.replace("\u2028", "\n").replace("\u2029", "\n").replace("\x85", "\n")
    for _ in range(2):  # twice, for "&amp;#34;"
        if "&" in text:
            text = html.unescape(text)
    text = _SURROGATE.sub(" ", text)
    if "<" in text:
        text = _QUOTE_TAG.sub("\n", _HIDDEN.sub(" ", text))
        text = _INLINE_TAG.sub("", _BLOCK_TAG.sub("\n", text))
    text = _INVISIBLE.sub("", text)
    if not text.isascii():
        text = _DRESSED.sub(
            lambda found: unicodedata.normalize("NFKC", found.group()), text
        )
        text = text.replace("‘", "'").replace("’", "'")
        text = text.replace("“", '"').replace("”", '"')
    return _BLANK.sub(" ", text)


def _without_quotes(text: str) -> str:
    found = _ATTRIBUTION.search(text)
    while found:
        after = text[found.end() :].lstrip("\n ")
        if after.startswith(">") or not text[: found.start()].strip():
            # Answers below or between the quoted lines are theirs: keep what follows.
            text = text[: found.start()] + "\n" + text[found.end() :]
            found = _ATTRIBUTION.search(text, found.start())
        else:
            text = text[: found.start()]
            found = None
    return _QUOTED_LINE.sub("", text)


def _without_signature(text: str) -> str:
    text = _DEVICE.sub("", text)
    rule = _SIGNATURE_RULE.search(text)
    if rule and text[: rule.start()].strip():
        text = text[: rule.start()]
    for found in reversed(list(_SIGN_OFF.finditer(text))):
        below = [line for line in text[found.end() :].split("\n") if line.strip()]
        short = all(len(line) <= _SIGNATURE_LINE_CHARS for line in below)
        if len(below) <= _SIGNATURE_LINES and short and text[: found.start()].strip():
            # A formula, not a feeling: "Thanks," under a complaint is no gratitude.
            text = text[: found.start()]
        break
    return text


def _finished(text: str, names: Sequence[str]) -> str:
    text = _ADDRESS.sub(" ", text)
    text = _HANDLE.sub(" ", text)
    text = _REPEATED.sub(r"\1\1\1", text)
    text = _ENDLESS.sub(" ", text)
    text = _GREETING_LINE.sub("", _masked(text, names))
    text = re.sub(r" *\n *", "\n", _BLANK.sub(" ", text))
    return text.strip()


def _masked(text: str, names: Sequence[str]) -> str:
    text = _SALUTATION.sub(_mask_salutation, text)
    text = _TITLED.sub(rf"\1 {MASK}", text)
    text = _INLINE_SIGN_OFF.sub(rf"\1{MASK}", text)
    text = _DASHED_NAME.sub("", text)
    pattern = _names_pattern(tuple(names))
    if pattern:
        text = pattern.sub(MASK, text)
    return _REPEATED_MASK.sub(MASK, text)


def _mask_salutation(found: re.Match[str]) -> str:
    if found[4].split()[0].rstrip(".").casefold() in _NOT_A_NAME:
        return found[0]
    return f"{found[1]}{found[2]}{found[3]}{MASK}"


@lru_cache(maxsize=4096)
def _names_pattern(names: tuple[str, ...]) -> re.Pattern[str] | None:
    """Each name as written, Capitalised, UPPER and, unless an everyday word, lower."""
    forms: set[str] = set()
    for name in _name_words(names):
        forms |= {name, name.capitalize(), name.upper(), name.title()}
        if name.casefold() not in _EVERYDAY:
            forms.add(name.lower())
    # Never masked in lower case, even if the history writes all names that way.
    forms -= _EVERYDAY
    if not forms:
        return None
    longest_first = sorted(forms, key=lambda form: (-len(form), form))
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")


def _name_words(names: Iterable[str]) -> list[str]:
    plain = (_INVISIBLE.sub("", _SURROGATE.sub("", name)) for name in names)
    words = (word.strip(".,'\"()") for name in plain for word in name[:200].split())
    return [word.replace("’", "'") for word in words if len(word) >= 2]


def spell_emoji(sentence: str) -> str:
    """A sentence as the model learnt to read it: each emoji by its Unicode name.

    Skin tones, joiners and flags are dropped; at most three of the same in a row count.
    """
    if sentence.isascii():
        return sentence
    spelt = [_spelt(char) for char in sentence]
    return " ".join("".join(spelt).split())


# Names of code points that say another thing than what everybody means by them:
# "pouting", "look of triumph", "serious face with symbols covering mouth"; and one that
# says it so shortly, "angry", that it is hardly read when it stands alone.
_MISNAMED: Final = {
    "\U0001f620": " very angry ",
    "\U0001f621": " very angry ",
    "\U0001f92c": " very angry ",
    "\U0001f624": " annoyed ",
}


@lru_cache(maxsize=4096)
def _spelt(char: str) -> str:
    code = ord(char)
    if code < 0x2000:
        return char
    if char in _MISNAMED:
        return _MISNAMED[char]
    if code in (0x200D, 0xFE0E, 0xFE0F, 0x2640, 0x2642) or 0x1F3FB <= code <= 0x1F3FF:
        return ""
    if 0x1F1E6 <= code <= 0x1F1FF:
        return " "
    symbol = unicodedata.category(char) in ("So", "Sk")
    pictured = code >= 0x1F000 or 0x2600 <= code <= 0x27BF or 0x2B00 <= code <= 0x2BFF
    if not (symbol and pictured):
        return char
    name = unicodedata.name(char, "").lower()
    return f" {name.replace('face', '').replace('sign', '')} "
