"""A text part of its own, made from the layout and the words, not from the HTML.

Lines are at most 72 characters, an address always stays whole on its line. A value
{{ … }} counts as long as its default, or as ten characters: what is filled in can make
a line a little longer or shorter.
"""

import re
from collections.abc import Iterator

from campaigns.content.assembly import (
    PREFERENCES_LABEL,
    UNSUBSCRIBE_LABEL,
    block_source,
    imprint,
)
from campaigns.content.designs import SharedBlocks, Words
from campaigns.content.headers import SenderFacts
from campaigns.content.liquid import scan
from campaigns.content.mjml_tree import Element, Text
from campaigns.content.words import Items, Paragraph, Tags, line_to_text, read_words

WIDTH = 72
_VALUE_WIDTH = 10
_DEFAULT = re.compile(r"\|\s*default:\s*(?:\"([^\"]*)\"|'([^']*)')")
_PARAGRAPHS = frozenset(
    {"p", "h1", "h2", "h3", "h4", "div", "blockquote", "table", "tr"}
)
_LEAVES = frozenset(
    {"mj-text", "mj-button", "mj-image", "mj-table", "mj-navbar-link"}
    | {"mj-social-element"}
)


def wrap(source: str, *, first: str = "", indent: str = "") -> str:
    """Fill lines up to WIDTH, Liquid uncut; the later ones begin with `indent`."""
    words: list[tuple[str, int]] = []
    glued = False
    for token in scan(source):
        if token.kind != "text":
            width = _width(token.source) if token.kind == "output" else 0
            _add(words, token.source, width, glued=glued)
            glued = True
            continue
        pieces = token.source.split()
        for number, piece in enumerate(pieces):
            joined = glued and number == 0 and not token.source[:1].isspace()
            _add(words, piece, len(piece), glued=joined)
        glued = bool(pieces) and not token.source[-1:].isspace()
        if not pieces and token.source:
            glued = False
    lines, line, used = [], first, len(first)
    empty = True
    for text, width in words:
        if not empty and used + 1 + width > WIDTH:
            lines.append(line)
            line, used, empty = indent, len(indent), True
        line += text if empty else f" {text}"
        used += width if empty else width + 1
        empty = False
    lines.append(line)
    return "\n".join(lines)


def _add(words: list[tuple[str, int]], text: str, width: int, *, glued: bool) -> None:
    if glued and words:
        before, used = words[-1]
        words[-1] = (before + text, used + width)
    else:
        words.append((text, width))


def _width(output: str) -> int:
    match = _DEFAULT.search(output)
    return max(len(match[1] or match[2] or ""), 6) if match else _VALUE_WIDTH


def words_to_text(source: str) -> str:
    """A block as plain text, every paragraph with the blank line after it."""
    out = []
    for part in read_words(source):
        match part:
            case Paragraph(lines):
                out.append(
                    "\n".join(wrap(line_to_text(line)) for line in lines) + "\n\n"
                )
            case Items(items, first):
                marks = (
                    ("- " if first is None else f"{first + number}. ")
                    for number in range(len(items))
                )
                rows = (
                    wrap(line_to_text(item), first=mark, indent=" " * len(mark))
                    for item, mark in zip(items, marks, strict=True)
                )
                out.append("\n".join(rows) + "\n\n")
            case Tags(tags):
                out.append(tags)
    return "".join(out)


def to_text(
    root: Element, words: Words, shared: SharedBlocks, sender: SenderFacts
) -> str:
    """The text part of an assembled layout, Liquid intact, footer at the end."""
    body = next(e for e in root.walk() if e.tag == "mj-body")
    text = "".join(_pieces(body, words, shared))
    return f"{text.strip()}\n\n{footer_text(shared, sender)}"


def _pieces(element: Element, words: Words, shared: SharedBlocks) -> Iterator[str]:
    for child in element.children:
        if type(child) is Text:
            yield from (t.source for t in scan(child.value) if t.kind == "tag")
        elif type(child) is Element and child.tag in _LEAVES:
            yield _leaf(child, words, shared)
        elif type(child) is Element:
            yield from _pieces(child, words, shared)


def _leaf(element: Element, words: Words, shared: SharedBlocks) -> str:
    href = element.get("href")
    if element.tag == "mj-image":
        label = element.get("alt")
        if not label:
            return ""
        return _linked(label, href) + "\n\n" if href else wrap(f"[{label}]") + "\n\n"
    inner = "".join(_html_pieces(element, words, shared)).strip()
    # The letterhead; the footer has the shop's name again.
    if not inner or inner == "{{ shop.name }}":
        return ""
    return (_linked(inner, href) if href else inner) + "\n\n"


def _linked(label: str, address: str) -> str:
    """Label and address; the address on a line of its own if both are too long."""
    return f"{' '.join(label.split())}: {address}"


def _html_pieces(element: Element, words: Words, shared: SharedBlocks) -> Iterator[str]:
    """The children of a text element as paragraphs, each with its blank line."""
    run: list[str] = []

    def flush() -> Iterator[str]:
        text = "".join(run)
        run.clear()
        if text.strip():
            lines = [wrap(line) for line in text.split("\n")]
            yield "\n".join(lines).strip() + "\n\n"

    for child in element.children:
        if type(child) is Text:
            run.append(re.sub(r"\s+", " ", child.value))
        elif type(child) is not Element:
            continue
        elif child.tag == "mj-block":
            if child.get("kind") == "line":
                source = block_source(child.get("name"), words, shared)
                run.append(line_to_text(source))
            elif child.get("kind") != "footer":
                yield from flush()
                source = block_source(child.get("name"), words, shared)
                yield words_to_text(source)
        elif child.tag == "br":
            run.append("\n")
        elif child.tag == "hr":
            yield from flush()
        elif child.tag in {"ul", "ol"}:
            yield from flush()
            yield _list(child, words, shared)
        elif child.tag in _PARAGRAPHS | {"thead", "tbody"}:
            yield from flush()
            yield from _html_pieces(child, words, shared)
        else:
            run.append(_inline(child, words, shared))
    yield from flush()


def _inline(element: Element, words: Words, shared: SharedBlocks) -> str:
    if element.tag == "img":
        return f"[{element.get('alt')}]" if element.get("alt") else ""
    inner = "".join(_html_pieces(element, words, shared)).strip()
    if element.tag in {"td", "th"}:
        return f"{inner} "
    href = element.get("href")
    if not href or href.startswith("#"):
        return inner
    return inner if inner in href else f"{inner}: {href}"


def _list(element: Element, words: Words, shared: SharedBlocks) -> str:
    rows, number = [], int(element.get("start") or 1)
    for child in element.children:
        if type(child) is not Element:
            continue
        mark = "- " if element.tag == "ul" else f"{number}. "
        inner = " ".join("".join(_html_pieces(child, words, shared)).split())
        rows.append(wrap(inner, first=mark, indent=" " * len(mark)))
        number += 1
    return "\n".join(rows) + "\n\n"


def footer_text(shared: SharedBlocks, sender: SenderFacts) -> str:
    """What stands under every mail: reason, choices, the way out, postal address."""
    lines = [
        "--",
        f"{PREFERENCES_LABEL}:\n{{{{ links.preferences }}}}",
        f"{UNSUBSCRIBE_LABEL}:\n{{{{ links.unsubscribe }}}}",
        wrap(line_to_text(imprint(sender))),
    ]
    if shared.footer_reason:
        lines.insert(1, wrap(line_to_text(shared.footer_reason)))
    return "\n".join(lines) + "\n"
