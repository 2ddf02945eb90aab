"""What a marketer may write between {{ }} and {% %}, and what it may cost.

Few tags, few filters, plain data: no attribute of an object can be reached, nothing can
be included, and everything that grows is bounded. A value is made safe where it is
written out, in one place, whatever filters it went through: literals included.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from itertools import islice
from typing import Any, Literal, TextIO

from liquid import Environment, RenderContext, TokenStream
from liquid.ast import Node
from liquid.builtin import content, illegal
from liquid.builtin.expressions import FilteredExpression, LoopExpression, Path
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags import (
    assign_tag,
    case_tag,
    comment_tag,
    for_tag,
    if_tag,
    inline_comment_tag,
    unless_tag,
)
from liquid.exceptions import (
    LiquidError,
    UndefinedError,
)
from liquid.expression import Expression
from liquid.template import BoundTemplate
from liquid.undefined import FalsyStrictUndefined

from campaigns.content.liquid_filters import (
    FILTERS,
    LOOP_MAX_ROUNDS,
    charge,
    guarded_filter,
    refuse_huge,
    written,
)
from campaigns.content.problems import (
    TemplateError,
    TemplateProblem,
    UndefinedValue,
    position,
    problem_at,
)

Mode = Literal["html", "text", "line"]

# A compiled mail; what a marketer writes has its own, lower limits.
SOURCE_MAX_CHARACTERS = 200_000
TOKEN_MAX_CHARACTERS = 1_000
OUTPUT_MAX_BYTES = 200_000
FILTERS_MAX = 8
BLOCKS_MAX_DEPTH = 10
# More of them at once help nobody.
PROBLEMS_MAX = 20

OPENING_TAGS = {"if": "endif", "unless": "endunless", "case": "endcase"}
OPENING_TAGS |= {"for": "endfor", "comment": "endcomment"}
_INNER_TAGS = {"else", "elsif", "when", "break", "continue", "assign", "#"}
_ALLOWED_TAGS = OPENING_TAGS.keys() | set(OPENING_TAGS.values()) | _INNER_TAGS

# Controls and other line ends become a space, direction overrides and isolates vanish
# (a name could turn round the rest of the line), half characters become a mark.
_CLEANED: dict[int, str | None] = dict.fromkeys(range(0x20), " ")
_CLEANED |= dict.fromkeys([*range(0x7F, 0xA0), 0x2028, 0x2029], " ")
_CLEANED |= dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
_CLEANED |= dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
_UNCLEAN = re.compile("[" + "".join(map(re.escape, map(chr, _CLEANED))) + "]")
_NOT_PLAIN = re.compile(_UNCLEAN.pattern[:-1] + "&<>\"']")


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a template: text as it is, {{ output }} or {% tag %}."""

    kind: Literal["text", "output", "tag"]
    source: str
    start: int

    @property
    def name(self) -> str:
        """The name of a tag, such as "if"; empty for what has none."""
        match = re.match(r"\{%-?\s*(#|\w*)", self.source)
        return match[1] if match else ""


def scan(source: str) -> list[Token]:
    """Split a template into its pieces, in linear time.

    Raises TemplateError if {{ or {% is not closed, or holds more than 1,000 characters.
    """
    tokens: list[Token] = []
    done = 0
    for match in re.finditer(r"\{[{%]", source):
        start = match.start()
        if start < done:
            continue
        closing = "}}" if match.group() == "{{" else "%}"
        end = source.find(closing, start + 2, start + TOKEN_MAX_CHARACTERS)
        again = re.compile(r"\{[{%]").search(source, start + 2, max(end, start + 2))
        if end < 0 or again:
            raise TemplateError(
                [
                    problem_at(
                        source,
                        start,
                        f"{match.group()} is not closed.",
                        f"Write {closing} after it, within "
                        f"{TOKEN_MAX_CHARACTERS:,} characters.",
                    )
                ]
            )
        if start > done:
            tokens.append(Token("text", source[done:start], done))
        done = end + 2
        kind: Literal["output", "tag"] = "output" if closing == "}}" else "tag"
        tokens.append(Token(kind, source[start:done], start))
    if done < len(source):
        tokens.append(Token("text", source[done:], done))
    return tokens


class _Undefined(FalsyStrictUndefined):
    """A value we do not have: false in {% if %}, an error wherever it is used."""

    __slots__ = ()


def clean(value: str) -> str:
    """`value` without control characters, line ends and direction overrides."""
    return value.translate(_CLEANED) if _UNCLEAN.search(value) else value


def safe_html(value: str) -> str:
    """`value`, clean and escaped, for HTML text and attributes in quotes."""
    return escape(clean(value)) if _NOT_PLAIN.search(value) else value


class _OutputNode(OutputNode):
    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        text = written(self.expression.evaluate(context))
        in_html = isinstance(context.env, MailEnvironment) and context.env.escapes
        return buffer.write(safe_html(text) if in_html else clean(text))


class _Output(Output):
    node_class = _OutputNode


class _BoundedLoop(LoopExpression):
    """A loop that is paid for before its first round: rounds times what it holds."""

    characters = 0

    def _to_iter(
        self, obj: object, context: RenderContext
    ) -> tuple[Iterator[Any], int]:
        refuse_huge(obj)
        return super()._to_iter(obj, context)

    def evaluate(self, context: RenderContext) -> tuple[Iterator[object], int]:
        rounds, length = super().evaluate(context)
        charge(context, length * self.characters)
        return rounds, length


class _ForTag(for_tag.ForTag):
    def parse(self, stream: TokenStream) -> Node:
        node = super().parse(stream)
        if isinstance(node, for_tag.ForNode):
            loop = node.expression
            node.expression = bounded = _BoundedLoop(
                loop.token,
                loop.identifier,
                loop.iterable,
                limit=loop.limit,
                offset=loop.offset,
                reversed_=loop.reversed,
                cols=loop.cols,
            )
            bounded.characters = stream.current.start_index - node.token.start_index
        return node


_TAGS = (
    content.Literal,
    _Output,
    illegal.Illegal,
    if_tag.IfTag,
    unless_tag.UnlessTag,
    case_tag.CaseTag,
    _ForTag,
    for_tag.BreakTag,
    for_tag.ContinueTag,
    assign_tag.AssignTag,
    comment_tag.CommentTag,
    inline_comment_tag.InlineCommentTag,
)


class MailEnvironment(Environment):
    """Liquid as this house speaks it, for one place: html, text or a single line."""

    block_nesting_limit = BLOCKS_MAX_DEPTH
    context_depth_limit = 4 + BLOCKS_MAX_DEPTH
    loop_iteration_limit = LOOP_MAX_ROUNDS
    local_namespace_limit = 20_000
    output_stream_limit = OUTPUT_MAX_BYTES

    def __init__(self, mode: Mode) -> None:
        super().__init__(undefined=_Undefined)
        self.escapes = mode == "html"

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        for tag in _TAGS:
            self.add_tag(tag)
        for name, filter_ in FILTERS.items():
            self.add_filter(name, guarded_filter(filter_))


@lru_cache(maxsize=3)
def environment(mode: Mode) -> MailEnvironment:
    return MailEnvironment(mode)


_HINTS = {
    "UnknownFilterError": f"Use one of: {', '.join(sorted(FILTERS))}.",
    "BlockNestingError": f"Nest at most {BLOCKS_MAX_DEPTH} blocks.",
    "ContextDepthError": f"Nest at most {BLOCKS_MAX_DEPTH} blocks.",
    "LoopIterationLimitError": f"A mail loops at most {LOOP_MAX_ROUNDS:,} times.",
    "OutputStreamLimitError": f"A mail has at most {OUTPUT_MAX_BYTES // 1000} kB.",
    "LiquidTypeError": "Name one value, such as customer.first_name.",
    "LocalNamespaceLimitError": "Assign fewer or shorter values.",
}
_DEFAULT_HINT = 'Write {{ customer.first_name | default: "there" }} or {% if … %}.'
_NAME = re.compile(r"[\w.\[\]\"'-]+")


def _explained(error: LiquidError, source: str) -> TemplateProblem:
    token = error.token
    if token is not None and token.source == source and token.start_index >= 0:
        line, column = position(source, token.start_index)
    else:
        line, column = position(source, _first_wrong(source))
    message = str(error.message or "this cannot be read").rstrip(".")
    hint = _HINTS.get(type(error).__name__, _DEFAULT_HINT)
    return TemplateProblem(line, column, f"{message[:1].upper()}{message[1:]}.", hint)


_PROBES = {
    "elsif": "{{% if true %}}{}{{% endif %}}",
    "when": "{{% case 1 %}}{}{{% endcase %}}",
}
_PROBES |= {name: f"{{}}{{{{% {end} %}}}}" for name, end in OPENING_TAGS.items()}


def _first_wrong(source: str) -> int:
    """Where the first piece stands that cannot be read by itself; 0 if all can."""
    probes = [
        (token.start, _PROBES.get(token.name, "{}").format(token.source))
        for token in scan(source)
        if token.kind != "text" and token.name not in {"else", *OPENING_TAGS.values()}
    ]
    # By halves: thousands of pieces, each tried alone, would take seconds.
    while len(probes) > 1:
        half = probes[: len(probes) // 2]
        probes = half if not _reads(half) else probes[len(half) :]
    return probes[0][0] if probes and not _reads(probes) else 0


def _reads(probes: list[tuple[int, str]]) -> bool:
    try:
        environment("text").from_string("".join(probe for _, probe in probes))
    except LiquidError:
        return False
    return True


def _name_at(error: UndefinedError, source: str) -> str:
    """What was asked for, as the template spells it."""
    token = error.token
    here = token is not None and token.source == source
    if here and (match := _NAME.match(source, token.start_index if token else 0)):
        return match.group()
    return str(error.message).split(" is undefined")[0].strip("'")


@contextmanager
def clear_errors(source: str) -> Iterator[None]:
    """Turn whatever Liquid raises into TemplateError or UndefinedValue."""
    try:
        yield
    except UndefinedError as error:
        raise UndefinedValue(_name_at(error, source)) from None
    except LiquidError as error:
        raise TemplateError([_explained(error, source)]) from None
    except (ArithmeticError, RecursionError, TypeError, ValueError) as error:
        if isinstance(error, TemplateError | UndefinedValue):
            raise
        problem = TemplateProblem(1, 1, f"This cannot be worked out: {error}.")
        raise TemplateError([problem]) from None


def parse(source: str, mode: Mode) -> BoundTemplate:
    """Read a template once. Raises TemplateError with line, column and a hint."""
    problems = [*_size_problems(source)]
    if problems:
        raise TemplateError(problems)
    if problems := _tag_problems(source):
        raise TemplateError(problems)
    with clear_errors(source):
        template = environment(mode).from_string(source)
    if problems := _expression_problems(template, source):
        raise TemplateError(problems)
    return template


def check(source: str, mode: Mode, part: str = "") -> None:
    """Raise TemplateError, naming `part`, if a template cannot be used."""
    try:
        parse(source, mode)
    except TemplateError as error:
        raise TemplateError(p.within(part) for p in error.problems) from None


def _size_problems(source: str) -> Iterator[TemplateProblem]:
    if len(source) > SOURCE_MAX_CHARACTERS:
        yield TemplateProblem(
            1,
            1,
            f"A template has at most {SOURCE_MAX_CHARACTERS:,} characters; this one "
            f"has {len(source):,}.",
            "Take text out; mail programs cut long mails off anyway.",
        )
    if match := re.search(r"[\x00\ud800-\udfff]", source):
        yield problem_at(
            source, match.start(), f"{match.group()!a} is no text.", "Delete it."
        )


def _tag_problems(source: str) -> list[TemplateProblem]:
    return list(islice(_each_tag_problem(source), PROBLEMS_MAX))


def _each_tag_problem(source: str) -> Iterator[TemplateProblem]:
    opened: list[Token] = []
    loops = 0
    for token in scan(source):
        if token.kind != "tag":
            continue
        name = token.name
        if name not in _ALLOWED_TAGS:
            what = f"{{% {name} %}}" if name else "{% without a name"
            hint = f"Use one of: {', '.join(sorted(OPENING_TAGS))}, assign."
            message = f"{what} is not a tag a mail can use."
            yield problem_at(source, token.start, message, hint)
        elif name in OPENING_TAGS:
            opened.append(token)
            loops += name == "for"
        elif name in OPENING_TAGS.values():
            if opened and OPENING_TAGS[opened[-1].name] == name:
                loops -= opened.pop().name == "for"
                continue
            hint = (
                f"Close {{% {opened[-1].name} %}} with "
                f"{{% {OPENING_TAGS[opened[-1].name]} %}} first."
                if opened
                else "Delete it, or open it before."
            )
            message = f"{{% {name} %}} closes nothing."
            yield problem_at(source, token.start, message, hint)
        elif name in {"break", "continue"} and not loops:
            message = f"{{% {name} %}} stands outside of a loop."
            yield problem_at(source, token.start, message, "Delete it.")
    for token in opened:
        hint = f"Write {{% {OPENING_TAGS[token.name]} %}} where it ends."
        message = f"{{% {token.name} %}} is not closed."
        yield problem_at(source, token.start, message, hint)


def walk(template: BoundTemplate) -> Iterator[Node]:
    """Every node of a template, the outer before the inner."""
    nothing = RenderContext(template)
    waiting = list(reversed(template.nodes))
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(list(node.children(nothing))))


def _expressions(node: Node) -> Iterator[Expression]:
    waiting = list(node.expressions())
    while waiting:
        expression = waiting.pop()
        yield expression
        waiting.extend(expression.children())


def _expression_problems(template: BoundTemplate, source: str) -> list[TemplateProblem]:
    return list(islice(_each_expression_problem(template, source), PROBLEMS_MAX))


def _each_expression_problem(
    template: BoundTemplate, source: str
) -> Iterator[TemplateProblem]:
    env = template.env
    for node in walk(template):
        for expression in _expressions(node):
            if isinstance(expression, Path) and expression.path[0] in {"now", "today"}:
                message = f"A mail has no clock: {expression.path[0]} is not known."
                hint = "Write the date out, or hand it over with the data."
                index = expression.token.start_index
                yield problem_at(source, index, message, hint)
            if not isinstance(expression, FilteredExpression):
                continue
            filters = expression.filters or []
            at = expression.token.start_index
            if len(filters) > FILTERS_MAX:
                message = f"One value goes through {len(filters)} filters."
                hint = f"At most {FILTERS_MAX} are allowed: split it with assign."
                yield problem_at(source, at, message, hint)
            for f in filters:
                if f.name not in env.filters:
                    message = f"There is no filter {f.name!r}."
                    hint = _HINTS["UnknownFilterError"]
                    yield problem_at(source, f.token.start_index, message, hint)


def variables_used(source: str) -> tuple[str, ...]:
    """Names of the data a template asks for, such as "customer.first_name", sorted."""
    template = parse(source, "text")
    return tuple(sorted(str(name) for name in template.global_variable_paths()))


def without_default(source: str) -> list[tuple[str, int, int]]:
    """Values written out without a default and outside of any block.

    (name, line, column); whoever lacks such a value is skipped. What the sender gives
    (shop) and the links are always there.
    """
    found = []
    for node in parse(source, "text").nodes:
        if not isinstance(node, OutputNode):
            continue
        value = node.expression
        if not isinstance(value, FilteredExpression) or not isinstance(
            value.left, Path
        ):
            continue
        filters = {f.name for f in value.filters or []}
        if "default" in filters or value.left.path[0] in {"shop", "links"}:
            continue
        found.append((str(value.left), *position(source, node.token.start_index)))
    return found


def render_whole(
    template: BoundTemplate, source: str, data: Mapping[str, object]
) -> str:
    """Render a template in one go: the reference that skeletons are tested against."""
    with clear_errors(source):
        return template.render(**data)
