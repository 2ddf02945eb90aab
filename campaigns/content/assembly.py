"""From a layout and words to one tree: button, links and footer in their places.

Links of the marketer are replaced by numbers in a table that stays with us. The footer,
with the reason, the way out and the postal address, is put in if a layout lacks it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from campaigns.content.designs import SharedBlocks, Words
from campaigns.content.headers import SenderFacts
from campaigns.content.liquid import scan
from campaigns.content.mjml_tree import Attribute, Element, Text, parse_fragment
from campaigns.content.words import line_to_html, words_to_html

PREFERENCES_LABEL = "Your choices, and what we keep about you"
UNSUBSCRIBE_LABEL = "Unsubscribe"

_SYSTEM_FOOTER = (
    '<mj-section background-color="#ffffff" padding="0"><mj-column>'
    '<mj-text padding="20px 44px 28px" font-size="13px" line-height="1.6" '
    'font-family="Arial, Helvetica, sans-serif" color="#5c6a62">'
    '<mj-block name="footer" kind="footer"/></mj-text></mj-column></mj-section>'
)


@dataclass(frozen=True, slots=True)
class Link:
    """Where a link leads, and the words or the picture that carry it."""

    url: str
    label: str


@dataclass(slots=True)
class Assembled:
    """A layout with button, footer and numbered links; blocks still by name."""

    root: Element
    links: list[Link] = field(default_factory=list)


def assemble(root: Element, shared: SharedBlocks) -> Assembled:
    """Put the button's address, the footer and numbered links into a checked layout.

    What has nothing to show (no offer, no button) goes, with the box around it.
    """
    tree = _copy(root)
    empty = {
        name
        for name, words in (
            ("offer", shared.offer),
            ("terms", shared.terms),
            ("button", shared.button_label),
        )
        if not words
    }
    _drop_empty(tree, empty)
    names = {e.get("name") for e in tree.walk() if e.tag == "mj-block"}
    body = next(e for e in tree.walk() if e.tag == "mj-body")
    if "footer" not in names:
        body.children += parse_fragment(_SYSTEM_FOOTER)
    assembled = Assembled(tree)
    for element in tree.walk():
        if element.tag == "mj-button" and _holds(element, "button"):
            element.attributes["href"] = Attribute(shared.button_url)
        _number_link(element, assembled.links, shared)
    return assembled


def _copy(element: Element) -> Element:
    children = [
        Text(c.value, c.line, c.column) if isinstance(c, Text) else _copy(c)
        for c in element.children
    ]
    copied = {
        k: Attribute(a.value, a.line, a.column) for k, a in element.attributes.items()
    }
    return Element(element.tag, copied, children, element.line, element.column)


def _holds(element: Element, block: str) -> bool:
    return any(e.tag == "mj-block" and e.get("name") == block for e in element.walk())


def _is_empty(node: Element | Text) -> bool:
    return type(node) is Text and not node.value.strip()


def _drop_empty(element: Element, empty: set[str]) -> bool:
    """Take empty blocks out, and whatever held nothing else. Was anything taken?"""
    taken = False
    kept: list[Element | Text] = []
    for child in element.children:
        if type(child) is not Element:
            kept.append(child)
            continue
        gone = child.tag == "mj-block" and child.get("name") in empty
        if not gone and _drop_empty(child, empty):
            gone = all(map(_is_empty, child.children))
        taken |= gone
        if not gone:
            kept.append(child)
    element.children = kept
    return taken


def label_of(element: Element, shared: SharedBlocks) -> str:
    """The words of a link, or what its picture shows."""
    if element.get("alt"):
        return element.get("alt")
    if _holds(element, "button"):
        return shared.button_label
    pictures = [e.get("alt") for e in element.walk() if e.tag == "img" and e.get("alt")]
    words = " ".join(" ".join(text.value for text in element.texts()).split())
    return words or next(iter(pictures), "")


def _number_link(element: Element, links: list[Link], shared: SharedBlocks) -> None:
    """Replace a web address by its number in the table, once per address."""
    marked = element.attributes.pop("data-notrack", None)
    href = element.attributes.get("href")
    if href is None or marked is not None:
        return
    url = href.value.strip()
    # A value in an address differs per person: such a link leads there directly.
    if not re.match(r"https?://", url) or any(t.kind != "text" for t in scan(url)):
        return
    known = [link.url for link in links]
    if url not in known:
        links.append(Link(url, label_of(element, shared)))
        known.append(url)
    href.value = f"{{{{ links.click_{known.index(url)} }}}}"


def fill_blocks(
    root: Element, words: Words, shared: SharedBlocks, sender: SenderFacts
) -> Element:
    """The tree with one tone's words, and what is shared, in the blocks' places."""
    tree = _copy(root)
    for element in tree.walk():
        children: list[Element | Text] = []
        for child in element.children:
            if type(child) is Element and child.tag == "mj-block":
                children += parse_fragment(_html_of(child, words, shared, sender))
            else:
                children.append(child)
        element.children = children
    return tree


def _html_of(
    block: Element, words: Words, shared: SharedBlocks, sender: SenderFacts
) -> str:
    name, kind = block.get("name"), block.get("kind") or "text"
    if kind == "footer":
        return footer_html(shared, sender)
    source = block_source(name, words, shared)
    as_html: Callable[[str], str] = line_to_html if kind == "line" else words_to_html
    return as_html(source)


def block_source(name: str, words: Words, shared: SharedBlocks) -> str:
    """What a marketer wrote for a block."""
    match name:
        case "offer":
            return shared.offer
        case "terms":
            return shared.terms
        case "button":
            return shared.button_label
        case _:
            return words.blocks.get(name, "")


def footer_html(shared: SharedBlocks, sender: SenderFacts) -> str:
    """The reason, the two ways to decide, the shop and its postal address."""
    links = (
        f'<a href="{{{{ links.preferences }}}}">{PREFERENCES_LABEL}</a> \u00a0·\u00a0 '
        f'<a href="{{{{ links.unsubscribe }}}}">{UNSUBSCRIBE_LABEL}</a>'
    )
    lines = [links, line_to_html(imprint(sender))]
    if shared.footer_reason:
        lines.insert(0, line_to_html(shared.footer_reason))
    return "<br>".join(lines)


def imprint(sender: SenderFacts) -> str:
    """The shop and its postal address in one line."""
    lines = sender.postal_lines
    if lines and lines[0].casefold().startswith(sender.shop_name.casefold()):
        return ", ".join(lines)
    return ", ".join([sender.shop_name, *lines])
