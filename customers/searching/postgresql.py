"""PostgreSQL: one index of trigrams over the words of each customer (pg_trgm)."""

import logging
from typing import Any, Final

from django.db import DatabaseError, transaction
from django.db.models import BooleanField, Lookup

from customers.querysets import CustomerQuerySet
from customers.searching.words import SHORT, Words, postgresql_text

log = logging.getLogger(__name__)

NAME: Final = "customers_search"
# Out of so many customers the planner tells how common a word is: by the usual hundred
# it reads half the table for a name that one in two hundred has.
STATISTICS: Final = 1000
_PLAIN: Final = str.maketrans({sign: f"\\{sign}" for sign in "\\%_"})


class Holds(Lookup):
    """Words that are like a pattern; the database itself puts both in lower case."""

    lookup_name = "holds"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        text, params = self.process_lhs(compiler, connection)
        return f"{text} LIKE lower(%s)", (*params, self.rhs)

    @property
    def output_field(self) -> Any:
        return BooleanField()


def found(
    customers: CustomerQuerySet, words: list[str], connection: Any
) -> CustomerQuerySet:
    for word in words:
        begins = " " if len(word) < SHORT else ""
        pattern = f"%{begins}{word.translate(_PLAIN)}%"
        customers = customers.filter(Holds(Words(), pattern))
    return customers


def catch_up(connection: Any, *, until: float) -> int:
    """PostgreSQL takes them in by itself."""
    return 0


def make(connection: Any) -> None:
    """Make the index if it is not there; without pg_trgm say so and go on without."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [NAME])
        if cursor.fetchone()[0]:
            return
    try:
        with transaction.atomic(connection.alias), connection.cursor() as cursor:
            cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
            cursor.execute(
                f"CREATE INDEX {NAME} ON customers_customer "
                f"USING gin (({postgresql_text()}) gin_trgm_ops)"
            )
            cursor.execute(
                f"ALTER INDEX {NAME} ALTER COLUMN 1 SET STATISTICS {STATISTICS}"
            )
            cursor.execute("ANALYZE customers_customer")
    except DatabaseError as problem:
        log.warning(
            "Searching customers reads all of them: the extension pg_trgm could not be "
            "used (%s). Let an administrator run CREATE EXTENSION pg_trgm in this "
            "database, then run manage.py migrate once more.",
            str(problem).strip(),
        )


def drop(connection: Any) -> None:
    """The extension stays: others may use it."""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX IF EXISTS {NAME}")
