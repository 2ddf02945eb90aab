"""Designs and tones: layouts with named blocks, and the words that fill them.

A design is a folder: layout.mjml, offer.toml (what is the same for everyone) and one
<tone>.toml per tone. What is offered cannot differ between tones: the words of a tone
have no place to stand in but VARIANT_BLOCKS, and the offer is none of them.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from campaigns.content.mjml_tree import Element, parse_layout
from campaigns.content.problems import TemplateError, TemplateProblem

VARIANT_BLOCKS = ("headline", "opening", "details", "closing")
SHARED_BLOCKS = ("offer", "terms", "button", "footer")
BLOCK_KINDS = ("line", "text", "offer", "footer")
NEUTRAL = "neutral"
DESIGN_KEYS = ("announcement", "loyalty", "service")

Purpose = Literal["promotion", "service"]


@dataclass(frozen=True, slots=True)
class Tone:
    """A voice, the segment it is written for, and what it does and avoids.

    Source: docs/method.md, "Tone".
    """

    key: str
    label: str
    segment: str
    do: tuple[str, ...]
    avoid: tuple[str, ...]


TONES = (
    Tone(
        "accountable",
        "Accountable",
        "frustrated",
        (
            "name the fault, its cause, the fix, the date and who sees to it",
            "thank for the patience",
            "show a way to a person",
        ),
        ("jokes, emoji, exclamation marks", "“we value you”", "selling more"),
    ),
    Tone(
        "reassuring",
        "Reassuring",
        "anxious",
        (
            "go step by step: where things stand, what comes next",
            "name the guarantee and the easy return",
            "say who answers",
        ),
        ("scarcity, countdowns, guilt", "ambiguity", "bringing up new risks"),
    ),
    Tone(
        "repairing",
        "Repairing",
        "disappointed",
        ("acknowledge the gap", "ask one question", "show what has changed"),
        ("cheerfulness", "urgency", "“treat yourself”"),
    ),
    Tone(
        "lively",
        "Lively",
        "excited",
        ("be concrete and quick", "show how it is done", "invite to share"),
        ("long text", "promising too much", "invented scarcity"),
    ),
    Tone(
        "grateful",
        "Grateful",
        "trusting",
        ("thank for something real", "be candid", "tell news from the inside"),
        ("taking for granted", "heavy discounts"),
    ),
    Tone(
        "informative",
        "Informative",
        "questioning",
        ("answer first", "compare and guide", "link to a person"),
        ("hype", "jargon"),
    ),
    Tone(
        "brief",
        "Brief",
        "neutral",
        ("one idea, its use in the first line", "little to read, little to do"),
        ("guilt, such as “we miss you”", "volume"),
    ),
    Tone(
        NEUTRAL,
        "Neutral",
        "mixed",
        ("the plain voice of the house", "the same facts as every other tone"),
        ("any claim about how the reader feels",),
    ),
)
TONE_KEYS = tuple(tone.key for tone in TONES)
_TONE_OF_SEGMENT = {tone.segment: tone.key for tone in TONES}


def tone_for_segment(segment_key: str) -> str:
    """The tone written for a segment; neutral for mixed, unknown and any other."""
    return _TONE_OF_SEGMENT.get(segment_key, NEUTRAL)


@dataclass(frozen=True, slots=True)
class SharedBlocks:
    """What is the same in every tone. offer and terms may be empty; so may the button,
    if its label and its address both are.
    """

    offer: str = ""
    terms: str = ""
    button_label: str = ""
    button_url: str = ""
    footer_reason: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """One tone: subject, preheader, and the words of each of VARIANT_BLOCKS."""

    subject: str
    preheader: str = ""
    blocks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Block:
    """A named place in a layout, where its <mj-block> stands."""

    name: str
    label: str
    kind: str
    line: int
    column: int

    @property
    def is_shared(self) -> bool:
        return self.name in SHARED_BLOCKS


@dataclass(frozen=True, slots=True)
class Design:
    """A starter: its layout, what it offers, and the words of every tone it has."""

    key: str
    label: str
    purpose: Purpose
    layout: str
    shared: SharedBlocks
    words: Mapping[str, Words]


def blocks_of(layout: str) -> tuple[Block, ...]:
    """The blocks a layout asks for, in its order. Raises TemplateError."""
    return tuple(
        Block(
            element.get("name"),
            element.get("label") or element.get("name").capitalize(),
            element.get("kind") or "text",
            element.line,
            element.column,
        )
        for element in parse_layout(layout).walk()
        if element.tag == "mj-block"
    )


def load_designs(folder: Path) -> dict[str, Design]:
    """Every design in a folder of designs, by key: DESIGN_KEYS first, then by name."""
    keys = sorted(path.parent.name for path in folder.glob("*/layout.mjml"))
    keys.sort(key=lambda key: key not in DESIGN_KEYS)
    return {key: load_design(folder, key) for key in keys}


def load_design(folder: Path, key: str) -> Design:
    """Read one design.

    Raises TemplateError, naming the file, if something in it cannot be used.
    """
    here = folder / key
    try:
        layout = (here / "layout.mjml").read_text(encoding="utf-8")
    except OSError as problem:
        raise _unreadable(f"{key}/layout.mjml", str(problem.strerror)) from None
    described = [e for e in parse_layout(layout).walk() if e.tag == "mj-design"]
    facts = described[0] if described else Element("mj-design")
    purpose: Purpose = "service" if facts.get("purpose") == "service" else "promotion"
    return Design(
        key=key,
        label=facts.get("label") or key.capitalize(),
        purpose=purpose,
        layout=layout,
        shared=_shared(here / "offer.toml"),
        words={
            tone: _words(here / f"{tone}.toml")
            for tone in TONE_KEYS
            if (here / f"{tone}.toml").exists()
        },
    )


def _toml(path: Path) -> dict[str, object]:
    name = f"{path.parent.name}/{path.name}"
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise _unreadable(name, str(problem)) from None


def _unreadable(name: str, why: str) -> TemplateError:
    problem = TemplateProblem(1, 1, f"This file cannot be read: {why}.", part=name)
    return TemplateError([problem])


def _text_of(table: Mapping[str, object], keys: tuple[str, ...], name: str) -> None:
    """Refuse keys that are not known and values that are not text."""
    for key, value in table.items():
        if key not in keys or not isinstance(value, str):
            what = "is not text" if key in keys else "has no place here"
            hint = f"Write only {', '.join(keys)}, each as text."
            raise TemplateError([TemplateProblem(1, 1, f"{key} {what}.", hint, name)])


def _shared(path: Path) -> SharedBlocks:
    table = _toml(path)
    keys = ("offer", "terms", "button_label", "button_url", "footer_reason")
    _text_of(table, keys, f"{path.parent.name}/{path.name}")
    return SharedBlocks(**{key: str(table.get(key, "")).strip() for key in keys})


def _words(path: Path) -> Words:
    table = _toml(path)
    name = f"{path.parent.name}/{path.name}"
    blocks = table.pop("blocks", {})
    if not isinstance(blocks, dict):
        raise TemplateError(
            [TemplateProblem(1, 1, "blocks is no table.", "Write [blocks].", name)]
        )
    _text_of(table, ("subject", "preheader"), name)
    _text_of(blocks, VARIANT_BLOCKS, name)
    return Words(
        subject=str(table.get("subject", "")).strip(),
        preheader=str(table.get("preheader", "")).strip(),
        blocks={key: str(value).strip() for key, value in blocks.items()},
    )
