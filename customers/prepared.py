"""Questions that are asked for every few mails: their SQL is written once.

Before a mail leaves, a dozen small questions are asked anew. The database answers each
in some microseconds; writing its SQL takes Django many times that.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final, NamedTuple, cast

from django.db import connection
from django.db.models import Q, QuerySet

from customers.lookups import OneOf, in_one_parameter

# Values that stand for those of a call while the SQL is written: no query holds them
# by itself, and they fit into every column.
_NUMBER: Final = 2_071_003_117
_MOMENT: Final = datetime(9000, 1, 1, 1, 1, 1, tzinfo=UTC)


class _Written(NamedTuple):
    """pieces: SQL between its parameters. parameters: each the name of a value, or ""
    and what is always the same. converters: by column, of what comes back."""

    pieces: list[str]
    parameters: list[tuple[str, Any]]
    converters: list[tuple[int, list[Any], Any]]


class Prepared:
    """A query of which only the values change.

    question: from values by name to a queryset of values_list(). It is called once,
    with other values than those of the call, and must use each as it is. A list stands
    behind `__in`, or in a Q behind `__one_of`; one that is empty finds nothing.
    """

    def __init__(self, question: Callable[..., QuerySet[Any, Any]]) -> None:
        self._question = question
        self._written: dict[tuple[str, ...], _Written] = {}

    def __call__(self, **values: Any) -> list[tuple[Any, ...]]:
        """The rows that are found.

        values: numbers, texts, aware moments, lists of these, and Q of plain lookups.
        """
        plain = dict(_plain(values))
        if any(isinstance(one, list) and not one for one in plain.values()):
            return []
        # Another database, or other lookups in a Q, make another question.
        shape = (connection.vendor, *plain)
        written = self._written.get(shape)
        if written is None:
            written = self._written[shape] = self._write(values)
        pieces, used = [written.pieces[0]], list[Any]()
        for (name, fixed), piece in zip(
            written.parameters, written.pieces[1:], strict=True
        ):
            value = plain[name] if name else fixed
            if not name:
                used.append(value)
                pieces.append("%s")
            elif _is_one_parameter(name):
                used.append(in_one_parameter(value, connection))
                pieces.append("%s")
            elif isinstance(value, list):
                used += map(_adapted, value)
                pieces.append(", ".join(["%s"] * len(value)))
            else:
                used.append(_adapted(value))
                pieces.append("%s")
            pieces.append(piece)
        with connection.cursor() as cursor:
            cursor.execute("".join(pieces), used)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        return _converted(rows, written.converters) if written.converters else rows

    def _write(self, values: Mapping[str, Any]) -> _Written:
        numbers = count(_NUMBER)
        marks = {name: _mark(value, numbers) for name, value in values.items()}
        found = [(_bound(name, mark), name) for name, mark in _plain(marks)]
        compiler = self._question(**marks).query.get_compiler(connection=connection)
        sql, parameters = compiler.as_sql()
        named = [
            (next((name for mark, name in found if _same(mark, one)), ""), one)
            for one in parameters
        ]
        pieces = sql.split("%s")
        missing = {name for _, name in found} - {name for name, _ in named}
        if missing or len(pieces) != len(named) + 1:
            raise AssertionError(
                "A prepared question must use each of its values as it is; not found "
                f"in it: {', '.join(sorted(missing)) or 'all of its parameters'}."
            )
        columns = [one[0] for one in compiler.select[: compiler.col_count]]
        converters = [
            (place, converts, expression)
            for place, (converts, expression) in compiler.get_converters(
                columns
            ).items()
        ]
        return _Written(pieces, named, converters)


def _plain(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each value by its name, those of a Q by its name and lookup."""
    for name, value in values.items():
        if isinstance(value, Q):
            for lookup, one in _lookups(value):
                yield f"{name} {lookup}", one
        else:
            yield name, value


def _lookups(condition: Q) -> list[tuple[str, Any]]:
    return cast("list[tuple[str, Any]]", condition.children)


def _mark(value: Any, numbers: Iterator[int]) -> Any:
    """A value of the same kind as this one that nothing else in a query equals."""
    if isinstance(value, Q):
        marks = [(lookup, _mark(one, numbers)) for lookup, one in _lookups(value)]
        return Q(*marks, _connector=value.connector, _negated=value.negated)
    if isinstance(value, list):
        return [_mark(value[0], numbers)]
    number = next(numbers)
    if isinstance(value, datetime):
        return _MOMENT + timedelta(microseconds=number - _NUMBER)
    if isinstance(value, str):
        return f"value {number} of a prepared question"
    return number + 0.5 if isinstance(value, float) else number


def _is_one_parameter(name: str) -> bool:
    return name.endswith(f"__{OneOf.lookup_name}")


def _bound(name: str, mark: Any) -> Any:
    """A mark as it stands among the parameters."""
    if _is_one_parameter(name):
        return in_one_parameter(mark, connection)
    return _adapted(mark[0] if isinstance(mark, list) else mark)


def _adapted(value: Any) -> Any:
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return value


def _same(mark: Any, parameter: Any) -> bool:
    # A number equals others of its value, such as True.
    return isinstance(parameter, type(mark)) and bool(mark == parameter)


def _converted(
    rows: Sequence[tuple[Any, ...]], converters: list[tuple[int, list[Any], Any]]
) -> list[tuple[Any, ...]]:
    converted = []
    for row in map(list, rows):
        for place, converts, expression in converters:
            for convert in converts:
                row[place] = convert(row[place], expression, connection)
        converted.append(tuple(row))
    return converted
