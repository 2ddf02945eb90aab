"""Rows into a table without an object each: COPY on PostgreSQL, executemany on SQLite.

Neither fills in a model's defaults: every column that may not be null is given.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection, transaction


@transaction.atomic
def insert_rows(
    model: Any, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Add rows. columns: names in the database, in the order of each row's values."""
    quote = connection.ops.quote_name
    table, names = quote(model._meta.db_table), ", ".join(map(quote, columns))
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            marks = ", ".join(["%s"] * len(columns))
            # Our own columns, and marks for every value.
            cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)  # noqa: S608
