"""What is typed, as words to look for; what a customer is looked for in."""

import re
from collections.abc import Iterable
from typing import Any, Final

from django.db.models import BooleanField, F, Func, Lookup, TextField

from customers.querysets import CustomerQuerySet

FIELDS: Final = ("first_name", "last_name", "email", "external_id")
# PostgreSQL's column of them, which no model knows: nobody reads or writes it.
COLUMN: Final = "search_words"
# No field holds more signs (an address: RFC 5321), and nobody types more words.
LONGEST_WORD: Final = 320
MOST_WORDS: Final = 20
# Shorter words have to stand at a beginning.
SHORT: Final = 3
# Lower case as both databases have it: one sign, the same wherever it stands.
ALIKE: Final = str.maketrans("İςẞ", "iσß")
# PostgreSQL refuses the first, and neither database can be asked for the others.
_IN_NO_DATABASE: Final = re.compile("[\0\ud800-\udfff]")

_SPACED: Final = "' ' || {} || ' ' || {} || ' ' || {} || ' ' || {}"
# Every beginning is told by the two spaces before it, so that one sign after them makes
# the three that the index keeps together. Lower case is the index's own affair.
_SQLITE: Final = (
    "replace(replace(replace(replace({}, ' ', '  '), 'İ', 'i'), 'ς', 'σ'), 'ẞ', 'ß')"
)
_POSTGRESQL: Final = "lower(translate({}, 'İςẞ', 'iσß'))"


def words_of(typed: str) -> list[str] | None:
    """The different words, signs as ALIKE has them; None: in nobody."""
    words = list(dict.fromkeys(typed.translate(ALIKE).split()))
    if len(words) > MOST_WORDS or _IN_NO_DATABASE.search(typed):
        return None
    return None if any(len(word) > LONGEST_WORD for word in words) else words


def sqlite_text(prefix: str = "") -> str:
    """SQL of a customer's words; prefix: such as "new." in a trigger."""
    return _SQLITE.format(_SPACED.format(*(prefix + name for name in FIELDS)))


def postgresql_text() -> str:
    """SQL of a customer's words, for the column that Words asks for."""
    return _POSTGRESQL.format(_SPACED.format(*FIELDS))


class Words(Func):
    """The words of a customer, in a query."""

    output_field = TextField()
    arg_joiner = " || ' ' || "

    def __init__(self) -> None:
        super().__init__(*map(F, FIELDS))

    def as_sqlite(self, compiler: Any, connection: Any, **more: Any) -> Any:
        template = _SQLITE.format("' ' || %(expressions)s")
        return self.as_sql(compiler, connection, template=template, **more)

    def as_postgresql(self, compiler: Any, connection: Any, **_: Any) -> Any:
        table = self.get_source_expressions()[0].alias
        quote = connection.ops.quote_name
        return f"{quote(table)}.{quote(COLUMN)}", ()


class Holds(Lookup):
    """Words that are like a pattern: of LIKE in PostgreSQL, which puts it in lower case
    as it does the words; of GLOB in SQLite, whose LIKE knows no capitals beyond A to Z.
    """

    lookup_name = "holds"
    prepare_rhs = False

    def as_sqlite(self, compiler: Any, connection: Any) -> Any:
        text, params = self.process_lhs(compiler, connection)
        return f"{text} GLOB %s", (*params, self.rhs)

    def as_postgresql(self, compiler: Any, connection: Any) -> Any:
        text, params = self.process_lhs(compiler, connection)
        return f"{text} LIKE lower(%s)", (*params, self.rhs)

    @property
    def output_field(self) -> Any:
        return BooleanField()


def compared(customers: CustomerQuerySet, patterns: Iterable[str]) -> CustomerQuerySet:
    """Those whose words are like every pattern."""
    for pattern in patterns:
        customers = customers.filter(Holds(Words(), pattern))
    return customers


def where_it_may_stand(word: str) -> str:
    """What a pattern has before a word: a short one has to stand at a beginning."""
    return " " if len(word) < SHORT else ""
