"""A history file: one row per interaction, columns in any order, mapped by name."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from html import unescape
from pathlib import Path
from typing import Any, BinaryIO

from customers.addresses import address_wire
from customers.errors import InvalidAddress, UnknownSetting, UnreadableHistory
from customers.models import IMPORTED_KINDS
from customers.sources import values
from customers.sources.delimited import (
    DELIMITERS,
    Broken,
    Record,
    Records,
    open_delimited,
)
from customers.sources.rows import (
    InteractionRow,
    Reading,
    RefusedRow,
    content_key,
    shortened,
)
from customers.sources.values import BadValue, DateOrder

REQUIRED = ("customer_id", "email", "occurred_at", "kind")
KINDS = frozenset(str(kind) for kind in IMPORTED_KINDS)


def _kind(text: str) -> str:
    folded = text.casefold()
    if folded not in KINDS:
        raise BadValue(f"a kind is one of {', '.join(map(str, IMPORTED_KINDS))}")
    return folded


def _email(text: str) -> str:
    try:
        address_wire(text)
    except InvalidAddress as problem:
        raise BadValue(str(problem)) from None
    return text


def _decoded(characters: int) -> Callable[[str], str]:
    """Shops export reviews as they stand in their pages: &#34; and &amp;."""
    fitting = values.at_most(characters)

    def read(text: str) -> str:
        return fitting(unescape(text) if "&" in text else text)

    return read


# Every column we know and how its cell is read; moments need the file's own zone.
READERS: dict[str, Callable[[str], Any]] = {
    "customer_id": values.at_most(200),
    "email": _email,
    "occurred_at": str,
    "kind": _kind,
    "interaction_id": values.at_most(200),
    "channel": values.at_most(60),
    "rating": values.rating,
    "subject": _decoded(500),
    "text": _decoded(1_000_000),
    "product": _decoded(500),
    "amount": values.amount,
    "currency": values.currency,
    "first_name": values.at_most(120),
    "last_name": values.at_most(120),
    "language": values.language,
    "timezone": values.time_zone,
    "country": values.country,
    "consent": values.consent,
    "tags": values.tags,
    "answered_at": str,
}
MOMENTS = frozenset({"occurred_at", "answered_at"})


def rows(
    source: str | Path | BinaryIO,
    *,
    timezone: tzinfo = UTC,
    mapping: Mapping[str, str] | None = None,
    encoding: str = "",
    dates: DateOrder = "",
) -> "HistoryFile":
    """Read a history file row by row; never holds more than one row.

    timezone: for times without one. mapping: the file's column name to ours.
    Raises UnreadableHistory if there is no header we can use; afterwards whatever is
    wrong comes as a RefusedRow and the reading goes on.
    """
    return HistoryFile(
        source, timezone=timezone, mapping=mapping or {}, encoding=encoding, dates=dates
    )


class HistoryFile(Reading):
    """The rows of one history file."""

    def __init__(
        self,
        source: str | Path | BinaryIO,
        *,
        timezone: tzinfo,
        mapping: Mapping[str, str],
        encoding: str,
        dates: DateOrder,
    ) -> None:
        self.notes: list[str] = []
        self._zone, self._dates, self._naive = timezone, dates, False
        self._records = Records(open_delimited(source, encoding=encoding))
        self._read_header(mapping)
        self._rows = self._read()

    def __next__(self) -> InteractionRow | RefusedRow:
        return next(self._rows)

    def _read_header(self, mapping: Mapping[str, str]) -> None:
        first = self._records.first_line()
        if not first:
            raise UnreadableHistory(
                self._records.cut_off
                or "The file is empty: it needs a header row and rows."
            )
        wanted = {_folded(name) for name in (*READERS, *mapping)}
        self._records.use(
            max(
                DELIMITERS,
                key=lambda mark: (
                    len(wanted & {_folded(cell) for cell in first.split(mark)}),
                    first.count(mark),
                ),
            )
        )
        header = next(iter(self._records), None)
        if not isinstance(header, Record):
            reason = header.reason if header else "no header row"
            raise UnreadableHistory(f"The header can't be read: {reason}.")
        self._names = [name.strip() for name in header.cells]
        self._records.width = len(self._names)
        fields = _matched(self._names, mapping)
        self._plan = [
            (field, fields[field], self._moment if field in MOMENTS else read)
            for field, read in READERS.items()
            if field in fields
        ]
        ours = set(fields.values())
        self._others = [
            (name, position)
            for position, name in enumerate(self._names)
            if position not in ours and name
        ]

    def _moment(self, text: str) -> datetime:
        found, assumed = values.moment(text, zone=self._zone, dates=self._dates)
        if assumed and not self._naive:
            self._naive = True
            self.notes.append(
                f"Some times have no zone; they are read as {self._zone}. "
                "Say --timezone if that is wrong."
            )
        return found

    def _read(self) -> Iterator[InteractionRow | RefusedRow]:
        empty = True
        for record in self._records:
            if isinstance(record, Broken):
                empty = False
                name = self._names[record.column : record.column + 1]
                yield RefusedRow(
                    record.line, "".join(name), record.value, record.reason
                )
            elif any(map(str.strip, record.cells)):
                empty = False
                yield self._row(record)
        self.cut_off = self._records.cut_off
        if self.cut_off:
            yield RefusedRow(self._records.line, "", "", self.cut_off)
        elif empty:
            self.notes.append("The file has a header and no rows.")

    def _row(self, record: Record) -> InteractionRow | RefusedRow:
        line, cells = record
        width = len(self._names)
        if len(cells) != width and (len(cells) < width or any(cells[width:])):
            return RefusedRow(
                line,
                "",
                shortened(self._records.delimiter.join(cells)),
                f"the header has {width} columns, this row {len(cells)}: "
                "put quotes around cells that hold the delimiter",
            )
        facts: dict[str, Any] = {}
        days: set[str] = set()
        for field, position, read in self._plan:
            cell = cells[position].strip()
            try:
                if cell:
                    facts[field] = read(cell)
                    days.add(field if ":" not in cell else "")
                elif field in REQUIRED:
                    raise BadValue("is empty, and every row needs it")
            except BadValue as problem:
                name = self._names[position]
                return RefusedRow(line, name, shortened(cell), str(problem))
        if "answered_at" in days:
            # Only the day is told: on that of the question it came after it.
            asked, answered = facts["occurred_at"], facts["answered_at"]
            if timedelta(0) < asked - answered < timedelta(days=1):
                facts["answered_at"] = asked
        key = facts.pop("interaction_id", "")
        row = InteractionRow(
            **facts,
            key=key,
            line=line,
            attributes={
                name: cell
                for name, position in self._others
                if (cell := cells[position].strip())
            },
        )
        if not key:
            object.__setattr__(row, "key", content_key(row))
        return row


def _folded(name: str) -> str:
    """Customer ID, customer-id and customerId are one name."""
    return re.sub(r'[\s_.\-"]+', "", name).casefold()


def _matched(names: list[str], mapping: Mapping[str, str]) -> dict[str, int]:
    """Our column to its position in the header. Raises with every problem named."""
    ours = {_folded(field): field for field in READERS}
    theirs: dict[str, str] = {}
    for name, field in mapping.items():
        if _folded(field) not in ours:
            raise UnknownSetting(
                f"--map {name}={field}: '{field}' is not one of {', '.join(READERS)}."
            )
        theirs[_folded(name)] = ours[_folded(field)]
    problems = [
        f"--map names '{name}', which is not in the header"
        for name in mapping
        if _folded(name) not in map(_folded, names)
    ]
    claimed = set(theirs.values())
    found: dict[str, list[int]] = {}
    for position, name in enumerate(names):
        # A column that is mapped elsewhere keeps its place even under our own name.
        field = theirs.get(_folded(name)) or ours.get(_folded(name), "")
        if field in claimed and _folded(name) not in theirs:
            field = ""
        found.setdefault(field or f"other {_folded(name)}", []).append(position)
    for positions in found.values():
        if len(positions) > 1 and names[positions[0]]:
            doubled = " and ".join(f"'{names[position]}'" for position in positions)
            problems.append(f"columns {doubled} are the same: keep or rename one")
    missing = [field for field in REQUIRED if field not in found]
    if missing:
        problems.append(
            f"no column {', '.join(missing)}; the header has {', '.join(names)[:300]}. "
            f"Name yours with --map theirs={missing[0]}"
        )
    if problems:
        raise UnreadableHistory(f"{'; '.join(problems)}."[:1000])
    return {field: found[field][0] for field in READERS if field in found}
