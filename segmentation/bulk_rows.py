"""Many rows of one table at once, column by column, as each database is quickest.

The ORM makes an object of every row and a dozen calls for it; a run reads four million
texts and writes two million rows. Instants are datetime64[us] in UTC here, NaT where
there is none.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

import numpy as np
from django.db import connection, models
from django.db.models import Func, QuerySet
from numpy.typing import NDArray

Column = NDArray[Any]
ROWS_AT_ONCE: Final = 20_000
INSTANT: Final = "M8[us]"
_MICROSECONDS: Final = 1_000_000


class Instant(Func):
    """A moment as the database has it, without a datetime a row: see read_columns()."""

    output_field = models.TextField()

    def as_sqlite(self, compiler: Any, connection: Any, **_: Any) -> Any:
        # Cast, or the driver makes a datetime of whatever column is declared as one.
        sql, parameters = compiler.compile(self.source_expressions[0])
        return f"CAST({sql} AS TEXT)", parameters

    def as_postgresql(self, compiler: Any, connection: Any, **_: Any) -> Any:
        # A double holds the microseconds of the next centuries exactly once rounded.
        sql, parameters = compiler.compile(self.source_expressions[0])
        return f"date_part('epoch', {sql})", parameters


def read_columns(found: QuerySet[Any], names: Mapping[str, str]) -> dict[str, Any]:
    """What a query finds, an array a column; no row becomes an object of its own.

    names: fields in the query → numpy dtype; "M8[us]" for moments, "bytes" for packed
    numbers, which come as one buffer. None is not allowed.
    """
    moments = {f"instant_of_{n}": n for n, kind in names.items() if kind == INSTANT}
    asked = found.annotate(
        **{alias: Instant(name) for alias, name in moments.items()}
    ).values_list(
        *(f"instant_of_{n}" if kind == INSTANT else n for n, kind in names.items())
    )
    parts: dict[str, list[Any]] = {name: [] for name in names}
    rows = asked.iterator(chunk_size=ROWS_AT_ONCE)
    while batch := list(islice(rows, ROWS_AT_ONCE)):
        for (name, kind), values in zip(
            names.items(), zip(*batch, strict=True), strict=True
        ):
            parts[name].append(_array(values, kind))
    return {
        name: b"".join(parts[name])
        if kind == "bytes"
        else np.concatenate([np.zeros(0, kind), *parts[name]])
        for name, kind in names.items()
    }


def _array(values: Sequence[Any], kind: str) -> Column | bytes:
    if kind == "bytes":
        return b"".join(values)
    if kind != INSTANT:
        return np.array(values, kind)
    if connection.vendor == "sqlite":
        return np.array(values, "U26").astype(INSTANT)
    seconds = np.array(values, np.float64)
    return np.rint(seconds * _MICROSECONDS).astype(np.int64).view(INSTANT)


def instant(moment: datetime) -> np.datetime64:
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")


def write_rows(
    model: type[models.Model],
    columns: Mapping[str, Sequence[Any] | Column],
    *,
    instead_of: Sequence[str] = (),
) -> None:
    """Add rows to the table of a model; columns: every field's name → its values.

    instead_of: the fields that make a row the same one as before, which then gets all
    the new values. Raises TypeError when a field is missing that has to have a value,
    ValueError when the columns are not of one length.
    """
    conflict = ""
    if instead_of:
        same = ", ".join(_quoted(model, name) for name in instead_of)
        changed = ", ".join(
            f"{column} = excluded.{column}"
            for name in columns
            if name not in instead_of
            for column in [_quoted(model, name)]
        )
        conflict = f" ON CONFLICT ({same}) DO UPDATE SET {changed}"
    _insert(model, columns, conflict)


def add_missing_rows(
    model: type[models.Model], columns: Mapping[str, Sequence[Any] | Column]
) -> int:
    """The same, but for rows that a constraint keeps out; how many were added."""
    return _insert(model, columns, " ON CONFLICT DO NOTHING")


def _insert(
    model: type[models.Model],
    columns: Mapping[str, Sequence[Any] | Column],
    conflict: str,
) -> int:
    meta = model._meta
    fields: dict[str, Any] = {name: meta.get_field(name) for name in columns}
    for needed in meta.concrete_fields:
        if not (needed.name in fields or needed.null or needed.primary_key):
            raise TypeError(f"A row of {meta.label} needs {needed.name}.")
    names = ", ".join(_quoted(model, name) for name in fields)
    into = f"INSERT INTO {connection.ops.quote_name(meta.db_table)} ({names})"
    values = [_plain(column) for column in columns.values()]
    lengths = {len(column) for column in values}
    if len(lengths) > 1:
        raise ValueError(
            f"Every column of {meta.label} needs as many values as the others; "
            f"they have {sorted(lengths)}."
        )
    if not any(lengths):
        return 0
    if connection.vendor == "postgresql":
        kinds = [field.db_type(connection) for field in fields.values()]
        return _write_arrays(into, conflict, kinds, values)
    marks = ", ".join(["%s"] * len(fields))
    with connection.cursor() as cursor:
        cursor.executemany(
            f"{into} VALUES ({marks}){conflict}", list(zip(*values, strict=True))
        )
        added: int = cursor.rowcount
    return added


def _quoted(model: type[models.Model], name: str) -> str:
    field: Any = model._meta.get_field(name)
    return connection.ops.quote_name(field.column)


def _write_arrays(
    into: str, conflict: str, kinds: Sequence[Any], values: Sequence[list[Any]]
) -> int:
    """One statement whatever the number of rows: an array a column."""
    import psycopg

    arrays = ", ".join(f"%b::{kind.partition('(')[0]}[]" for kind in kinds)
    # Django's own cursor writes parameters as text, which takes five times as long.
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as one:
        # Names of our own; what comes from outside are parameters.
        one.execute(f"{into} SELECT * FROM unnest({arrays}){conflict}", values)  # noqa: S608
        return one.rowcount


def _plain(column: Sequence[Any] | Column) -> list[Any]:
    """Values as this database's driver takes them."""
    if not isinstance(column, np.ndarray):
        return list(column)
    if column.dtype.kind == "M":
        return as_stored(column)
    plain: list[Any] = column.tolist()
    return plain


def as_stored(column: Column) -> list[Any]:
    """Instants as this database's driver takes them. column: (n,) datetime64, UTC."""
    # Few are different: most rows of a run have one moment.
    different, which = np.unique(column.astype(INSTANT), return_inverse=True)
    moments: list[Any] = different.astype(object).tolist()
    if connection.vendor == "sqlite":
        # As Django writes them: they are compared as text.
        moments = [None if one is None else str(one) for one in moments]
    else:
        moments = [None if one is None else one.replace(tzinfo=UTC) for one in moments]
    return [moments[index] for index in which.tolist()]


def refresh_statistics(*tables: type[models.Model]) -> None:
    """Tell PostgreSQL's planner of the rows that were just written.

    Until it knows, it reads a whole run to find a few customers in it; by itself it
    may take minutes to look.
    """
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"ANALYZE {connection.ops.quote_name(table._meta.db_table)}")
