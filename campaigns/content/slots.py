"""Slots that need no interpreter: a value with or without default, a link, a plain if.

A quick fill answers None when it takes the interpreter to tell (a number, a filter, a
value that is missing): then Liquid itself renders the slot. Both give the same bytes.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from liquid.ast import BlockNode, Node
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import (
    BooleanExpression,
    FilteredExpression,
    Path,
    PositionalArgument,
    StringLiteral,
)
from liquid.builtin.output import OutputNode
from liquid.builtin.tags.if_tag import IfNode

from campaigns.content.links import MessageLinks
from campaigns.content.liquid import Mode, clean, safe_html

Data = Mapping[str, Any]
Fill = Callable[[Data, MessageLinks], str | None]
Test = Callable[[Data, MessageLinks], bool | None]

_LINK_NAMES = ("pixel", "unsubscribe", "preferences", "web_view")
# Liquid answers these for any text or list, whatever the data hold.
_ANSWERED_BY_LIQUID = frozenset({"size", "first", "last"})


class LinkNames(Mapping[str, str]):
    """A message's links under the names a template uses: links.click_0 and so on.

    A link that a message does not have, such as the pixel without consent, is not
    there, so that {% if links.pixel %} is false.
    """

    def __init__(self, links: MessageLinks) -> None:
        self._links = links

    def __getitem__(self, name: str) -> str:
        if name.startswith("click_") and name[6:].isdecimal():
            return self._links.click(int(name[6:]))
        value = str(getattr(self._links, name)) if name in _LINK_NAMES else ""
        if not value:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(_LINK_NAMES)

    def __len__(self) -> int:
        return len(_LINK_NAMES)


@dataclass(frozen=True, slots=True)
class Slot:
    """One place to fill: the node of the template, and its quick fill if it has one."""

    node: Node
    quick: Fill | None = None

    @property
    def is_link(self) -> bool:
        return str(self.node).startswith("{{ links.")


def quick_fill(node: Node, mode: Mode) -> Fill | None:
    """A quick fill for a node, or None if only the interpreter can render it."""
    safe = safe_html if mode == "html" else clean
    if isinstance(node, OutputNode):
        return _output(node, safe)
    if isinstance(node, IfNode):
        return _condition(node, mode)
    return None


def _names(expression: object) -> tuple[str, ...]:
    """The names of a path made of names alone, such as customer.first_name."""
    if not isinstance(expression, Path):
        return ()
    names = tuple(name for name in expression.path if isinstance(name, str))
    whole = len(names) == len(expression.path)
    return names if whole and not _ANSWERED_BY_LIQUID & {*names} else ()


def _output(node: OutputNode, safe: Callable[[str], str]) -> Fill | None:
    value = node.expression
    if not isinstance(value, FilteredExpression):
        return None
    names, filters = _names(value.left), value.filters or []
    if not names or len(filters) > 1:
        return None
    if names[0] == "links":
        return _link(names[1], safe) if len(names) == 2 and not filters else None
    if not filters:
        return _value(names, None, safe)
    arguments = filters[0].args
    if filters[0].name != "default" or len(arguments) != 1:
        return None
    literal = arguments[0].value
    if not isinstance(arguments[0], PositionalArgument):
        return None
    if not isinstance(literal, StringLiteral):
        return None
    return _value(names, safe(str(literal.value)), safe)


def _value(
    names: tuple[str, ...], default: str | None, safe: Callable[[str], str]
) -> Fill:
    def fill(data: Data, links: MessageLinks) -> str | None:
        value: Any = data
        for name in names:
            if type(value) is not dict:
                return None
            value = value.get(name)
            if value is None:
                return default
        return safe(value) if type(value) is str else None

    return fill


def _link(name: str, safe: Callable[[str], str]) -> Fill | None:
    if name.startswith("click_") and name[6:].isdecimal():
        number = int(name[6:])
        return lambda data, links: safe(links.click(number))
    if name not in _LINK_NAMES:
        return None
    return lambda data, links: safe(getattr(links, name)) or None


def _condition(node: IfNode, mode: Mode) -> Fill | None:
    condition = node.condition
    if node.alternatives or node.blank or not isinstance(condition, BooleanExpression):
        return None
    names = _names(condition.expression)
    then = _body(node.consequence, mode)
    otherwise = _body(node.default, mode) if node.default else _nothing
    if not names or then is None or otherwise is None:
        return None
    test = _link_test(names) if names[0] == "links" else _value_test(names)

    def fill(data: Data, links: MessageLinks) -> str | None:
        truth = test(data, links)
        if truth is None:
            return None
        return then(data, links) if truth else otherwise(data, links)

    return fill


def _nothing(data: Data, links: MessageLinks) -> str:
    return ""


def _value_test(names: tuple[str, ...]) -> Test:
    def test(data: Data, links: MessageLinks) -> bool | None:
        value: Any = data
        for name in names:
            if type(value) is not dict:
                return None
            value = value.get(name)
            if value is None:
                return False
        return value is not False

    return test


def _link_test(names: tuple[str, ...]) -> Test:
    if len(names) != 2 or names[1] not in _LINK_NAMES:
        return lambda data, links: None
    return lambda data, links: bool(getattr(links, names[1]))


def _body(block: BlockNode, mode: Mode) -> Fill | None:
    """The inside of an if: text and quick slots, nothing else."""
    pieces: list[str | Fill] = []
    for node in block.nodes:
        if isinstance(node, ContentNode):
            pieces.append(node.text)
        elif quick := quick_fill(node, mode):
            pieces.append(quick)
        else:
            return None

    def fill(data: Data, links: MessageLinks) -> str | None:
        out = []
        for piece in pieces:
            text = piece if isinstance(piece, str) else piece(data, links)
            if text is None:
                return None
            out.append(text)
        return "".join(out)

    return fill
