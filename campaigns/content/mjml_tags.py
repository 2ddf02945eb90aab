"""What MJML and the HTML in it may say. The binding accepts anything in silence.

Source: the component pages of MJML 4; what is left out has its reason in REFUSED.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from campaigns.content.links import check_destination
from campaigns.content.liquid import scan

_NUMBER = r"\d{1,4}(?:\.\d{1,3})?"
_LENGTH = rf"(?:0|{_NUMBER}(?:px|%))"
_COLOURS = (
    "aqua black blue brown coral cyan fuchsia gold gray green grey ivory lime maroon "
    "navy olive orange pink purple red silver tan teal transparent white yellow "
    "inherit none"
)
_COLOUR = (
    rf"(?:#(?:[0-9a-f]{{3,4}}|[0-9a-f]{{6}}|[0-9a-f]{{8}})"
    rf"|rgba?\([\d\s.,%/]{{5,40}}\)|{'|'.join(_COLOURS.split())})"
)
# What could load, run or hide something; \ spells any of it another way.
_UNSAFE_CSS = re.compile(
    r"@import|@charset|@namespace|expression\s*\(|javascript:|vbscript:|behaviou?r\s*:|"
    r"-moz-binding|url\s*\(|image-set\s*\(|[\\<]|\{\{|\{%",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a value may be: a test, and an example for whoever wrote another."""

    fits: Callable[[str], bool]
    example: str


def _shape(pattern: str, example: str) -> Kind:
    compiled = re.compile(pattern, re.IGNORECASE)
    return Kind(lambda value: bool(compiled.fullmatch(value.strip())), example)


def _one_of(words: str) -> Kind:
    allowed = set(words.split())
    return Kind(lambda value: value.strip() in allowed, " or ".join(words.split()))


def unsafe_css(css: str) -> re.Match[str] | None:
    """What in a style sheet could load, run or hide something, if anything."""
    return _UNSAFE_CSS.search(css)


def _is_link(value: str) -> bool:
    value = value.strip()
    if re.fullmatch(r"(?:mailto:|tel:|sms:)[^\s<>\"\\{}]{3,200}|#[\w-]{0,60}", value):
        return True
    if re.fullmatch(
        r"\{\{\s*links\.(?:unsubscribe|preferences|web_view)\s*\}\}", value
    ):
        return True
    return _is_address(value)


def _is_address(value: str) -> bool:
    """http or https, with a host that stands there in full; values only after it."""
    pieces = scan(value.strip())
    if not pieces or pieces[0].kind != "text":
        return False
    if len(pieces) > 1 and not re.match(r"https?://[^/?#]+[/?#]", pieces[0].source):
        return False
    if any(piece.kind == "tag" for piece in pieces):
        return False
    static = "".join(p.source if p.kind == "text" else "x" for p in pieces)
    try:
        check_destination(static)
    except ValueError:
        return False
    return True


COLOUR = _shape(_COLOUR, "#1f4a3a")
PIXELS = _shape(rf"0|{_NUMBER}px", "16px")
LENGTH = _shape(_LENGTH, "16px or 50%")
LENGTHS = _shape(rf"{_LENGTH}(?:\s+{_LENGTH}){{0,3}}", "0 44px 16px")
HEIGHT = _shape(rf"auto|{_NUMBER}(?:px)?", "120px")
LINE_HEIGHT = _shape(rf"{_NUMBER}(?:px|%|em)?", "1.6 or 24px")
SPACING = _shape(rf"normal|-?{_NUMBER}(?:px|em)?", "1px")
WEIGHT = _shape(r"normal|bold|[1-9]00", "bold or 600")
BORDER = _shape(rf"none|0|{_NUMBER}px\s+[a-z]+\s+{_COLOUR}", "1px solid #dfe5df")
FONT = _shape(r"[\w\s,'-]{2,200}", "Georgia, serif")
CLASS = _shape(r"[\w\s-]{1,200}", "sheet")
TEXT = Kind(lambda value: len(value) <= 1_000, "a few words")
COUNT = _shape(r"\d{1,4}", "2")
SIZE = _shape(r"\d{1,4}(?:px|%)?", "100%")
LANGUAGE = _shape(r"[a-z]{2,3}(?:-[\w-]{2,16})?", "en")
POSITION = _shape(r"[a-z\d%\s]{1,40}", "center center")
LINK = Kind(_is_link, "https://shop.example/page")
PICTURE = Kind(
    lambda value: value.startswith("cid:") or _is_address(value),
    "https://shop.example/picture.png",
)
STYLE = Kind(lambda value: not unsafe_css(value) and len(value) < 2_000, "color: #333")
ALIGN = _one_of("left center right justify")
VERTICAL = _one_of("top middle bottom")
DIRECTION = _one_of("ltr rtl auto")
REPEAT = _one_of("repeat no-repeat")
TARGET = _one_of("_blank _self")
CASE = _one_of("none uppercase lowercase capitalize")
DECORATION = _one_of("none underline line-through overline")
FONT_STYLE = _one_of("normal italic oblique")
ROLE = _one_of("presentation none")
YES = _one_of("true false")


def _sides(name: str, kind: Kind) -> dict[str, Kind]:
    return {f"{name}-{side}": kind for side in ("top", "right", "bottom", "left")}


_ANY = {"css-class": CLASS, "mj-class": CLASS}
_PADDING = {"padding": LENGTHS, **_sides("padding", LENGTH)}
_BORDER = {"border": BORDER, "border-radius": LENGTHS, **_sides("border", BORDER)}
_INNER = {f"inner-{name}": kind for name, kind in _BORDER.items()}
_FONT = {
    "color": COLOUR,
    "font-family": FONT,
    "font-size": PIXELS,
    "font-style": FONT_STYLE,
    "font-weight": WEIGHT,
    "letter-spacing": SPACING,
    "line-height": LINE_HEIGHT,
    "text-decoration": DECORATION,
    "text-transform": CASE,
}
_BOX = {"align": ALIGN, "container-background-color": COLOUR, **_PADDING, **_ANY}
_BACKGROUND = {
    "background-color": COLOUR,
    "background-position": POSITION,
    "background-position-x": POSITION,
    "background-position-y": POSITION,
    "background-repeat": REPEAT,
    "background-size": POSITION,
    "background-url": PICTURE,
}
_LINKED = {"href": LINK, "target": TARGET, "title": TEXT, "rel": TEXT}
_SECTION = {
    **_BACKGROUND,
    **_BORDER,
    **_PADDING,
    **_ANY,
    "direction": DIRECTION,
    "full-width": _one_of("full-width false"),
    "text-align": ALIGN,
}
_PICTURE = {"src": PICTURE, "alt": TEXT, "border-radius": LENGTHS}


@dataclass(frozen=True, slots=True)
class Tag:
    """Where a tag stands, what it says, and what stands in it.

    holds: "tags", "words" (text and HTML), "text" (no tag), "style" or "nothing".
    """

    parents: frozenset[str]
    attributes: dict[str, Kind]
    holds: str


def _tag(parents: str, attributes: dict[str, Kind], holds: str = "tags") -> Tag:
    return Tag(frozenset(parents.split()), attributes, holds)


_BLOCK_PLACES = "mj-column mj-hero"
MJML_TAGS: dict[str, Tag] = {
    "mjml": _tag("", {"lang": LANGUAGE, "dir": DIRECTION}),
    "mj-head": _tag("mjml", {}),
    "mj-body": _tag(
        "mjml", {"background-color": COLOUR, "width": PIXELS, "css-class": CLASS}
    ),
    "mj-design": _tag(
        "mj-head",
        {"label": TEXT, "purpose": _one_of("promotion service")},
        "nothing",
    ),
    "mj-title": _tag("mj-head", {}, "text"),
    "mj-preview": _tag("mj-head", {}, "text"),
    "mj-style": _tag("mj-head", {"inline": _one_of("inline")}, "style"),
    "mj-breakpoint": _tag("mj-head", {"width": PIXELS}, "nothing"),
    "mj-attributes": _tag("mj-head", {}),
    "mj-all": _tag("mj-attributes", {}, "nothing"),
    "mj-class": _tag("mj-attributes", {"name": CLASS}, "nothing"),
    "mj-wrapper": _tag("mj-body", _SECTION),
    "mj-section": _tag("mj-body mj-wrapper", _SECTION),
    "mj-group": _tag(
        "mj-section",
        {
            **_ANY,
            "width": LENGTH,
            "vertical-align": VERTICAL,
            "background-color": COLOUR,
            "direction": DIRECTION,
        },
    ),
    "mj-column": _tag(
        "mj-section mj-group",
        {
            **_BORDER,
            **_INNER,
            **_PADDING,
            **_ANY,
            "background-color": COLOUR,
            "inner-background-color": COLOUR,
            "width": LENGTH,
            "vertical-align": VERTICAL,
            "direction": DIRECTION,
        },
    ),
    "mj-hero": _tag(
        "mj-body mj-wrapper",
        {
            **_BACKGROUND,
            **_PADDING,
            **_ANY,
            "background-height": PIXELS,
            "background-width": PIXELS,
            "border-radius": LENGTHS,
            "height": PIXELS,
            "inner-background-color": COLOUR,
            "mode": _one_of("fixed-height fluid-height"),
            "vertical-align": VERTICAL,
            "width": PIXELS,
        },
    ),
    "mj-text": _tag(_BLOCK_PLACES, {**_BOX, **_FONT, "height": PIXELS}, "words"),
    "mj-button": _tag(
        _BLOCK_PLACES,
        {
            **_BOX,
            **_BORDER,
            **_FONT,
            **_LINKED,
            "background-color": COLOUR,
            "height": PIXELS,
            "inner-padding": LENGTHS,
            "text-align": ALIGN,
            "vertical-align": VERTICAL,
            "width": LENGTH,
        },
        "words",
    ),
    "mj-image": _tag(
        _BLOCK_PLACES,
        {
            **_BOX,
            **_BORDER,
            **_LINKED,
            **_PICTURE,
            "fluid-on-mobile": YES,
            "font-size": PIXELS,
            "height": HEIGHT,
            "width": PIXELS,
        },
        "nothing",
    ),
    "mj-divider": _tag(
        _BLOCK_PLACES,
        {
            **_BOX,
            "border-color": COLOUR,
            "border-style": _one_of("solid dashed dotted"),
            "border-width": PIXELS,
            "width": LENGTH,
        },
        "nothing",
    ),
    "mj-spacer": _tag(_BLOCK_PLACES, {**_BOX, "height": PIXELS}, "nothing"),
    "mj-table": _tag(
        _BLOCK_PLACES,
        {
            **_BOX,
            **_FONT,
            "border": BORDER,
            "cellpadding": COUNT,
            "cellspacing": COUNT,
            "role": ROLE,
            "table-layout": _one_of("auto fixed"),
            "width": LENGTH,
        },
        "words",
    ),
    "mj-navbar": _tag("mj-column", {**_BOX, "base-url": LINK}),
    "mj-navbar-link": _tag(
        "mj-navbar", {**_FONT, **_LINKED, **_PADDING, **_ANY}, "words"
    ),
    "mj-social": _tag(
        "mj-column",
        {
            **_BOX,
            **_FONT,
            "border-radius": LENGTHS,
            "icon-size": PIXELS,
            "icon-padding": LENGTHS,
            "inner-padding": LENGTHS,
            "mode": _one_of("horizontal vertical"),
        },
    ),
    "mj-social-element": _tag(
        "mj-social",
        {**_FONT, **_LINKED, **_PADDING, **_ANY, **_PICTURE, "icon-size": PIXELS},
        "words",
    ),
    "mj-block": _tag(
        "mj-text mj-button p h1 h2 h3 h4 td th div b strong span",
        {"name": CLASS, "label": TEXT, "kind": _one_of("line text offer footer")},
        "nothing",
    ),
}

# Tags of MJML that a mail of ours does not use, and what to use instead.
REFUSED = {
    "mj-include": "Nothing is read from elsewhere: write the part out here.",
    "mj-raw": "Unchecked HTML is not sent: use mj-text or mj-table.",
    "mj-font": "It loads from another server at every opening: name a font that mail "
    "programs have, such as Georgia, serif.",
    "mj-carousel": "Most mail programs show its first picture only: use mj-image.",
    "mj-accordion": "Most mail programs cannot open it: use mj-text.",
    "mj-html-attributes": "Write the attribute where it belongs.",
    "script": "No mail program runs scripts: delete it.",
}

_HTML_ANY = {
    "class": CLASS,
    "style": STYLE,
    "lang": LANGUAGE,
    "dir": DIRECTION,
    "title": TEXT,
    "align": ALIGN,
}
_CELL = {
    "bgcolor": COLOUR,
    "colspan": COUNT,
    "rowspan": COUNT,
    "height": SIZE,
    "scope": _one_of("col row"),
    "valign": VERTICAL,
    "width": SIZE,
}
_PLAIN_HTML = (
    "p br hr b strong i em u s small sub sup span div code blockquote ul li "
    "h1 h2 h3 h4 thead tbody tr"
).split()
HTML_TAGS: dict[str, dict[str, Kind]] = {
    **{tag: {} for tag in _PLAIN_HTML},
    "ol": {"start": COUNT, "type": _one_of("1 a A i I")},
    "a": {"href": LINK, "target": TARGET, "data-notrack": TEXT, "rel": TEXT},
    "img": {"src": PICTURE, "alt": TEXT, "width": SIZE, "height": SIZE},
    "table": {
        "border": COUNT,
        "cellpadding": COUNT,
        "cellspacing": COUNT,
        "role": ROLE,
        "width": SIZE,
        "bgcolor": COLOUR,
    },
    "td": _CELL,
    "th": _CELL,
}
HTML_TAGS = {tag: {**_HTML_ANY, **extra} for tag, extra in HTML_TAGS.items()}
# Attributes in which {{ a value }} may stand.
VALUES_ALLOWED = frozenset({"href", "alt", "title"})
