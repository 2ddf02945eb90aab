"""The words of a block: paragraphs, lists and **bold**, and nothing else.

Paragraphs stand apart by a blank line; a single line end is kept, as in a sign-off.
Lines starting "- " or "1. " make a list. {{ values }} and {% tags %} stay untouched;
a line of nothing but tags wraps whole paragraphs. Everything else is text: < and & come
out as they were typed.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape

from campaigns.content.liquid import scan

_ITEM = re.compile(r"\s*(?:(?P<bullet>[-•])|(?P<number>\d{1,3})[.)])\s+(?P<text>\S.*)")
_BOLD = re.compile(r"\*\*(?=\S)(.+?)(?<=\S)\*\*", re.DOTALL)
# Stand-ins for Liquid while lines and bold are read; private characters go before.
_PRIVATE = re.compile("[\ue000-\uf8ff]")
_HELD = re.compile("\ue000(\\d+)\ue001")


@dataclass(frozen=True, slots=True)
class Paragraph:
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Items:
    """A list; first is the number it starts with, or None for bullets."""

    items: tuple[str, ...]
    first: int | None


@dataclass(frozen=True, slots=True)
class Tags:
    """A line of nothing but {% tags %}."""

    source: str


Part = Paragraph | Items | Tags


@dataclass(frozen=True, slots=True)
class _Held:
    """A source with its Liquid put aside."""

    text: str
    tokens: tuple[str, ...]

    def back(self, text: str) -> str:
        return _HELD.sub(lambda match: self.tokens[int(match[1])], text)

    def only_tags(self, line: str) -> bool:
        numbers = [int(number) for number in _HELD.findall(line)]
        rest = _HELD.sub("", line).strip()
        return bool(
            numbers
            and not rest
            and all(self.tokens[number].startswith("{%") for number in numbers)
        )


def _hold(source: str) -> _Held:
    tokens: list[str] = []
    text: list[str] = []
    for token in scan(source):
        if token.kind == "text":
            text.append(_PRIVATE.sub("", token.source))
        else:
            text.append(f"\ue000{len(tokens)}\ue001")
            tokens.append(token.source)
    plain = "".join(text).replace("\r\n", "\n").replace("\r", "\n")
    return _Held(plain, tuple(tokens))


def read_words(source: str) -> tuple[Part, ...]:
    """The parts of a block, with Liquid intact and ** still in place.

    Raises TemplateError if {{ or {% is not closed.
    """
    held = _hold(source)
    return tuple(_with_liquid(part, held) for part in _parts(held))


def _parts(held: _Held) -> Iterator[Part]:
    lines: list[str] = []
    items: list[str] = []
    first: int | None = None

    def flush() -> Iterator[Part]:
        if lines:
            yield Paragraph(tuple(lines))
        if items:
            yield Items(tuple(items), first)
        lines.clear()
        items.clear()

    for raw in held.text.split("\n"):
        line = " ".join(raw.split())
        item = _ITEM.fullmatch(line)
        if not line:
            yield from flush()
        elif held.only_tags(line):
            yield from flush()
            yield Tags(line)
        elif item:
            number = int(item["number"]) if item["number"] else None
            if lines or (items and (first is None) != (number is None)):
                yield from flush()
            if not items:
                first = number
            items.append(item["text"])
        elif items and raw[:1].isspace():
            items[-1] += f" {line}"
        else:
            if items:
                yield from flush()
            lines.append(line)
    yield from flush()


def _with_liquid(part: Part, held: _Held) -> Part:
    match part:
        case Paragraph(lines):
            return Paragraph(tuple(map(held.back, lines)))
        case Items(items, first):
            return Items(tuple(map(held.back, items)), first)
        case Tags(source):
            return Tags(held.back(source))


def _inline(source: str, text: Callable[[str], str], bold: str) -> str:
    """One run of words: `text` for what is static, `bold` around what is bold."""
    held = _hold(source)
    return held.back(_BOLD.sub(bold, text(held.text)))


def line_to_html(source: str) -> str:
    """One line of words as HTML, Liquid intact; line ends become spaces."""
    source = " ".join(source.split("\n"))
    return _inline(source.strip(), lambda s: escape(s, quote=False), r"<b>\1</b>")


def line_to_text(source: str) -> str:
    """One line of words as plain text, Liquid intact, ** taken out."""
    return _inline(" ".join(source.split("\n")).strip(), str, r"\1")


def words_to_html(source: str) -> str:
    """A block as HTML: <p>, <ul>, <ol>, <b>, <br> and nothing else; Liquid intact.

    Paragraphs have the class p, lists the class l, the last of them also the class
    end, so that a layout can set their distances.
    """
    parts = read_words(source)
    last = max((i for i, p in enumerate(parts) if type(p) is not Tags), default=-1)
    return "".join(
        _part_to_html(part, " end" if i == last else "") for i, part in enumerate(parts)
    )


def _part_to_html(part: Part, end: str) -> str:
    match part:
        case Paragraph(lines):
            text = "<br>".join(map(line_to_html, lines))
            return f'<p class="p{end}">{text}</p>'
        case Items(items, first):
            tag = "ul" if first is None else "ol"
            start = f' start="{first}"' if first not in {None, 1} else ""
            inner = "".join(f"<li>{line_to_html(item)}</li>" for item in items)
            return f'<{tag} class="l{end}"{start}>{inner}</{tag}>'
        case Tags(source):
            return source
