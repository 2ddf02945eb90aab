"""Filters for values in a mail, none of which can make a small thing huge."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from liquid import RenderContext
from liquid.builtin.filters import array, math, misc, string
from liquid.exceptions import (
    FilterArgumentError,
    LiquidTypeError,
    LoopIterationLimitError,
)
from liquid.filter import with_context

LOOP_MAX_ROUNDS = 2_000
VALUE_MAX_CHARACTERS = 64_000
# Whole numbers beyond this are no price and no count.
_NUMBER_MAX = 10**18
# What the loops and filters of one mail may read, all their rounds together: at worst,
# conditions of a hundred words each, that is 0.8 s.
WORK_MAX_CHARACTERS = 1_000_000
# A call costs about as much as reading these.
_CALL_CHARACTERS = 50


def written(value: object) -> str:
    """A value as people read it. Raises UndefinedError for one we do not have."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    if isinstance(value, range):
        return f"{value.start}..{value.stop - 1}"
    if isinstance(value, dict):
        raise LiquidTypeError("this is a group of values, not one value", token=None)
    if isinstance(value, list | tuple):
        return ", ".join(map(written, value))
    return str(value)


def refuse_huge(value: object) -> None:
    if isinstance(value, range) and value and value[-1] - value[0] >= LOOP_MAX_ROUNDS:
        raise LoopIterationLimitError(
            f"a range has at most {LOOP_MAX_ROUNDS:,} steps", token=None
        )
    if isinstance(value, str) and len(value) > VALUE_MAX_CHARACTERS:
        raise FilterArgumentError(
            f"a value has at most {VALUE_MAX_CHARACTERS:,} characters", token=None
        )
    if isinstance(value, int | float) and not abs(value) <= _NUMBER_MAX:
        raise FilterArgumentError("a number has at most 18 digits", token=None)


def charge(context: RenderContext, characters: int) -> None:
    """Note what was read. Raises LoopIterationLimitError when it is too much."""
    kept = context.tag_namespace
    kept["work"] = done = kept.get("work", 0) + characters
    if done > WORK_MAX_CHARACTERS:
        raise LoopIterationLimitError(
            f"loops and filters read more than {WORK_MAX_CHARACTERS:,} characters",
            token=None,
        )


def guarded_filter(filter_: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that refuses what is too big before and after it works."""

    @with_context
    @wraps(filter_)
    def guarded(value: Any, *args: Any, context: RenderContext, **kwargs: Any) -> Any:
        size = _CALL_CHARACTERS
        for item in (value, *args, *kwargs.values()):
            refuse_huge(item)
            size += len(item) if isinstance(item, str | list | range) else 0
        charge(context, size)
        try:
            result = filter_(value, *args, **kwargs)
        except (ArithmeticError, ValueError, TypeError) as problem:
            raise FilterArgumentError(str(problem), token=None) from problem
        refuse_huge(result)
        return result

    return guarded


def _replace(value: Any, seek: Any, by: Any = "") -> str:
    text, old, new = written(value), written(seek), written(by)
    growth = text.count(old) * (len(new) - len(old))
    if len(text) + growth > VALUE_MAX_CHARACTERS:
        raise FilterArgumentError(
            f"replace makes more than {VALUE_MAX_CHARACTERS:,} characters", token=None
        )
    return text.replace(old, new)


def _join(value: Any, between: Any = ", ") -> str:
    items = list(map(written, value)) if isinstance(value, list) else [written(value)]
    glue = written(between)
    if sum(map(len, items)) + len(items) * len(glue) > VALUE_MAX_CHARACTERS:
        raise FilterArgumentError(
            f"join makes more than {VALUE_MAX_CHARACTERS:,} characters", token=None
        )
    return glue.join(items)


def _as_it_is(value: Any) -> Any:
    """Everything is escaped where it is written out; once is enough."""
    return value


FILTERS: dict[str, Callable[..., Any]] = {
    "default": misc.default,
    "size": misc.size,
    "first": array.first,
    "last": array.last,
    "join": _join,
    "append": string.append,
    "prepend": string.prepend,
    "capitalize": string.capitalize,
    "downcase": string.downcase,
    "upcase": string.upcase,
    "strip": string.strip,
    "lstrip": string.lstrip,
    "rstrip": string.rstrip,
    "squish": string.squish,
    "remove": string.remove,
    "remove_first": string.remove_first,
    "replace": _replace,
    "replace_first": string.replace_first,
    "slice": string.slice_,
    "truncate": string.truncate,
    "truncatewords": string.truncatewords,
    "url_encode": string.url_encode,
    "escape": _as_it_is,
    "escape_once": _as_it_is,
    "abs": math.abs_,
    "at_least": math.at_least,
    "at_most": math.at_most,
    "ceil": math.ceil,
    "divided_by": math.divided_by,
    "floor": math.floor,
    "minus": math.minus,
    "modulo": math.modulo,
    "plus": math.plus,
    "round": math.round_,
    "times": math.times,
}
