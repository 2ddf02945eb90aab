"""A layout as a tree, read strictly, with the place of everything.

The compiler only ever sees what `to_mjml` writes from a tree: what we checked is what
it reads. Liquid travels as stand-ins, so that no mark-up reader can trip over it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape, unescape

from campaigns.content.liquid import Token, scan
from campaigns.content.problems import TemplateError, TemplateProblem, position

# The compiler recurses: about 560 levels end a process with a small stack.
MAX_DEPTH = 100
MAX_CHARACTERS = 100_000
MAX_ELEMENTS = 3_000
MAX_PROBLEMS = 20
VOID_TAGS = frozenset({"br", "hr", "img"})
STAND_IN = "zqattune"

_FILLER = "\ue000"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_SPACE = re.compile(r"\s*")
_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9:_-]*")
_VALUE = re.compile(r"\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")


@dataclass(slots=True)
class Attribute:
    value: str
    line: int = 0
    column: int = 0


@dataclass(slots=True)
class Text:
    """Words between tags: entities read, Liquid as it was."""

    value: str
    line: int = 0
    column: int = 0


@dataclass(slots=True)
class Element:
    tag: str
    attributes: dict[str, Attribute] = field(default_factory=dict)
    children: list["Element | Text"] = field(default_factory=list)
    line: int = 0
    column: int = 0

    def get(self, name: str) -> str:
        found = self.attributes.get(name)
        return found.value if found else ""

    def walk(self) -> Iterator["Element"]:
        """This element and all below it, in the order they stand."""
        waiting = [self]
        while waiting:
            element = waiting.pop()
            yield element
            waiting.extend(c for c in reversed(element.children) if type(c) is Element)

    def texts(self) -> Iterator[Text]:
        for element in self.walk():
            yield from (child for child in element.children if type(child) is Text)


def parse_layout(source: str) -> Element:
    """Read a layout. Raises TemplateError with every problem of its syntax."""
    if len(source) > MAX_CHARACTERS:
        message = (
            f"A layout has at most {MAX_CHARACTERS:,} characters; this one has "
            f"{len(source):,}."
        )
        raise TemplateError([TemplateProblem(1, 1, message, "Take something out.")])
    reader = _Reader(source)
    root = reader.read()
    if reader.problems:
        raise TemplateError(p.within("layout") for p in reader.problems[:MAX_PROBLEMS])
    return root


class _Reader:
    """One pass over a layout, Liquid covered up by filler of the same length."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.problems: list[TemplateProblem] = []
        self.root = Element("")
        self.stack = [self.root]
        self.count = 0
        self.taken = 0
        try:
            self.liquid = [token for token in scan(source) if token.kind != "text"]
        except TemplateError as error:
            self.liquid = []
            self.problems += error.problems
        covered = source.replace(_FILLER, " ")
        self.covered = _cover(covered, self.liquid)

    def complain(self, index: int, message: str, hint: str = "") -> None:
        line, column = position(self.source, index)
        self.problems.append(TemplateProblem(line, column, message, hint))

    def read(self) -> Element:
        if self.problems:
            return self.root
        if match := re.search(
            r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]", self.source
        ):
            self.complain(match.start(), f"{match.group()!a} is no text.", "Delete it.")
            return self.root
        if (index := self.source.find(STAND_IN)) >= 0:
            self.complain(index, f"The word {STAND_IN} is reserved.", "Use another.")
            return self.root
        index = 0
        while index < len(self.covered) and len(self.problems) < MAX_PROBLEMS:
            index = self._step(index)
        too_deep = len(self.stack) > MAX_DEPTH
        for element in [] if too_deep else self.stack[1:]:
            self.problems.append(
                TemplateProblem(
                    element.line,
                    element.column,
                    f"<{element.tag}> is not closed.",
                    f"Write </{element.tag}> where it ends.",
                )
            )
        return self._only_root()

    def _only_root(self) -> Element:
        roots = [c for c in self.root.children if type(c) is Element]
        stray = [c for c in self.root.children if type(c) is Text and c.value.strip()]
        if not self.problems and (len(roots) != 1 or roots[0].tag != "mjml" or stray):
            self.complain(
                0,
                "A layout is one <mjml> element.",
                "Put everything between <mjml> and </mjml>.",
            )
        return roots[0] if roots else self.root

    def _step(self, index: int) -> int:
        """Read what stands at `index`; returns where the next thing begins."""
        if self.stack[-1].tag == "mj-style":
            return self._style(index)
        following = self.covered.find("<", index)
        end = len(self.covered) if following < 0 else following
        if end > index:
            self._text(index, end)
            return end
        if self.covered.startswith("<!--", index):
            return self._comment(index)
        if self.covered.startswith("</", index):
            return self._closing(index)
        if name := _NAME.match(self.covered, index + 1):
            return self._opening(index, name)
        self.complain(index, "A bare < is no tag.", "Write &lt; for the sign itself.")
        return index + 1

    def _text(self, start: int, end: int) -> None:
        text = self._decoded(start, end)
        line, column = position(self.source, start)
        self.stack[-1].children.append(Text(text, line, column))

    def _decoded(self, start: int, end: int) -> str:
        """The source from start to end, entities read, Liquid as it was."""
        pieces: list[str] = []
        done = start
        for token in self._liquid_between(start, end):
            pieces.append(unescape(self.source[done : token.start]))
            pieces.append(token.source)
            done = token.start + len(token.source)
        pieces.append(unescape(self.source[done:end]))
        # What an entity spells must not become Liquid, nor half of a tag.
        if any("{{" in piece or "{%" in piece for piece in pieces[::2]):
            self.complain(start, "An entity spells {{ or {%.", "Write it plainly.")
        return "".join(pieces)

    def _liquid_between(self, start: int, end: int) -> list[Token]:
        # Tokens are in order and every one is asked for once.
        found = []
        while self.taken < len(self.liquid) and self.liquid[self.taken].start < end:
            if (token := self.liquid[self.taken]).start >= start:
                found.append(token)
            self.taken += 1
        return found

    def _style(self, index: int) -> int:
        end = self.source.lower().find("</mj-style", index)
        if end < 0:
            end = len(self.source)
        if end > index:
            line, column = position(self.source, index)
            self.stack[-1].children.append(Text(self.source[index:end], line, column))
        return self._closing(end) if end < len(self.source) else end

    def _comment(self, index: int) -> int:
        end = self.source.find("-->", index + 4)
        if end < 0:
            self.complain(index, "A comment is not closed.", "Write --> after it.")
            return len(self.source)
        if self.source[index + 4 : end].lstrip().startswith(("[", "<!")):
            self.complain(
                index,
                "Conditions for Outlook are written by the compiler.",
                "Delete them; mj-section and mj-column bring their own.",
            )
        self._liquid_between(index, end)
        return end + 3

    def _closing(self, index: int) -> int:
        name = _NAME.match(self.covered, index + 2)
        end = self.covered.find(">", index)
        if not name or end < 0 or self.covered[name.end() : end].strip():
            self.complain(index, "A closing tag is not complete.", "Write </mj-text>.")
            return len(self.covered) if end < 0 else end + 1
        tag = name.group().lower()
        open_tags = [element.tag for element in self.stack[1:]]
        if tag in VOID_TAGS and tag not in open_tags:
            hint = f"Write <{tag}>, it has no end."
            self.complain(index, f"</{tag}> closes nothing.", hint)
        elif tag not in open_tags:
            self.complain(
                index,
                f"</{tag}> closes nothing.",
                f"Open <{tag}> before, or delete it.",
            )
        else:
            while (element := self.stack.pop()).tag != tag:
                self.problems.append(
                    TemplateProblem(
                        element.line,
                        element.column,
                        f"<{element.tag}> is not closed before </{tag}>.",
                        f"Write </{element.tag}> where it ends.",
                    )
                )
        return end + 1

    def _opening(self, index: int, name: re.Match[str]) -> int:
        line, column = position(self.source, index)
        element = Element(name.group().lower(), line=line, column=column)
        at, closed_itself = self._attributes(element, name.end())
        self.count += 1
        self.stack[-1].children.append(element)
        if len(self.stack) > MAX_DEPTH or self.count > MAX_ELEMENTS:
            self.complain(
                index,
                f"A layout has at most {MAX_DEPTH} levels and {MAX_ELEMENTS:,} tags.",
                "Take some out.",
            )
            return len(self.covered)
        if not closed_itself and element.tag not in VOID_TAGS:
            self.stack.append(element)
        return at

    def _attributes(self, element: Element, at: int) -> tuple[int, bool]:
        """Read attributes up to > or />; returns where the tag ends, and which."""
        while True:
            at = self._skip_space(at)
            if self.covered.startswith("/>", at):
                return at + 2, True
            if self.covered.startswith(">", at):
                return at + 1, False
            name = _ATTRIBUTE.match(self.covered, at)
            if not name:
                self.complain(
                    at,
                    f"<{element.tag}> is not complete.",
                    'Attributes read name="value"; a tag ends with >.',
                )
                end = self.covered.find(">", at)
                return (len(self.covered) if end < 0 else end + 1), False
            value = _VALUE.match(self.covered, name.end())
            if not value:
                self.complain(
                    at,
                    f"{name.group()} has no value in quotes.",
                    f'Write {name.group()}="…".',
                )
                end = self.covered.find(">", at)
                return (len(self.covered) if end < 0 else end + 1), False
            self._attribute(element, name, value)
            at = value.end()

    def _skip_space(self, at: int) -> int:
        match = _SPACE.match(self.covered, at)
        return match.end() if match else at

    def _attribute(
        self, element: Element, name: re.Match[str], value: re.Match[str]
    ) -> None:
        group = 1 if value[1] is not None else 2
        start, end = value.span(group)
        key = name.group().lower()
        if key in element.attributes:
            self.complain(name.start(), f"{key} stands twice.", "Keep one of them.")
        if "<" in self.covered[start:end]:
            self.complain(
                start, f"{key} holds a <.", "Close its quotes, or write &lt;."
            )
        text = self._decoded(start, end)
        line, column = position(self.source, name.start())
        element.attributes[key] = Attribute(text, line, column)


def parse_fragment(html: str) -> list[Element | Text]:
    """Nodes of HTML that we wrote ourselves."""
    return parse_layout(f"<mjml>{html}</mjml>").children


def _cover(source: str, liquid: list[Token]) -> str:
    pieces, done = [], 0
    for token in liquid:
        pieces += [source[done : token.start], _FILLER * len(token.source)]
        done = token.start + len(token.source)
    return "".join([*pieces, source[done:]])


class Writer:
    """Writes a tree as MJML, Liquid behind stand-ins that `restore` takes out again."""

    def __init__(self) -> None:
        self.tokens: list[str] = []

    def hold(self, source: str, *, quote: bool = False) -> str:
        """`source` with its static text escaped and its Liquid put aside."""
        pieces = []
        for token in scan(source):
            if token.kind == "text":
                pieces.append(escape(token.source, quote=quote))
            else:
                pieces.append(f"{STAND_IN}{len(self.tokens)}z")
                self.tokens.append(token.source)
        return "".join(pieces)

    def restore(self, text: str) -> str:
        return re.sub(
            rf"<!--{STAND_IN}(\d+)z-->|{STAND_IN}(\d+)z",
            lambda match: self.tokens[int(match[1] or match[2])],
            text,
        )

    def to_mjml(self, root: Element) -> str:
        """`root` as well-formed MJML. Liquid between containers goes into mj-raw."""
        out: list[str] = []
        waiting: list[Element | str] = [root]
        while waiting:
            item = waiting.pop()
            if isinstance(item, str):
                out.append(item)
                continue
            attributes = "".join(
                f' {name}="{self.hold(a.value, quote=True)}"'
                for name, a in item.attributes.items()
            )
            if not item.children:
                end = "/>" if item.tag in VOID_TAGS else f"></{item.tag}>"
                out.append(f"<{item.tag}{attributes}{end}")
                continue
            out.append(f"<{item.tag}{attributes}>")
            waiting.append(f"</{item.tag}>")
            waiting.extend(
                self._text(child, item) if isinstance(child, Text) else child
                for child in reversed(item.children)
            )
        return "".join(out)

    def _text(self, text: Text, parent: Element) -> str:
        if parent.tag == "mj-style":
            return text.value
        if parent.tag not in CONTAINERS:
            return self.hold(text.value)
        # Between rows of a table a comment stays where it is; text would be moved out.
        held = self.hold(text.value.strip())
        raw = re.sub(rf"{STAND_IN}\d+z", r"<!--\g<0>-->", held)
        return f"<mj-raw>{raw}</mj-raw>" if held else ""


CONTAINERS = frozenset(
    "mjml mj-head mj-body mj-wrapper mj-section mj-group mj-column mj-hero "
    "mj-attributes mj-accordion mj-accordion-element mj-navbar mj-social".split()
)
