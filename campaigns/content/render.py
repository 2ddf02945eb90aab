"""One way to a mail, for preview and send alike: compile once, render often."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import Any

from campaigns.content.assembly import Link, assemble, fill_blocks
from campaigns.content.data import plain_data
from campaigns.content.designs import (
    SHARED_BLOCKS,
    VARIANT_BLOCKS,
    SharedBlocks,
    Words,
)
from campaigns.content.headers import (
    SUBJECT_MAX_CHARACTERS,
    HeaderProblem,
    SenderFacts,
    header_safe,
    mail_headers,
)
from campaigns.content.links import MessageLinks, check_destination
from campaigns.content.liquid import Mode, check
from campaigns.content.mjml import compile_tree, lint_tree
from campaigns.content.mjml_tree import Attribute, Element, Text, parse_layout
from campaigns.content.plaintext import to_text
from campaigns.content.problems import TemplateError, TemplateProblem
from campaigns.content.skeleton import Skeleton

__all__ = [
    "CompiledVariant",
    "FilledSlots",
    "Link",
    "RecipientContext",
    "RenderedEmail",
    "SenderFacts",
    "SharedBlocks",
    "Words",
    "compile_variant",
    "fill",
    "render",
]

_FORMAT = 1
BLOCK_MAX_CHARACTERS = 20_000
# Some 100 kB each.
COMPILED_KEPT = 64
# Keeps what follows from running into the preheader in a list of mails.
_AFTER_PREHEADER = "\u00a0\u200c\u034f" * 60
_HEAD = (
    '<meta name="color-scheme" content="light dark">'
    '<meta name="supported-color-schemes" content="light dark">'
    '<meta name="format-detection" content="telephone=no, date=no, address=no">'
)
_PIXEL = (
    '{% if links.pixel %}<img src="{{ links.pixel }}" width="1" height="1" alt="" '
    'style="display:block;width:1px;height:1px;border:0;">{% endif %}'
)


@dataclass(frozen=True)
class CompiledVariant:
    """The words of one tone in one layout, ready for any number of people.

    JSON in and out: a send keeps it frozen, and parses it again when it is first used.
    links: where links.click_0, click_1 and so on lead.
    """

    subject: Skeleton
    preheader: Skeleton
    html: Skeleton
    text: Skeleton
    links: tuple[Link, ...]
    sender: SenderFacts
    language: str = "en"

    @property
    def destinations(self) -> tuple[str, ...]:
        return tuple(link.url for link in self.links)

    @cached_property
    def domain(self) -> str:
        return self.sender.domain

    def to_json(self) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "language": self.language,
            "sender": asdict(self.sender),
            "links": [[link.url, link.label] for link in self.links],
            "subject": self.subject.source,
            "preheader": self.preheader.source,
            "html": self.html.source,
            "text": self.text.source,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "CompiledVariant":
        """Raises ValueError if it was stored in a format we do not know."""
        if stored.get("format") != _FORMAT:
            raise ValueError(
                f"A stored variant needs format {_FORMAT}; this one has "
                f"{stored.get('format')!r}."
            )
        return cls(
            subject=Skeleton(stored["subject"], "line"),
            preheader=Skeleton(stored["preheader"], "line"),
            html=Skeleton(stored["html"], "html"),
            text=Skeleton(stored["text"], "text"),
            links=tuple(Link(url, label) for url, label in stored["links"]),
            sender=SenderFacts(**stored["sender"]),
            language=stored["language"],
        )

    @cached_property
    def sha256(self) -> str:
        """A digest of everything in it, as hexadecimal digits."""
        canonical = json.dumps(self.to_json(), sort_keys=True, ensure_ascii=True)
        return sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class RecipientContext:
    """What we know about one person that a mail may say, and this message's links.

    data: plain values, such as {"customer": {"first_name": "Ines"}}; None and "" mean
    that we do not know. shop.name comes from the sender.
    """

    data: Mapping[str, object]
    links: MessageLinks


@dataclass(frozen=True, slots=True)
class RenderedEmail:
    subject: str
    preheader: str
    html: str
    text: str
    headers: dict[str, str] = field(default_factory=dict)


def compile_variant(
    layout: str,
    shared: SharedBlocks,
    words: Words,
    *,
    sender: SenderFacts,
    language: str = "en",
) -> CompiledVariant:
    """Compile the words of one tone into a layout.

    Raises TemplateError, and nothing else, with every problem found in layout, words,
    offer and sender: line, column, the part it is in, and what to write instead.
    """
    blocks = tuple(words.blocks.items())
    return _compiled(
        layout, shared, words.subject, words.preheader, blocks, sender, language
    )


# A page shows the same words again and again, and looks at all tones to find faults.
@lru_cache(maxsize=COMPILED_KEPT)
def _compiled(
    layout: str,
    shared: SharedBlocks,
    subject: str,
    preheader: str,
    blocks: tuple[tuple[str, str], ...],
    sender: SenderFacts,
    language: str,
) -> CompiledVariant:
    words = Words(subject, preheader, dict(blocks))
    try:
        root = parse_layout(layout)
    except TemplateError as error:
        raise TemplateError([*error.problems, *_word_problems(words, shared)]) from None
    problems = [
        *lint_tree(root),
        *_word_problems(words, shared),
        *_block_problems(root, words),
        *_shared_problems(shared),
        *_sender_problems(sender),
    ]
    if problems:
        raise TemplateError(problems)
    assembled = assemble(root, shared)
    tree = fill_blocks(assembled.root, words, shared, sender)
    variant = CompiledVariant(
        subject=Skeleton(_one_line(words.subject), "line"),
        preheader=Skeleton(_one_line(words.preheader), "line"),
        html=Skeleton(_html(tree, words, language), "html"),
        text=Skeleton(to_text(assembled.root, words, shared, sender), "text"),
        links=tuple(assembled.links),
        sender=sender,
        language=language,
    )
    for skeleton in (variant.subject, variant.preheader, variant.html, variant.text):
        skeleton.check()
    return variant


def _one_line(source: str) -> str:
    return " ".join(source.split())


def _html(tree: Element, words: Words, language: str) -> str:
    """Compiled HTML with title, preheader, colour schemes, language and pixel."""
    tree.attributes["lang"] = Attribute(language)
    head = next((e for e in tree.walk() if e.tag == "mj-head"), None)
    if head is None:
        head = Element("mj-head")
        tree.children.insert(0, head)
    head.children = [
        child
        for child in head.children
        if type(child) is not Element or child.tag not in {"mj-title", "mj-preview"}
    ]
    head.children.append(Element("mj-title", {}, [Text(_one_line(words.subject))]))
    if words.preheader:
        hidden = Text(_one_line(words.preheader) + _AFTER_PREHEADER)
        head.children.append(Element("mj-preview", {}, [hidden]))
    html = compile_tree(tree)
    html = html.replace("<head>", f"<head>{_HEAD}", 1)
    start = html.rindex("</body>")
    return f"{html[:start]}{_PIXEL}{html[start:]}"


def _word_problems(words: Words, shared: SharedBlocks) -> Iterator[TemplateProblem]:
    parts: list[tuple[str, str, Mode]] = [
        ("subject", words.subject, "line"),
        ("preheader", words.preheader, "line"),
        ("offer", shared.offer, "html"),
        ("terms", shared.terms, "html"),
        ("button_label", shared.button_label, "line"),
        ("footer_reason", shared.footer_reason, "line"),
        *((name, source, "html") for name, source in words.blocks.items()),
    ]
    for part, source, mode in parts:
        if len(source) > BLOCK_MAX_CHARACTERS:
            message = f"It has {len(source):,} characters."
            hint = f"At most {BLOCK_MAX_CHARACTERS:,} fit."
            yield TemplateProblem(1, 1, message, hint, part)
            continue
        try:
            check(source, mode, part)
        except TemplateError as error:
            yield from error.problems
    if not words.subject.strip():
        hint = "Write what the mail is about."
        yield TemplateProblem(1, 1, "The subject is empty.", hint, "subject")
    for part, source in (("subject", words.subject), ("preheader", words.preheader)):
        try:
            header_safe(source.strip(), name=part.capitalize(), max_length=1_000)
        except HeaderProblem as problem:
            yield TemplateProblem(1, 1, str(problem), "", part)


def _block_problems(root: Element, words: Words) -> Iterator[TemplateProblem]:
    places = {e.get("name"): e for e in root.walk() if e.tag == "mj-block"}
    for name, source in words.blocks.items():
        if name not in VARIANT_BLOCKS:
            what = (
                "is the same in every tone" if name in SHARED_BLOCKS else "is unknown"
            )
            hint = f"Write only {', '.join(VARIANT_BLOCKS)}."
            yield TemplateProblem(1, 1, f"The block {name} {what}.", hint, name)
        elif source.strip() and name not in places:
            hint = f'Put <mj-block name="{name}"/> into the layout.'
            message = f"The layout has no place for the block {name}."
            yield TemplateProblem(1, 1, message, hint, name)
    for name in places:
        if name in VARIANT_BLOCKS and not words.blocks.get(name, "").strip():
            hint = "Write its words, or take it out of the layout."
            yield TemplateProblem(1, 1, f"The block {name} is empty.", hint, name)


def _shared_problems(shared: SharedBlocks) -> Iterator[TemplateProblem]:
    label, url = shared.button_label.strip(), shared.button_url.strip()
    if bool(label) != bool(url):
        missing = "an address" if label else "a label"
        message = f"The button has no {missing.split()[-1]}."
        hint = f"Give it {missing}, or leave both out."
        yield TemplateProblem(
            1, 1, message, hint, "button_url" if label else "button_label"
        )
    if url:
        try:
            check_destination(url)
        except ValueError as problem:
            yield TemplateProblem(1, 1, str(problem), "", "button_url")


def _sender_problems(sender: SenderFacts) -> Iterator[TemplateProblem]:
    def problem(message: str, hint: str) -> TemplateProblem:
        return TemplateProblem(1, 1, message, hint, "sender")

    if not sender.postal_lines:
        yield problem(
            "The postal address is missing.", "The law asks for it: write it."
        )
    if not sender.shop_name.strip():
        yield problem("The shop has no name.", "Write the name customers know.")
    if re.search(r"\{[{%]", sender.shop_name + sender.postal_address):
        yield problem("The shop's name or address holds {{ or {%.", "Write it plainly.")
    if sender.address_problem:
        yield problem(sender.address_problem, "")
    for name, value in (
        ("The sender's name", sender.from_name),
        ("Shop", sender.shop_name),
    ):
        try:
            header_safe(value, name=name)
        except HeaderProblem as error:
            yield problem(str(error), "")


@dataclass(frozen=True, slots=True)
class FilledSlots:
    """What of a mail is one person's own; its static text is the variant's."""

    subject: str
    html: list[str]
    text: list[str]
    headers: dict[str, str]


def fill(variant: CompiledVariant, recipient: RecipientContext) -> FilledSlots:
    """What differs from person to person, without the mail around it.

    Put into the variant's static text it is what render() gives, byte for byte. Raises
    what render() raises.
    """
    data, links = _data(variant, recipient), recipient.links
    filled = FilledSlots(
        subject=_subject(variant, data, links),
        html=variant.html.slot_values(data, links),
        text=variant.text.slot_values(data, links),
        headers=mail_headers(links, domain=variant.domain),
    )
    variant.html.check_size(filled.html)
    variant.text.check_size(filled.text)
    return filled


def _data(variant: CompiledVariant, recipient: RecipientContext) -> dict[str, object]:
    data = plain_data(recipient.data)
    data["shop"] = {"name": variant.sender.shop_name}
    return data


def _subject(
    variant: CompiledVariant, data: Mapping[str, object], links: MessageLinks
) -> str:
    subject = _one_line(variant.subject.render(data, links))
    try:
        return header_safe(subject, name="Subject", max_length=SUBJECT_MAX_CHARACTERS)
    except HeaderProblem as problem:
        raise TemplateError(
            [TemplateProblem(1, 1, str(problem), "", "subject")]
        ) from None


def render(variant: CompiledVariant, recipient: RecipientContext) -> RenderedEmail:
    """The mail one person gets.

    Raises UndefinedValue if it says something we do not know about this person, and
    TemplateError if a limit is reached: that person is skipped, with the reason.
    """
    data, links = _data(variant, recipient), recipient.links
    return RenderedEmail(
        subject=_subject(variant, data, links),
        preheader=_one_line(variant.preheader.render(data, links)),
        html=variant.html.render(data, links),
        text=variant.text.render(data, links),
        headers=mail_headers(links, domain=variant.domain),
    )
