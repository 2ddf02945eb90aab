"""A rule as one sentence that a marketer can read aloud."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from segmentation.rules.fields import FIELDS, WORDS, Field
from segmentation.rules.tree import ALL, ANY, Condition, Group, Money, Value

# Names in a list; of a longer one the rest is counted.
VALUES_NAMED: Final = 8
NO_NAMES: Final[Mapping[str, str]] = MappingProxyType({})
OBJECTED: Final = (
    "customers who objected to profiling can be among them, since no condition about "
    "feelings holds for those"
)


def in_words(tree: Group, *, names: Mapping[str, str] = NO_NAMES) -> str:
    """One sentence. names: what a marketer calls each segment, by its key."""
    words = f"Customers who {_group(tree, names, outermost=True)}"
    return f"{words}; {OBJECTED}." if reaches_objectors(tree) else f"{words}."


def reaches_objectors(tree: Group) -> bool:
    """Whether "none of these feelings" lets in customers of whom nothing is read.

    True where a condition about feelings stands under a "none" and the rule can hold
    for somebody for whom every such condition is false.
    """
    return _denies_feelings(tree, denied=False) and _without_feelings(tree) is not False


def _denies_feelings(member: Group | Condition, *, denied: bool) -> bool:
    if isinstance(member, Condition):
        return denied and FIELDS[member.field].feeling
    denied = denied or member.how not in (ALL, ANY)
    return any(_denies_feelings(one, denied=denied) for one in member.members)


def _without_feelings(member: Group | Condition) -> bool | None:
    """The rule with every condition about feelings false; None: the facts decide."""
    if isinstance(member, Condition):
        return False if FIELDS[member.field].feeling else None
    parts = [_without_feelings(one) for one in member.members]
    if member.how == ALL:
        return False if False in parts else None if None in parts else True
    found = True if True in parts else None if None in parts else False
    if member.how == ANY or found is None:
        return found
    return not found


def _group(group: Group, names: Mapping[str, str], *, outermost: bool = False) -> str:
    parts = [
        _group(one, names) if isinstance(one, Group) else _clause(one, names)
        for one in group.members
    ]
    if group.how not in (ALL, ANY):
        return f"match none of this: [{'; '.join(parts)}]"
    words = (" and " if group.how == ALL else " or ").join(parts)
    return words if outermost or len(parts) == 1 else f"({words})"


def _clause(condition: Condition, names: Mapping[str, str]) -> str:
    about = FIELDS[condition.field]
    clause = about.clauses[condition.op]
    return clause.replace("{value}", _value(condition.value, about, names))


def _value(value: Value, about: Field, names: Mapping[str, str]) -> str:
    if isinstance(value, tuple):
        return _values(value, about, names)
    if isinstance(value, Money):
        return f"{value.amount:,} {value.currency or 'of no named currency'}"
    number = f"{value:,}" if isinstance(value, int) else f"{value:,.15g}"
    number = number.replace("-", "−")
    if not about.unit:
        return number
    many = isinstance(value, int) and value != 1
    return f"{number} {about.unit}{'s' if many else ''}"


def _values(values: tuple[str, ...], about: Field, names: Mapping[str, str]) -> str:
    if about.kind == WORDS and about.key == "tags":
        shown = [f"“{one}”" for one in values]
    elif about.key in ("segment", "group"):
        shown = [names.get(one, one.capitalize()) for one in values]
    else:
        shown = list(values)
    if len(shown) > VALUES_NAMED:
        rest = len(shown) - VALUES_NAMED + 1
        shown = [*shown[: VALUES_NAMED - 1], f"{rest:,} others"]
    if len(shown) == 1:
        return shown[0]
    return f"{', '.join(shown[:-1])} or {shown[-1]}"
