"""A mail split once into what is the same for all and what is filled in per person.

The top level of a template decides: text stays, every {{ value }} and every whole
{% block %} is one slot. Rendering fills the slots and joins; the result is, byte for
byte, what rendering the whole template gives.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from liquid import RenderContext
from liquid.ast import Node
from liquid.builtin.content import ContentNode
from liquid.builtin.tags.assign_tag import AssignNode
from liquid.output import LimitedStringIO
from liquid.template import BoundTemplate

from campaigns.content.links import MessageLinks
from campaigns.content.liquid import (
    OUTPUT_MAX_BYTES,
    Mode,
    clear_errors,
    parse,
    render_whole,
    walk,
)
from campaigns.content.problems import TemplateError, TemplateProblem
from campaigns.content.slots import LinkNames, Slot, quick_fill


@dataclass(frozen=True)
class Skeleton:
    """A template, kept as its source; static text and slots are worked out once.

    len(static) == len(slots) + 1.
    """

    source: str
    mode: Mode

    @cached_property
    def _template(self) -> BoundTemplate:
        return parse(self.source, self.mode)

    @cached_property
    def _split(self) -> tuple[tuple[str, ...], tuple[Slot, ...]]:
        static, slots = [""], []
        # What {% assign %} sets, any later slot may ask for: no short cut then.
        simple = not any(isinstance(node, AssignNode) for node in walk(self._template))
        for node in self._template.nodes:
            if isinstance(node, ContentNode):
                static[-1] += node.text
            else:
                quick = quick_fill(node, self.mode) if simple else None
                slots.append(Slot(node, quick))
                static.append("")
        return tuple(static), tuple(slots)

    @property
    def static(self) -> tuple[str, ...]:
        return self._split[0]

    @property
    def slots(self) -> tuple[Slot, ...]:
        return self._split[1]

    def check(self) -> None:
        """Raise TemplateError now rather than at the first message."""
        if len(self.static) != len(self.slots) + 1:
            raise TemplateError([TemplateProblem(1, 1, "Slots and text do not match.")])

    def slot_values(self, data: Mapping[str, Any], links: MessageLinks) -> list[str]:
        """What goes into each slot for one person, ready to stand there.

        data: as `plain_data` returns it. Raises UndefinedValue or TemplateError.
        """
        context: RenderContext | None = None
        values: list[str] = []
        size = 0
        for slot in self.slots:
            text = slot.quick(data, links) if slot.quick else None
            if text is None:
                context = context or RenderContext(
                    self._template, globals={**data, "links": LinkNames(links)}
                )
                with clear_errors(self.source):
                    text = _rendered(slot.node, context)
            values.append(text)
            size += len(text)
            if size > OUTPUT_MAX_BYTES:  # stop before memory does
                raise _too_big(size)
        return values

    def render(self, data: Mapping[str, Any], links: MessageLinks) -> str:
        """The mail, or its part, as this person gets it."""
        return self.filled(self.slot_values(data, links))

    def filled(self, values: Sequence[str]) -> str:
        """The part with these values in its slots. Raises TemplateError if too big."""
        static, _ = self._split
        parts = [""] * (2 * len(static) - 1)
        parts[::2] = static
        parts[1::2] = values
        text = "".join(parts)
        if 4 * len(text) > OUTPUT_MAX_BYTES and _bytes(text) > OUTPUT_MAX_BYTES:
            raise _too_big(_bytes(text))
        return text

    def check_size(self, values: Sequence[str]) -> None:
        """Raise TemplateError where `filled` would, mostly without joining."""
        if 4 * (self._characters + sum(map(len, values))) > OUTPUT_MAX_BYTES:
            self.filled(values)

    @cached_property
    def _characters(self) -> int:
        return sum(map(len, self.static))

    def render_whole(self, data: Mapping[str, Any], links: MessageLinks) -> str:
        """The same by the interpreter alone: the reference for `render`."""
        everything = {**data, "links": LinkNames(links)}
        return render_whole(self._template, self.source, everything)


def _too_big(size: int) -> TemplateError:
    message = f"The mail has {size:,} bytes."
    hint = f"At most {OUTPUT_MAX_BYTES:,} are sent: take something out."
    return TemplateError([TemplateProblem(1, 1, message, hint)])


def _bytes(text: str) -> int:
    return len(text.encode(errors="replace"))


def _rendered(node: Node, context: RenderContext) -> str:
    buffer = LimitedStringIO(limit=OUTPUT_MAX_BYTES)
    node.render(context, buffer)
    return buffer.getvalue()
