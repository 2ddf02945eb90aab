"""Customers by what somebody types.

Every word must be in the first name, last name, address or customer id, in capitals or
not. A word of one or two signs must begin one of them, or a word in one of them: so few
signs are in nearly everybody. Who keeps the index: sqlite.py, postgresql.py.
"""

from typing import Any, Final

from django.db import connections
from django.db.migrations.recorder import MigrationRecorder

from customers.querysets import CustomerQuerySet
from customers.searching import postgresql, sqlite
from customers.searching.words import FIELDS as FIELDS
from customers.searching.words import words_of

MIGRATION: Final = ("customers", "0003_search")
_DATABASES: Final[dict[str, Any]] = {"sqlite": sqlite, "postgresql": postgresql}


def find(customers: CustomerQuerySet, typed: str) -> CustomerQuerySet:
    """Those of the customers in whom every typed word is; all, if none was typed."""
    words = words_of(typed)
    if words is None:
        return customers.none()
    if not words:
        return customers
    connection = connections[customers.db]
    found: CustomerQuerySet = _DATABASES[connection.vendor].found(
        customers, words, connection
    )
    return found


def catch_up(*, until: float) -> int:
    """Take newcomers into the index until time.monotonic(); returns how many.

    Until then they are found all the same, a little slower.
    """
    connection = connections["default"]
    taken: int = _DATABASES[connection.vendor].catch_up(connection, until=until)
    return taken


def mend(*, using: str, **_: Any) -> None:
    """After every migrate, and every flush: the index is there, and watched over."""
    connection = connections[using]
    if MIGRATION in MigrationRecorder(connection).applied_migrations():
        _DATABASES[connection.vendor].make(connection)


def drop(_: Any, schema_editor: Any) -> None:
    """The migration going back."""
    connection = schema_editor.connection
    _DATABASES[connection.vendor].drop(connection)
