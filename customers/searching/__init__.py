"""Customers by what somebody types.

Every word must be in the first name, last name, address or customer id, in capitals or
not. A word of one or two signs must begin one of them, or a word in one of them: so few
signs are in nearly everybody. Who keeps the index: sqlite.py, postgresql.py.
"""

from functools import cached_property
from typing import Any, Final, Self

from django.db import connections
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest

from customers.querysets import CustomerQuerySet
from customers.searching import postgresql, sqlite
from customers.searching.words import FIELDS as FIELDS
from customers.searching.words import words_of

MIGRATION: Final = ("customers", "0003_search")
# Where a request keeps its search.
_KEPT: Final = "_customers_searched"
_DATABASES: Final[dict[str, Any]] = {"sqlite": sqlite, "postgresql": postgresql}


class Search:
    """What somebody typed; the index is asked once, however often this is."""

    def __init__(self, typed: str) -> None:
        self._words = words_of(typed)

    @classmethod
    def on_page(cls, request: HttpRequest, typed: str) -> Self:
        """The search of this page, one and the same for all who ask for it."""
        kept: Self | None = getattr(request, _KEPT, None)
        if kept is None or kept._words != words_of(typed):
            kept = cls(typed)
            setattr(request, _KEPT, kept)
        return kept

    @property
    def is_empty(self) -> bool:
        """Nothing was typed: it finds everybody."""
        return self._words == []

    @property
    def finds_few(self) -> bool:
        """Whether it has a list of ids, so short that each may be looked up elsewhere.

        Never where the database finds the best way by itself.
        """
        return bool(self._words) and self._found.are_listed

    def among(self, customers: CustomerQuerySet) -> CustomerQuerySet:
        """Those of the customers in whom every typed word is."""
        if self._words is None:
            return customers.none()
        if self.is_empty:
            return customers
        found: CustomerQuerySet = self._found.among(customers)
        return found

    @cached_property
    def _found(self) -> Any:
        connection = connections["default"]
        return _DATABASES[connection.vendor].Found(self._words, connection)


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
