"""A rule as a tree: groups that are all, any or none of their members; conditions.

Kept as JSON, read from hostile hands: whatever is not exactly a rule is refused with
its place, what was needed and what came.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any, Final, NoReturn, cast

from segmentation.errors import RuleRefused
from segmentation.rules.fields import (
    CHOICE,
    FIELDS,
    MONEY,
    NUMBER,
    WORDS,
    Field,
)

ALL: Final = "all"
ANY: Final = "any"
NONE: Final = "none"
HOWS: Final = (ALL, ANY, NONE)
DEPTH_MOST: Final = 5
CONDITIONS_MOST: Final = 60
VALUES_MOST: Final = 200
# As text; sixty full conditions of short values fit many times.
CHARACTERS_MOST: Final = 500_000
_SHOWN_CHARACTERS: Final = 40
_SHOWN_BITS: Final = 64
_AMOUNT = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,2})?")
_CURRENCY = re.compile(r"[A-Za-z]{3}")

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Money:
    """currency: three letters, or "" for amounts that came without one."""

    amount: Decimal
    currency: str


Value = tuple[str, ...] | int | float | Money


@dataclass(frozen=True, slots=True)
class Condition:
    field: str
    op: str
    value: Value


@dataclass(frozen=True, slots=True)
class Group:
    """how: "all", "any" or "none" of the members hold."""

    how: str
    members: tuple["Group | Condition", ...]


def read(text: str) -> Group:
    """A rule from JSON as a person typed it. Raises RuleRefused."""
    if len(text) > CHARACTERS_MOST:
        raise RuleRefused(
            f"rule: needs at most {CHARACTERS_MOST:,} characters, not {len(text):,}"
        )
    try:
        # RecursionError: brackets in brackets by the thousand.
        data = json.loads(text)
    except json.JSONDecodeError as problem:
        raise RuleRefused(
            f"rule: needs JSON; line {problem.lineno}, column {problem.colno}: "
            f"{problem.msg}"
        ) from None
    except (ValueError, RecursionError):
        raise RuleRefused("rule: needs JSON of a sensible size") from None
    return parse(data)


def parse(data: object) -> Group:
    """A rule from what JSON became: objects, lists, texts, numbers.

    Raises RuleRefused, naming the place ("all › 2 › orders"), what it needs and what
    came.
    """
    return _Reader().group(data, (), depth=1)


def to_json(tree: Group) -> dict[str, Any]:
    """What parse() reads back as the same tree."""
    return {"how": tree.how, "members": [_member_json(one) for one in tree.members]}


def _member_json(member: Group | Condition) -> dict[str, Any]:
    if isinstance(member, Group):
        return to_json(member)
    value: Any = member.value
    if isinstance(value, tuple):
        value = list(value)
    elif isinstance(value, Money):
        value = {"amount": str(value.amount), "currency": value.currency}
    return {"field": member.field, "op": member.op, "value": value}


class _Reader:
    """One reading of one rule; it counts the conditions as they come."""

    def __init__(self) -> None:
        self._conditions = 0

    def group(self, data: object, path: Path, *, depth: int) -> Group:
        found = _object(data, path, "a group", ("how", "members"))
        how = found["how"]
        if not isinstance(how, str) or how not in HOWS:
            _refuse((*path, "how"), f"one of {', '.join(HOWS)}", how)
        here = (*path, how)
        if depth > DEPTH_MOST:
            _refuse(here, f"at most {DEPTH_MOST} groups inside each other", data)
        members = found["members"]
        if not isinstance(members, list) or not members:
            _refuse(here, "a list with at least one condition or group", members)
        # Before any of them is read: ten thousand are refused at once.
        if len(members) > CONDITIONS_MOST:
            _refuse(here, f"at most {CONDITIONS_MOST} conditions", members)
        return Group(
            how,
            tuple(
                self._member(one, (*here, str(number)), depth=depth)
                for number, one in enumerate(members, start=1)
            ),
        )

    def _member(self, data: object, path: Path, *, depth: int) -> Group | Condition:
        if isinstance(data, dict) and "field" not in data:
            return self.group(data, path, depth=depth + 1)
        return self._condition(data, path)

    def _condition(self, data: object, path: Path) -> Condition:
        self._conditions += 1
        if self._conditions > CONDITIONS_MOST:
            _refuse(path, f"at most {CONDITIONS_MOST} conditions in a rule", data)
        found = _object(data, path, "a condition or a group", ("field", "op", "value"))
        key, op = found["field"], found["op"]
        if not isinstance(key, str) or key not in FIELDS:
            _refuse((*path, "field"), f"one of {', '.join(FIELDS)}", key)
        about, here = FIELDS[key], (*path, key)
        if not isinstance(op, str) or op not in about.ops:
            _refuse((*here, "op"), f"one of {', '.join(about.ops)}", op)
        return Condition(key, op, _value(found["value"], about, here))


def _object(
    data: object, path: Path, what: str, keys: tuple[str, ...]
) -> Mapping[str, object]:
    if not isinstance(data, dict):
        _refuse(path, f"{what} ({', '.join(keys)})", data)
    for key in keys:
        if key not in data:
            _refuse(path, f"{what} with {', '.join(keys)}; {key} is missing", data)
    for key in data:
        if key not in keys:
            _refuse(path, f"nothing but {', '.join(keys)}", key)
    return cast(Mapping[str, object], data)


def _value(value: object, about: Field, path: Path) -> Value:
    if about.kind in (CHOICE, WORDS):
        return _list(value, about, path)
    if about.kind == MONEY:
        return _money(value, about, path)
    if about.kind == NUMBER:
        return _number(value, about, path)
    return _whole(value, about, path)


def _list(value: object, about: Field, path: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= VALUES_MOST:
        _refuse(path, f"a list of 1 to {VALUES_MOST} values", value)
    found: dict[str, None] = {}
    for number, one in enumerate(value, start=1):
        here = (*path, str(number))
        if about.kind == CHOICE:
            if not isinstance(one, str) or one not in about.choices:
                _refuse(here, f"one of {', '.join(about.choices)}", one)
            found[one] = None
            continue
        normal = about.normal(one) if isinstance(one, str) else ""
        if not normal:
            _refuse(here, about.needs, one)
        found[normal] = None
    return tuple(found)


def _whole(value: object, about: Field, path: Path) -> int:
    # bool is an int to Python, not to a person.
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or not about.least <= value <= about.most
    ):
        _refuse(path, f"a whole number {_range(about)}", value)
    return value


def _number(value: object, about: Field, path: Path) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value if isinstance(value, float) else 0)
        or not about.least <= value <= about.most
    ):
        _refuse(path, f"a number {_range(about)}", value)
    return float(value)


def _money(value: object, about: Field, path: Path) -> Money:
    found = _object(value, path, "an amount of money", ("amount", "currency"))
    amount, currency = found["amount"], found["currency"]
    needed = f"an amount {_range(about)} with at most two decimals"
    if isinstance(amount, bool) or not isinstance(amount, int | float | str):
        _refuse((*path, "amount"), needed, amount)
    if isinstance(amount, int) and amount.bit_length() > _SHOWN_BITS:
        _refuse((*path, "amount"), needed, amount)
    written = str(amount)
    if not _AMOUNT.fullmatch(written) or Decimal(written) > about.most:
        _refuse((*path, "amount"), needed, amount)
    known = isinstance(currency, str) and (
        not currency or _CURRENCY.fullmatch(currency)
    )
    if not isinstance(currency, str) or not known:
        _refuse(
            (*path, "currency"),
            'three letters such as EUR, or "" for amounts without one',
            currency,
        )
    return Money(Decimal(written).quantize(Decimal("0.01")), currency.upper())


def _range(about: Field) -> str:
    return f"from {about.least:,} to {about.most:,}"


def _refuse(path: Path, needed: str, came: object) -> NoReturn:
    place = " › ".join(path) or "rule"
    raise RuleRefused(f"{place}: needs {needed}, not {_shown(came)}")


def _shown(value: object) -> str:
    """What came, on one line, whatever its size."""
    if isinstance(value, list):
        return f"a list of {len(value):,}" if value else "an empty list"
    if isinstance(value, dict):
        return f"an object of {', '.join(map(_shown, islice(value, 4)))}"
    if isinstance(value, int) and value.bit_length() > _SHOWN_BITS:
        return "a number of far too many digits"
    if value is None:
        return "nothing"
    words = repr(value[: _SHOWN_CHARACTERS + 1]) if isinstance(value, str) else ""
    words = words or repr(value)
    return words if len(words) <= _SHOWN_CHARACTERS + 2 else f"{words[:40]}…"
