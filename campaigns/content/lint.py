"""What to look at before a template is sent: words, duties, and what mailboxes do.

Findings that block must be put right; the others are for the marketer to judge.
"""

import re
from collections.abc import Iterator, Mapping
from html import unescape
from urllib.parse import urlsplit

from campaigns.content.designs import (
    NEUTRAL,
    TONES,
    SharedBlocks,
    Words,
)
from campaigns.content.headers import SenderFacts
from campaigns.content.liquid import without_default
from campaigns.content.problems import TemplateError
from campaigns.content.render import CompiledVariant, compile_variant
from campaigns.content.tone_lint import Finding, lint_words, static_text

__all__ = ["Finding", "blocking", "lint_template", "lint_variant", "lint_words"]

# Gmail cuts longer mails off, the unsubscribe link with them.
HTML_MAX_BYTES = 102_000
SUBJECT_MAX_CHARACTERS = 60
PREHEADER_MAX_CHARACTERS = 90
# An address of our own, escaped: https://mail.example.com/c/<token>/0.
_LINK_BYTES = 80
_VALUE_BYTES = 20

# Tones, segments and families: none of them may leave the house.
_INNER_NAMES = frozenset(
    {tone.key for tone in TONES}
    | {tone.segment for tone in TONES}
    | set("unknown anger anxiety confusion sadness excitement joy trust".split())
    | {"curiosity", "emotion", "sentiment", "unsegmented"}
)
# Ordinary words as well; in a picture's description they mean nothing of ours.
_ORDINARY = frozenset("brief joy lively mixed neutral trust unknown".split())


def blocking(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity == "blocks"]


def lint_template(
    layout: str,
    shared: SharedBlocks,
    words_by_tone: Mapping[str, Words],
    sender: SenderFacts,
) -> list[Finding]:
    """Everything to say about a template and its sender, what blocks first.

    What is wrong in several tones for the same reason is said once.
    """
    findings = [*_sender_findings(sender), *_tone_findings(words_by_tone)]
    stand_in = _with_an_address(sender)
    for tone, words in words_by_tone.items():
        findings += lint_words(words, shared, tone)
        try:
            variant = compile_variant(layout, shared, words, sender=stand_in)
        except TemplateError as error:
            findings += _template_findings(error, tone)
            continue
        findings += lint_variant(variant, tone=tone)
        findings += _value_findings(words, tone)
    seen: dict[tuple[str, ...], Finding] = {}
    for finding in findings:
        once = finding.rule in {"template", "size", "alt text", "inner name"}
        whose = "" if once else finding.tone
        key = (finding.rule, finding.block, finding.words, finding.message, whose)
        seen.setdefault(key, finding)
    return sorted(seen.values(), key=lambda finding: finding.severity)


def _with_an_address(sender: SenderFacts) -> SenderFacts:
    """The sender, made whole: what it lacks is said once, not once per tone."""
    address = "shop@example.com" if sender.address_problem else sender.from_address
    return SenderFacts(
        shop_name=sender.shop_name.strip() or "Shop",
        from_name=sender.from_name,
        from_address=address,
        reply_to=sender.reply_to,
        postal_address=sender.postal_address.strip() or "Postal address",
    )


def _sender_findings(sender: SenderFacts) -> Iterator[Finding]:
    def finding(words: str, message: str, instead: str) -> Finding:
        return Finding("blocks", "sender", "sender", words, message, instead)

    if not sender.postal_lines:
        yield finding(
            "",
            "The sender has no postal address, and the law asks for one.",
            "Write the shop's street and town under Sender.",
        )
    if not sender.shop_name.strip():
        yield finding("", "The shop has no name.", "Write the name customers know.")
    if problem := sender.address_problem:
        instead = "Write an address such as shop@example.com."
        yield finding(sender.from_address, problem, instead)


def _tone_findings(words_by_tone: Mapping[str, Words]) -> Iterator[Finding]:
    if NEUTRAL not in words_by_tone:
        yield Finding(
            "blocks",
            "neutral",
            "",
            "",
            "There are no neutral words.",
            "Write them: whoever reads as mixed, or as nothing yet, gets them.",
            NEUTRAL,
        )


def _template_findings(error: TemplateError, tone: str) -> Iterator[Finding]:
    for problem in error.problems:
        where = f" (line {problem.line}, column {problem.column})"
        message = f"{problem.message.rstrip('.')}{where}."
        yield Finding(
            "blocks", "template", problem.part, "", message, problem.hint, tone
        )


def _value_findings(words: Words, tone: str) -> Iterator[Finding]:
    parts = {"subject": words.subject, "preheader": words.preheader, **words.blocks}
    for block, source in parts.items():
        for name, _, _ in without_default(source):
            yield Finding(
                "warns",
                "default",
                block,
                name,
                f"Whoever has no {name} gets no mail.",
                f'Write {{{{ {name} | default: "…" }}}}.',
                tone,
            )


def lint_variant(variant: CompiledVariant, *, tone: str = "") -> list[Finding]:
    """What mailboxes and readers would stumble over in one compiled variant."""
    return [
        *_size_findings(variant, tone),
        *_line_findings(variant, tone),
        *_picture_findings(variant, tone),
        *_leak_findings(variant, tone),
        *_duty_findings(variant, tone),
    ]


def _size_findings(variant: CompiledVariant, tone: str) -> Iterator[Finding]:
    html = variant.html
    size = sum(len(text.encode()) for text in html.static)
    size += sum(_LINK_BYTES if slot.is_link else _VALUE_BYTES for slot in html.slots)
    if size > HTML_MAX_BYTES:
        yield Finding(
            "warns",
            "size",
            "layout",
            f"{size:,} bytes",
            f"The mail has about {size // 1000} kB; Gmail cuts off after 102.",
            "Take something out, best whole sections.",
            tone,
        )


def _line_findings(variant: CompiledVariant, tone: str) -> Iterator[Finding]:
    subject = static_text(variant.subject.source)
    preheader = static_text(variant.preheader.source)
    for block, text, most in (
        ("subject", subject, SUBJECT_MAX_CHARACTERS),
        ("preheader", preheader, PREHEADER_MAX_CHARACTERS),
    ):
        if len(text) > most:
            message = f"The {block} has {len(text)} characters; a phone shows {most}."
            instead = "Say the first thing first, and stop there."
            yield Finding("warns", "length", block, text, message, instead, tone)
    if not preheader:
        message = "There is no preheader: mailboxes show the first words instead."
        instead = "Write one sentence that goes on from the subject."
        yield Finding("warns", "preheader", "preheader", "", message, instead, tone)
    elif preheader.casefold().rstrip(".") == subject.casefold().rstrip("."):
        message = "The preheader says what the subject says."
        instead = "Go on from the subject."
        yield Finding(
            "warns", "preheader", "preheader", preheader, message, instead, tone
        )


def _picture_findings(variant: CompiledVariant, tone: str) -> Iterator[Finding]:
    for tag in re.findall(r"<img\b[^>]*>", variant.html.source):
        if 'width="1"' in tag or re.search(r'\balt="[^"]+"', tag):
            continue
        source = re.search(r'\bsrc="([^"]*)"', tag)
        name = source[1].rsplit("/", 1)[-1][:60] if source else "a picture"
        yield Finding(
            "warns",
            "alt text",
            "layout",
            name,
            f"{name} has no alt text: many see no pictures.",
            'Write what it shows: alt="A fern in a blue pot".',
            tone,
        )


def _leak_findings(variant: CompiledVariant, tone: str) -> Iterator[Finding]:
    found: list[tuple[str, str]] = []
    html = variant.html.source
    # Also those that are not counted: of one person alone, or marked so.
    direct = re.findall(r'\b(?:href|src)="([^"]*)"', html)
    for url in [*(link.url for link in variant.links), *map(unescape, direct)]:
        try:
            parts = urlsplit(static_text(url))
        except ValueError:
            continue
        found += (
            (name, "a link") for name in _names_in(f"{parts.query} {parts.fragment}")
        )
        place = f"{parts.netloc} {parts.path}"
        found += ((n, "a link") for n in _names_in(place) if n not in _ORDINARY)
    for value in re.findall(r'\bclass="([^"]*)"', html):
        found += ((name, "a class") for name in _names_in(value))
    for value in re.findall(r'\balt="([^"]*)"', html):
        names = (name for name in _names_in(value) if name not in _ORDINARY)
        found += ((name, "an alt text") for name in names)
    for name, place in dict.fromkeys(found):
        yield Finding(
            "blocks",
            "inner name",
            "layout",
            name,
            f"“{name}” in {place} would tell others what we infer.",
            "Use a name that says nothing about feelings or segments.",
            tone,
        )


def _names_in(value: str) -> list[str]:
    words = re.split(r"[^a-z]+", value.lower())
    return [word for word in words if word in _INNER_NAMES]


def _duty_findings(variant: CompiledVariant, tone: str) -> Iterator[Finding]:
    """Cannot happen to what compile_variant made; frozen variants are looked at too."""
    for part, source in (("html", variant.html.source), ("text", variant.text.source)):
        if "links.unsubscribe" not in source:
            message = f"The {part} part has no unsubscribe link."
            instead = "Compile the template again; the footer brings it."
            yield Finding("blocks", "unsubscribe", "footer", "", message, instead, tone)
    if not variant.text.source.strip():
        message = "The text part is empty."
        instead = "Write words into the blocks."
        yield Finding("blocks", "text part", "layout", "", message, instead, tone)
