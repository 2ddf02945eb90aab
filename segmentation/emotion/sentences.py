"""A cleaned text → its sentences, at most forty."""

import re
from typing import Final

FIRST: Final = 30
LAST: Final = 10
LONGEST_SENTENCE_CHARS: Final = 400  # about 90 word pieces; the model reads 128

_BULLET: Final = re.compile(r"^\s*(?:[-*•·–—▪◦]|\(?\d{1,2}[.)]|\(?[a-h]\))\s+")
_WRAPPED_LINE_CHARS: Final = 55  # a shorter line was ended on purpose
_END: Final = re.compile(
    r"""(?<=[a-z]{2})[.!?](?=[A-Z][a-z])      # "battery life.Bottom line"
      | [.!?…]+["')\]]*(?=\s)                # an end and a space,
        (?:\ +[:;=8]['-]?[()\[\]DPpO/\\|*3]{1,5}(?!\w))*  # with the smileys after it
      | [。！？]+""",
    re.X,
)
_ABBREVIATIONS: Final = frozenset(
    "mr mrs ms dr prof st nos vs etc e.g i.e eg ie approx inc ltd co corp jr sr "
    "dept fig est tel ext ave blvd rd jan feb mar apr jun jul aug sep sept oct nov "
    "dec mon tue wed thu fri sat sun a.m p.m u.s u.k ref nr art vol ca cf al min "
    "max".split()
)
# These may also end a sentence: then a capital follows.
_MAY_END: Final = frozenset(
    "etc a.m p.m u.s u.k inc ltd co sun sat art min max".split()
)
_LAST_WORD: Final = re.compile(r"[\w.]+$")
_HAS_WORD: Final = re.compile(
    r"[^\W_]|[\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]"
)


def split_sentences(text: str) -> list[str]:
    """All sentences of a cleaned text in order; none is empty or longer than 400.

    Splits at the ends of sentences, at line ends that are not mere wrapping and at list
    items, not at abbreviations, initials, prices and decimals. What has no letter,
    figure or emoji, such as "!!", joins the sentence before it.
    """
    found: list[str] = []
    for line in _logical_lines(text):
        for piece in _pieces(line):
            if _HAS_WORD.search(piece):
                found.extend(_chunks(piece))
            elif found and len(found[-1]) + len(piece) < LONGEST_SENTENCE_CHARS:
                found[-1] = f"{found[-1]} {piece}"
    return found


def first_and_last(sentences: list[str]) -> list[str]:
    """The first 30 and the last 10 of more than 40 sentences; else all of them."""
    if len(sentences) <= FIRST + LAST:
        return sentences
    return sentences[:FIRST] + sentences[-LAST:]


def _logical_lines(text: str) -> list[str]:
    """Lines as meant: what a mail program wrapped is one again, list marks are off."""
    lines: list[list[str]] = []
    unended = wrapped = False
    for raw in text.split("\n"):
        line = raw.strip()
        if not line:
            unended = wrapped = False
            continue
        item = _BULLET.sub("", line)
        if item == line and (wrapped or (unended and line[0].islower())):
            lines[-1].append(line)
        else:
            lines.append([item])
        unended = line[-1] not in ".!?:"
        wrapped = unended and len(line) >= _WRAPPED_LINE_CHARS
    return [" ".join(parts) for parts in lines]


def _pieces(line: str) -> list[str]:
    pieces, start = [], 0
    for end in _END.finditer(line):
        if _ends_sentence(line, start, end):
            pieces.append(line[start : end.end()].strip())
            start = end.end()
    pieces.append(line[start:].strip())
    return [piece for piece in pieces if piece]


def _ends_sentence(line: str, start: int, end: re.Match[str]) -> bool:
    mark = end.group().split(" ", 1)[0].rstrip("\"')]")
    following = line[end.end() : end.end() + 2].lstrip()[:1]
    if mark in ("...", "..", "…"):
        return not following.islower()
    if mark != ".":
        return True
    word = _LAST_WORD.search(line, max(start, end.start() - 30), end.start())
    last = word.group().lower() if word else ""
    if last == "no":
        return not following.isdigit()  # "No. 7"
    if last in _ABBREVIATIONS:
        return last in _MAY_END and following.isupper()
    if len(last) == 1 and last.isalpha() and last != "i":
        return False  # an initial
    return not (last.isdigit() and start == end.start() - len(last))  # "1. Late"


def _chunks(sentence: str) -> list[str]:
    """Cut what is too long for the model at the last comma or space that fits."""
    chunks = []
    while len(sentence) > LONGEST_SENTENCE_CHARS:
        window = sentence[:LONGEST_SENTENCE_CHARS]
        half = LONGEST_SENTENCE_CHARS // 2
        cut = max(window.rfind(mark, half) + 1 for mark in (",", ";", " - "))
        cut = cut or window.rfind(" ", half) + 1 or LONGEST_SENTENCE_CHARS
        chunks.append(sentence[:cut].strip())
        sentence = sentence[cut:].strip()
    return [*chunks, sentence] if sentence else chunks
