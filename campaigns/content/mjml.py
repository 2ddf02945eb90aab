"""Checks a layout before the compiler sees it, and compiles it without surprises.

The binding lets unknown tags, attributes and values through in silence, reports a bare
"unable to parse", can end the process on deep nesting and panics on half-typed text,
past everything that catches Exception. So: our own reader and checks in front, nothing
but our own output handed over, and one clear error behind.
"""

import re
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from html.parser import HTMLParser

import css_inline
from mjml import mjml2html

from campaigns.content.liquid import OPENING_TAGS, scan
from campaigns.content.mjml_tags import (
    HTML_TAGS,
    MJML_TAGS,
    REFUSED,
    VALUES_ALLOWED,
    Kind,
    unsafe_css,
)
from campaigns.content.mjml_tree import (
    MAX_PROBLEMS,
    Attribute,
    Element,
    Text,
    Writer,
    parse_layout,
)
from campaigns.content.problems import TemplateError, TemplateProblem

HTML_MAX_CHARACTERS = 190_000

_BLOCK_KINDS_BY_NAME = {
    "headline": {"line"},
    "opening": {"line", "text"},
    "details": {"line", "text"},
    "closing": {"line", "text"},
    "offer": {"offer"},
    "terms": {"line", "text", "offer"},
    "button": {"line"},
    "footer": {"footer"},
}
_OUTPUT_REFUSED = frozenset(
    "script iframe frame object embed applet form input button textarea select base "
    "link svg math audio video source portal template".split()
)
_UNSAFE_IN_COMMENT = re.compile(
    r"<\s*(?:script|iframe|object|embed|form|base|link)\b|\son\w+\s*=|javascript:|"
    r"vbscript:|data:",
    re.IGNORECASE,
)


def lint(source: str) -> list[TemplateProblem]:
    """Everything wrong with a layout, with line, column and what to write instead."""
    try:
        root = parse_layout(source)
    except TemplateError as error:
        return list(error.problems)
    return lint_tree(root)


def lint_tree(root: Element) -> list[TemplateProblem]:
    """What is wrong with a layout that could be read."""
    problems = [p.within("layout") for p in _walk(root)]
    problems.sort(key=lambda problem: (problem.line, problem.column))
    return problems[:MAX_PROBLEMS]


def _at(
    where: Element | Text | Attribute, message: str, hint: str = ""
) -> TemplateProblem:
    return TemplateProblem(where.line, where.column, message, hint)


def _walk(root: Element) -> Iterator[TemplateProblem]:
    seen_blocks: set[str] = set()
    # (element, tag it stands in, what it stands in holds, is Liquid open around it)
    waiting: list[tuple[Element, str, str, bool]] = [(root, "", "tags", False)]
    while waiting:
        element, parent, place, conditional = waiting.pop()
        yield from _tag_problems(element, parent, place)
        if element.tag == "mj-block":
            yield from _block_problems(element, seen_blocks, conditional)
        yield from _attribute_problems(element, parent)
        known = MJML_TAGS.get(element.tag)
        holds = known.holds if known else "words"
        yield from _content_problems(element, holds)
        open_tags = 0
        for child in element.children:
            if type(child) is Text:
                open_tags += _opened(child.value)
            elif type(child) is Element:
                inside = conditional or open_tags > 0
                waiting.append((child, element.tag, holds, inside))
    if not any(element.tag == "mj-body" for element in root.walk()):
        yield _at(root, "<mj-body> is missing.", "Write <mj-body>…</mj-body>.")


def _opened(value: str) -> int:
    names = [token.name for token in scan(value) if token.kind == "tag"]
    closings = set(OPENING_TAGS.values())
    return sum((name in OPENING_TAGS) - (name in closings) for name in names)


def _suggest(word: str, known: Iterator[str] | list[str]) -> str:
    close = get_close_matches(word, list(known), n=1)
    return f"Did you mean {close[0]}?" if close else ""


def _tag_problems(
    element: Element, parent: str, place: str
) -> Iterator[TemplateProblem]:
    tag = element.tag
    if tag in REFUSED:
        yield _at(element, f"<{tag}> cannot be used.", REFUSED[tag])
    elif tag in MJML_TAGS:
        parents = MJML_TAGS[tag].parents
        if parent == "mj-attributes":
            return
        if parent not in parents and (parent or parents):
            hint = f"Put it into {' or '.join(sorted(parents)) or 'nothing'}."
            where = f"in <{parent}>" if parent else "on its own"
            yield _at(element, f"<{tag}> cannot stand {where}.", hint)
    elif tag in HTML_TAGS:
        if place != "words":
            hint = "Put it into <mj-text>."
            yield _at(element, f"<{tag}> cannot stand in <{parent}>.", hint)
    else:
        hint = _suggest(tag, [*MJML_TAGS, *HTML_TAGS])
        yield _at(element, f"There is no tag <{tag}>.", hint or "Delete it.")


def _block_problems(
    element: Element, seen: set[str], conditional: bool
) -> Iterator[TemplateProblem]:
    name, kind = element.get("name"), element.get("kind") or "text"
    known = ", ".join(_BLOCK_KINDS_BY_NAME)
    if name not in _BLOCK_KINDS_BY_NAME:
        hint = _suggest(name, list(_BLOCK_KINDS_BY_NAME)) or f"Use one of: {known}."
        yield _at(element, f"There is no block {name!r}.", hint)
        return
    if name in seen:
        yield _at(element, f"The block {name} stands twice.", "Keep one of them.")
    seen.add(name)
    if kind not in _BLOCK_KINDS_BY_NAME[name]:
        kinds = " or ".join(sorted(_BLOCK_KINDS_BY_NAME[name]))
        yield _at(element, f"The block {name} is no {kind}.", f'Write kind="{kinds}".')
    if conditional and name == "footer":
        yield _at(
            element,
            "The footer stands inside {% … %} and could be left out.",
            "Put it outside: every mail needs its address and its way out.",
        )


def _attribute_problems(element: Element, parent: str) -> Iterator[TemplateProblem]:
    known: dict[str, Kind] | None = None
    if element.tag in MJML_TAGS:
        known = MJML_TAGS[element.tag].attributes
        if parent == "mj-attributes":
            known = _DEFAULTS | known
    elif element.tag in HTML_TAGS:
        known = HTML_TAGS[element.tag]
    if known is None:
        return
    for name, attribute in element.attributes.items():
        kind = known.get(name)
        if kind is None:
            hint = _suggest(name, list(known)) or (
                f"It knows {', '.join(sorted(known))}." if known else "Delete it."
            )
            message = f"<{element.tag}> has no attribute {name}."
            yield _at(attribute, message, hint)
            continue
        has_liquid = any(token.kind != "text" for token in scan(attribute.value))
        if has_liquid and name not in VALUES_ALLOWED:
            message = f"{name} cannot hold {{{{ a value }}}}."
            yield _at(attribute, message, f'Write it out, such as "{kind.example}".')
        elif not kind.fits(attribute.value):
            message = f'{name}="{attribute.value[:60]}" cannot be used.'
            yield _at(attribute, message, f"Write it like {kind.example}.")


# mj-attributes sets defaults: any attribute that any tag knows.
_DEFAULTS = {
    name: kind for tag in MJML_TAGS.values() for name, kind in tag.attributes.items()
}


def _content_problems(element: Element, holds: str) -> Iterator[TemplateProblem]:
    for child in element.children:
        if type(child) is Element:
            if holds in {"nothing", "text", "style"}:
                message = f"<{element.tag}> holds no tags."
                yield _at(child, message, f"Move <{child.tag}> out of it.")
            continue
        if type(child) is not Text:
            continue
        if holds == "style":
            if match := unsafe_css(child.value):
                message = f"A style cannot hold {match.group()!r}."
                yield _at(child, message, "Nothing may be loaded, run or hidden.")
            continue
        words = "".join(t.source for t in scan(child.value) if t.kind == "text").strip()
        outputs = any(token.kind == "output" for token in scan(child.value))
        if holds == "nothing" and child.value.strip():
            yield _at(child, f"<{element.tag}> holds nothing.", "Delete the text.")
        elif holds == "tags" and (words or outputs):
            message = f"Text cannot stand in <{element.tag}>."
            yield _at(child, message, "Put it into <mj-text>.")
    if holds in {"tags", "words", "text"}:
        opened = sum(_opened(c.value) for c in element.children if type(c) is Text)
        if opened:
            yield _at(
                element,
                f"A {{% … %}} begins inside <{element.tag}> and ends outside, or the "
                "other way round.",
                "Open and close it within the same tag.",
            )


def compile_layout(source: str) -> str:
    """A layout, checked and compiled to HTML, Liquid intact. Raises TemplateError."""
    root = parse_layout(source)
    if problems := lint_tree(root):
        raise TemplateError(problems)
    return compile_tree(root)


def compile_tree(root: Element) -> str:
    """A checked tree as HTML, Liquid intact.

    Styles marked inline="inline" are written into the tags they mean. Raises
    TemplateError if the compiler refuses, panics, or makes what a mail must not hold.
    """
    writer = Writer()
    head_styles, inline_css = _split_styles(root)
    html = _run_compiler(writer.to_mjml(head_styles))
    if inline_css:
        html = _with_inline_styles(html, inline_css)
    if len(html) > HTML_MAX_CHARACTERS:
        message = f"The mail has {len(html):,} characters of HTML."
        raise _refusal(message, "Take something out.")
    _verify(html)
    return writer.restore(html)


def _refusal(message: str, hint: str) -> TemplateError:
    return TemplateError([TemplateProblem(1, 1, message, hint, "layout")])


def _run_compiler(mjml: str) -> str:
    # Without its list of fonts the compiler links to no font of other servers.
    return _answer_of(
        lambda: str(mjml2html(mjml, fonts={})), "The layout could not be compiled"
    )


def _with_inline_styles(html: str, css: str) -> str:
    inliner = css_inline.CSSInliner(
        inline_style_tags=False,
        keep_style_tags=True,
        load_remote_stylesheets=False,
        extra_css=css,
    )
    return _answer_of(
        lambda: str(inliner.inline(html)), "The inline styles could not be read"
    )


def _answer_of(native: Callable[[], str], refusal: str) -> str:
    try:
        return native()
    except ValueError as error:
        message = f"{refusal}: {str(error)[:200]}."
        raise _refusal(message, "Undo the last change.") from None
    except BaseException as error:
        # A panic in Rust derives from BaseException, so that nothing catches it.
        if type(error).__name__ != "PanicException":
            raise
        message = f"{refusal}: the compiler gave up."
        raise _refusal(message, "Undo the last change.") from None


def _split_styles(root: Element) -> tuple[Element, str]:
    """The tree without the styles to be written into tags, and these styles."""
    inline: list[str] = []

    def kept(element: Element) -> Element:
        children: list[Element | Text] = []
        for child in element.children:
            if type(child) is Element and child.tag == "mj-design":
                continue
            if type(child) is Element and child.get("inline") == "inline":
                inline.extend(t.value for t in child.children if type(t) is Text)
                continue
            children.append(child)
        return Element(element.tag, element.attributes, children)

    children = [
        kept(child) if type(child) is Element and child.tag == "mj-head" else child
        for child in root.children
    ]
    return Element(root.tag, root.attributes, children), "\n".join(inline)


class _Verifier(HTMLParser):
    """Looks once more at what was compiled: nothing in it may run or load."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _OUTPUT_REFUSED:
            self.found.append(f"<{tag}>")
        for name, value in attrs:
            scheme = re.sub(r"[\s\x00-\x1f]", "", value or "").lower()
            if name.startswith("on") or name in {"srcdoc", "formaction"}:
                self.found.append(name)
            elif name == "http-equiv" and scheme == "refresh":
                self.found.append("a refresh")
            elif scheme.startswith(("javascript:", "vbscript:", "data:")):
                self.found.append(scheme.split(":")[0])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_comment(self, data: str) -> None:
        if match := _UNSAFE_IN_COMMENT.search(data):
            self.found.append(match.group().strip())


def _verify(html: str) -> None:
    verifier = _Verifier()
    verifier.feed(html)
    verifier.close()
    if verifier.found:
        message = f"The mail would hold {verifier.found[0]}."
        raise _refusal(message, "Nothing in a mail may run or load by itself.")
