"""SQLite: an FTS5 table of trigrams, kept by triggers, whoever changes or deletes.

It holds no text, only which trigram is where, by a customer's id. There is no trigger
for inserts: it makes them nine times as dear, and twice even where it has nothing to
do. Newcomers have higher ids than anybody ever had (AUTOINCREMENT); customers after the
last one in the index are compared one by one, until catch_up() takes them in, thousands
together. Who is put in with a lower id, by hand, is taken in by make(). A trigger goes
with its table, and Django's migrations rebuild a table to alter a field: make() begins
anew where one is missing, as nobody has watched since.

What is deleted is found no more at once. That it is gone from the file, too, takes a
merge of the whole index (5 s of CPU with a million), in pieces, begun a day later.
"""

import logging
import time
from typing import Any, Final

from django.db import DatabaseError, transaction
from django.db.models.expressions import RawSQL

from customers.querysets import CustomerQuerySet
from customers.searching.words import (
    SHORT,
    compared,
    sqlite_text,
    where_it_may_stand,
)

log = logging.getLogger(__name__)

NAME: Final = "customers_search"
TABLE: Final = "customers_customer"
# To count 62,500 in the index took 10 ms, to ask for each of them as many again. What
# more customers have is soon come by in the table itself, in which a list reads up to
# its last page.
COMMON: Final = 100_000
TAKEN_AT_ONCE: Final = 5_000
MERGE_AFTER_SECONDS: Final = 86_400
# Merged in one transaction, 0.1 s: others write in between.
MERGED_PAGES: Final = 500

# The last customer in the index.
_LAST: Final = f"(SELECT max(id) FROM {NAME}_docsize)"  # noqa: S608
_MATCHING: Final = f"SELECT rowid FROM {NAME} WHERE {NAME} MATCH %s"  # noqa: S608
_MAKE: Final = (
    f"CREATE VIRTUAL TABLE {NAME} USING fts5(words, content='', tokenize='trigram')"
)
# Since when what is deleted is in the file still, and whether it is being merged away.
_ERASED: Final = f"{NAME}_erased"
_MAKE_ERASED: Final = f"CREATE TABLE {_ERASED} (since INTEGER, merging INTEGER)"
_FORGET: Final = (
    f"INSERT INTO {NAME} ({NAME}, rowid, words) "  # noqa: S608
    f"VALUES ('delete', old.id, {sqlite_text('old.')}); "
    f"UPDATE {_ERASED} SET since = CAST(strftime('%s', 'now') AS INTEGER) "
    "WHERE since IS NULL;"
)
_IS_IN: Final = f"EXISTS (SELECT 1 FROM {NAME}_docsize WHERE id = old.id)"  # noqa: S608
_LEARN: Final = (
    f"INSERT INTO {NAME} (rowid, words) VALUES (new.id, {sqlite_text('new.')});"  # noqa: S608
)
_TRIGGERS: Final = {
    f"{NAME}_changed": (
        f"AFTER UPDATE OF first_name, last_name, email, external_id ON {TABLE} "
        f"WHEN {_IS_IN} AND "
        "(old.first_name, old.last_name, old.email, old.external_id) IS NOT "
        "(new.first_name, new.last_name, new.email, new.external_id) "
        f"BEGIN {_FORGET} {_LEARN} END"
    ),
    f"{NAME}_gone": (f"AFTER DELETE ON {TABLE} WHEN {_IS_IN} BEGIN {_FORGET} END"),
}


class Found:
    """Whoever has all these words, looked up in the index once."""

    def __init__(self, words: list[str], connection: Any) -> None:
        self._patterns = list(map(_pattern, words))
        self._match = " AND ".join(map(_phrase, words))
        self.are_listed = False
        if not _is_there(connection):
            return
        with connection.cursor() as cursor:
            # First: who is taken in meanwhile is found twice then, not left out.
            cursor.execute(f"SELECT coalesce({_LAST}, 0)")
            self._last = cursor.fetchone()[0]
            cursor.execute(
                f"SELECT count(*) FROM ({_MATCHING} LIMIT {COMMON})",  # noqa: S608
                [self._match],
            )
            self.are_listed = cursor.fetchone()[0] < COMMON

    def among(self, customers: CustomerQuerySet) -> CustomerQuerySet:
        if not self.are_listed:
            return compared(customers, self._patterns)
        globs = f"AND {sqlite_text()} GLOB %s " * len(self._patterns)
        return customers.filter(
            # What was typed is bound.
            pk__in=RawSQL(  # noqa: S611
                f"{_MATCHING} UNION ALL SELECT id FROM {TABLE} "  # noqa: S608
                f"WHERE id > %s {globs}",
                [self._match, self._last, *self._patterns],
            )
        )


def _phrase(word: str) -> str:
    """For MATCH; spaces make three signs of one or two, see words.sqlite_text()."""
    quoted = word.rjust(SHORT).replace('"', '""')
    return f'"{quoted}"'


def _pattern(word: str) -> str:
    return f"*{where_it_may_stand(word)}{''.join(map(_either_case, word))}*"


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
    if not _is_there(connection):
        return taken
    while time.monotonic() < until and _newcomers_wait(connection):
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {NAME} (rowid, words) SELECT id, {sqlite_text()} "  # noqa: S608
                f"FROM {TABLE} WHERE id > coalesce({_LAST}, 0) "
                f"ORDER BY id LIMIT {TAKEN_AT_ONCE}"
            )
            taken += cursor.rowcount
    _merge_away(connection, until=until)
    return taken


def _merge_away(connection: Any, *, until: float) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT since, merging FROM {_ERASED}")  # noqa: S608
        since, merging = cursor.fetchone()
        if not merging:
            if since is None or time.time() - since < MERGE_AFTER_SECONDS:
                return
            # What is deleted from now on has a day of its own.
            cursor.execute(f"UPDATE {_ERASED} SET since = NULL, merging = 1")  # noqa: S608
        while time.monotonic() < until:
            before = connection.connection.total_changes
            cursor.execute(
                f"INSERT INTO {NAME} ({NAME}, rank) VALUES ('merge', -{MERGED_PAGES})"  # noqa: S608
            )
            # FTS5's own sign of an end: sqlite.org/fts5.html, "The 'merge' Command".
            if connection.connection.total_changes - before < 2:
                cursor.execute(f"UPDATE {_ERASED} SET merging = 0")  # noqa: S608
                return


def _newcomers_wait(connection: Any) -> bool:
    """Asked before the write, which would wait for other writers for nothing."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT max(id) > coalesce({_LAST}, 0) FROM {TABLE}"  # noqa: S608
        )
        return bool(cursor.fetchone()[0])


def make(connection: Any) -> None:
    """Make table and triggers where they are not as above; the table is empty then."""
    wanted = {
        name: f"CREATE TRIGGER {name} {body}" for name, body in _TRIGGERS.items()
    } | {NAME: _MAKE, _ERASED: _MAKE_ERASED}
    if _kept(connection) == wanted:
        _take_in_between(connection)
        return
    drop(connection)
    try:
        with transaction.atomic(connection.alias), connection.cursor() as cursor:
            cursor.execute(_MAKE)
            cursor.execute(_MAKE_ERASED)
            cursor.execute(f"INSERT INTO {_ERASED} VALUES (NULL, 0)")  # noqa: S608
            for name in _TRIGGERS:
                cursor.execute(wanted[name])
    except DatabaseError as problem:
        log.warning(
            "Searching customers reads all of them: SQLite 3.34 or newer with FTS5 is "
            "needed, and this Python's is another (%s).",
            problem,
        )


def _take_in_between(connection: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {NAME} (rowid, words) SELECT id, {sqlite_text()} "  # noqa: S608
            f"FROM {TABLE} WHERE id < {_LAST} "
            f"AND id NOT IN (SELECT id FROM {NAME}_docsize)"
        )


def drop(connection: Any) -> None:
    with connection.cursor() as cursor:
        for name in _TRIGGERS:
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
        for name in (NAME, _ERASED):
            cursor.execute(f"DROP TABLE IF EXISTS {name}")


def _kept(connection: Any) -> dict[str, str]:
    names = [NAME, _ERASED, *_TRIGGERS]
    marks = ", ".join(["%s"] * len(names))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT name, sql FROM sqlite_master WHERE name IN ({marks})",  # noqa: S608
            names,
        )
        return dict(cursor.fetchall())


def _is_there(connection: Any) -> bool:
    return NAME in _kept(connection)
