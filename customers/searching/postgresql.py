"""PostgreSQL: the words of each customer in a column that the database itself computes,
and an index of trigrams over it (pg_trgm).

The column, as the expression alone would be computed anew for each row that a common
word makes the planner read: 100,000 for a name that one in fifty has.
"""

import logging
from functools import partial
from typing import Any, Final

from django.db import DatabaseError, transaction

from customers.querysets import CustomerQuerySet
from customers.searching.words import (
    COLUMN,
    compared,
    postgresql_text,
    where_it_may_stand,
)

log = logging.getLogger(__name__)

NAME: Final = "customers_search"
TABLE: Final = "customers_customer"
# Out of so many customers the planner tells how common a word is: by the usual hundred
# it reads half the table for a name that one in two hundred has.
STATISTICS: Final = 1000
_PLAIN: Final = str.maketrans({sign: f"\\{sign}" for sign in "\\%_"})


class Found:
    """Whoever has all these words; in which way they are come by is the planner's."""

    are_listed = False

    def __init__(self, words: list[str], connection: Any) -> None:
        self._patterns = list(map(_pattern, words))

    def among(self, customers: CustomerQuerySet) -> CustomerQuerySet:
        return compared(customers, self._patterns)


def _pattern(word: str) -> str:
    return f"%{where_it_may_stand(word)}{word.translate(_PLAIN)}%"


def catch_up(connection: Any, *, until: float) -> int:
    """PostgreSQL takes them in by itself."""
    return 0


def make(connection: Any) -> None:
    """Make what is not there; without pg_trgm say so and go on without an index."""
    run = partial(_run, connection)
    if not _column_is_there(connection):
        run(
            f"ALTER TABLE {TABLE} ADD COLUMN {COLUMN} text "
            f"GENERATED ALWAYS AS ({postgresql_text()}) STORED",
            f"ALTER TABLE {TABLE} ALTER COLUMN {COLUMN} SET STATISTICS {STATISTICS}",
        )
        # Apart: within the transaction it would go by the figure of before.
        run(f"ANALYZE {TABLE}")
    if _index_is_there(connection):
        return
    try:
        run(
            "CREATE EXTENSION IF NOT EXISTS pg_trgm",
            f"CREATE INDEX {NAME} ON {TABLE} USING gin ({COLUMN} gin_trgm_ops)",
        )
    except DatabaseError as problem:
        log.warning(
            "Searching customers reads all of them: the extension pg_trgm could not be "
            "used (%s). Let an administrator run CREATE EXTENSION pg_trgm in this "
            "database, then run manage.py migrate once more.",
            str(problem).strip(),
        )


def drop(connection: Any) -> None:
    """The index goes with its column; the extension stays: others may use it."""
    _run(connection, f"ALTER TABLE {TABLE} DROP COLUMN IF EXISTS {COLUMN}")


def _run(connection: Any, *statements: str) -> None:
    with transaction.atomic(connection.alias), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _column_is_there(connection: Any) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM pg_attribute WHERE NOT attisdropped "
            "AND attrelid = to_regclass(%s) AND attname = %s)",
            [TABLE, COLUMN],
        )
        return bool(cursor.fetchone()[0])


def _index_is_there(connection: Any) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [NAME])
        return bool(cursor.fetchone()[0])
