"""SQLite: an FTS5 table of trigrams, kept by triggers, whoever writes.

It holds no text, only which trigram is where, by a customer's id. An insert is not
taken in at once, which would make it nine times as dear, but by catch_up(), thousands
together: customers after the last one in the index are compared one by one. A trigger
goes with its table, and Django's migrations rebuild a table to alter a field: make()
begins anew where one is missing, as nobody has watched since.
"""

import logging
import time
from typing import Any, Final

from django.db import DatabaseError, transaction
from django.db.models import BooleanField, Lookup
from django.db.models.expressions import RawSQL

from customers.querysets import CustomerQuerySet
from customers.searching.words import SHORT, Words, sqlite_text

log = logging.getLogger(__name__)

NAME: Final = "customers_search"
TABLE: Final = "customers_customer"
# A list of so many ids is made in 15 ms. What more customers have is soon come by in
# the table itself, in which a list reads up to its last page.
COMMON: Final = 50_000
TAKEN_AT_ONCE: Final = 5_000

# The last customer in the index. Everybody up to it is in the index.
_LAST: Final = f"(SELECT max(id) FROM {NAME}_docsize)"  # noqa: S608
_MAKE: Final = (
    f"CREATE VIRTUAL TABLE {NAME} USING fts5(words, content='', tokenize='trigram')"
)
_FORGET: Final = (
    f"INSERT INTO {NAME} ({NAME}, rowid, words) "  # noqa: S608
    f"VALUES ('delete', old.id, {sqlite_text('old.')});"
)
_LEARN: Final = (
    f"INSERT INTO {NAME} (rowid, words) VALUES (new.id, {sqlite_text('new.')});"  # noqa: S608
)
_TRIGGERS: Final = {
    f"{NAME}_added": (
        f"AFTER INSERT ON {TABLE} WHEN new.id <= {_LAST} BEGIN {_LEARN} END"
    ),
    f"{NAME}_changed": (
        f"AFTER UPDATE OF first_name, last_name, email, external_id ON {TABLE} "
        f"WHEN old.id <= {_LAST} AND "
        "(old.first_name, old.last_name, old.email, old.external_id) IS NOT "
        "(new.first_name, new.last_name, new.email, new.external_id) "
        f"BEGIN {_FORGET} {_LEARN} END"
    ),
    f"{NAME}_gone": (
        f"AFTER DELETE ON {TABLE} WHEN old.id <= {_LAST} BEGIN {_FORGET} END"
    ),
}


class Holds(Lookup):
    """Words that are like a pattern of GLOB, which knows capitals beyond A to Z only
    as sets of signs."""

    lookup_name = "holds"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        text, params = self.process_lhs(compiler, connection)
        return f"{text} GLOB %s", (*params, self.rhs)

    @property
    def output_field(self) -> Any:
        return BooleanField()


def found(
    customers: CustomerQuerySet, words: list[str], connection: Any
) -> CustomerQuerySet:
    patterns = list(map(_pattern, words))
    if not _is_there(connection):
        return _compared(customers, patterns)
    match = " AND ".join(map(_phrase, words))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*), coalesce({_LAST}, 0) FROM (SELECT 1 FROM {NAME} "  # noqa: S608
            f"WHERE {NAME} MATCH %s LIMIT {COMMON})",
            [match],
        )
        count, last = cursor.fetchone()
    if count == COMMON:
        return _compared(customers, patterns)
    globs = f"AND {sqlite_text()} GLOB %s " * len(patterns)
    return customers.filter(
        pk__in=RawSQL(  # noqa: S611  what was typed is bound
            f"SELECT rowid FROM {NAME} WHERE {NAME} MATCH %s "  # noqa: S608
            f"UNION ALL SELECT id FROM {TABLE} WHERE id > %s {globs}",
            [match, last, *patterns],
        )
    )


def _compared(customers: CustomerQuerySet, patterns: list[str]) -> CustomerQuerySet:
    for pattern in patterns:
        customers = customers.filter(Holds(Words(), pattern))
    return customers


def _phrase(word: str) -> str:
    """For MATCH; spaces make three signs of one or two, see words.sqlite_text()."""
    quoted = word.rjust(SHORT).replace('"', '""')
    return f'"{quoted}"'


def _pattern(word: str) -> str:
    begins = " " if len(word) < SHORT else ""
    return f"*{begins}{''.join(map(_either_case, word))}*"


def _either_case(sign: str) -> str:
    lower = sign.lower()
    forms = {
        form
        for form in (sign, lower, sign.upper())
        if len(form) == 1 and form.lower() == lower
    }
    return f"[{''.join(sorted(forms))}]" if len(forms) > 1 or sign in "*?[" else sign


def catch_up(connection: Any, *, until: float) -> int:
    taken = 0
    while time.monotonic() < until and _newcomers_wait(connection):
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {NAME} (rowid, words) SELECT id, {sqlite_text()} "  # noqa: S608
                f"FROM {TABLE} WHERE id > coalesce({_LAST}, 0) "
                f"ORDER BY id LIMIT {TAKEN_AT_ONCE}"
            )
            taken += cursor.rowcount
    return taken


def _newcomers_wait(connection: Any) -> bool:
    """Asked before the write, which would wait for other writers for nothing."""
    if not _is_there(connection):
        return False
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT max(id) > coalesce({_LAST}, 0) FROM {TABLE}"  # noqa: S608
        )
        return bool(cursor.fetchone()[0])


def make(connection: Any) -> None:
    """Make table and triggers where they are not as above; the table is empty then."""
    wanted = {
        name: f"CREATE TRIGGER {name} {body}" for name, body in _TRIGGERS.items()
    } | {NAME: _MAKE}
    if _kept(connection) == wanted:
        return
    drop(connection)
    try:
        with transaction.atomic(connection.alias), connection.cursor() as cursor:
            for statement in (_MAKE, *(wanted[name] for name in _TRIGGERS)):
                cursor.execute(statement)
    except DatabaseError as problem:
        log.warning(
            "Searching customers reads all of them: SQLite 3.34 or newer with FTS5 is "
            "needed, and this Python's is another (%s).",
            problem,
        )


def drop(connection: Any) -> None:
    with connection.cursor() as cursor:
        for name in _TRIGGERS:
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
        cursor.execute(f"DROP TABLE IF EXISTS {NAME}")


def _kept(connection: Any) -> dict[str, str]:
    names = [NAME, *_TRIGGERS]
    marks = ", ".join(["%s"] * len(names))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT name, sql FROM sqlite_master WHERE name IN ({marks})",  # noqa: S608
            names,
        )
        return dict(cursor.fetchall())


def _is_there(connection: Any) -> bool:
    return NAME in _kept(connection)
