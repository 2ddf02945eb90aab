"""A delimited text (CSV, also gzip) as records, whatever state it is in.

Python's csv module reads cells; this reads what comes before: where a record begins and
ends. It never holds more than RECORD_CHARACTERS of a record, and a quote that is never
closed costs its own line, not the rest of the file.
"""

import codecs
import csv
import gzip
import io
import re
import zlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from customers.errors import UnknownSetting, UnreadableHistory
from customers.sources.rows import shortened

# A cell of 100,000 characters is forty pages; csv itself stops at 131,072.
CELL_CHARACTERS = 100_000
RECORD_CHARACTERS = 1_000_000
DELIMITERS = (",", ";", "\t")

# Bytes that are not text in the encoding arrive as these (PEP 383).
UNDECODED = re.compile("[\udc80-\udcff]")
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class Record(NamedTuple):
    line: int
    cells: list[str]


class Broken(NamedTuple):
    """A record that has no cells to speak of; column counts from 0, -1 is the row."""

    line: int
    column: int
    value: str
    reason: str


def open_delimited(
    source: str | Path | BinaryIO, *, encoding: str = ""
) -> io.TextIOWrapper:
    """The text of a file or stream, unpacked and decoded; line ends stay as they are.

    encoding: "" means UTF-8, or UTF-16 where a byte order mark says so.
    Raises UnreadableHistory if it can't be opened, UnknownSetting for the encoding.
    """
    try:
        raw = open(source, "rb") if isinstance(source, str | Path) else source  # noqa: SIM115
        packed = raw if hasattr(raw, "peek") else io.BufferedReader(raw)  # type: ignore[type-var]
        magic = packed.peek(4)[:4]
        if magic.startswith(b"PK\x03\x04"):
            raise UnreadableHistory(
                "This is a zip archive or an Excel workbook: save the sheet as "
                "'CSV UTF-8' and import that."
            )
        plain = gzip.GzipFile(fileobj=packed) if magic[:2] == b"\x1f\x8b" else packed
        head = plain.peek(4)[:4]
    except (OSError, EOFError) as problem:
        raise UnreadableHistory(
            "The file can't be opened: "
            f"{getattr(problem, 'strerror', None) or problem}."
        ) from None
    return io.TextIOWrapper(
        plain,
        encoding=_encoding(head, encoding),
        errors="surrogateescape",
        newline="",
    )


def _encoding(head: bytes, asked: str) -> str:
    if asked:
        try:
            found = codecs.lookup(asked)
            found.decode(b"")
            "".encode(asked)
        except LookupError:
            raise UnknownSetting(
                f"'{asked}' is not a text encoding: try utf-8, cp1252 or utf-16."
            ) from None
        return "utf-8-sig" if found.name == "utf-8" else found.name
    for mark, name in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return name
    return "utf-8"


class Records:
    """The records below each other; a row that is broken comes as Broken.

    delimiter: one of DELIMITERS. width: cells in a row, once the header is known; 0
    before. Blank lines are passed over.
    """

    def __init__(self, text: io.TextIOWrapper, *, delimiter: str = ",") -> None:
        self._text = text
        self.line = 0
        self._again: deque[tuple[int, str]] = deque()
        self.width = 0
        self.cut_off = ""
        self.use(delimiter)

    def use(self, delimiter: str) -> None:
        mark = re.escape(delimiter)
        quoted = rf'"[^"]*+(?:""[^"]*+)*+"[^{mark}]*+'
        cell = rf'(?:{quoted}|[^"{mark}][^{mark}]*+|)'
        rest = rf"(?:{mark}{cell})*+\Z"
        self.delimiter = delimiter
        # The csv module's own grammar: does this line end outside of quotes?
        self._whole = re.compile(cell + rest)
        self._closing = re.compile(rf'[^"]*+(?:""[^"]*+)*+"[^{mark}]*+{rest}')

    def first_line(self) -> str:
        """The first line that is not blank, looked at and put back."""
        while (read := self._read()) is not None:
            if read[1].strip():
                self._again.appendleft(read)
                return read[1]
        return ""

    def __iter__(self) -> Iterator[Record | Broken]:
        while (read := self._read()) is not None:
            number, line = read
            if len(line) >= RECORD_CHARACTERS:
                yield self._too_long(number, line)
            elif '"' in line and not self._whole.match(line):
                yield self._continued(number, line)
            else:
                record = self._record(number, line)
                if record is not None:
                    yield record

    def _read(self) -> tuple[int, str] | None:
        if self._again:
            return self._again.popleft()
        try:
            line = self._text.readline(RECORD_CHARACTERS)
            if len(line) == RECORD_CHARACTERS:
                self._pass_over_the_rest(line)
        except (OSError, EOFError, UnicodeError, zlib.error) as problem:
            self.cut_off = f"the file can't be read past line {self.line}: {problem}"
            return None
        if not line:
            return None
        self.line += 1
        return self.line, line

    def _pass_over_the_rest(self, line: str) -> None:
        while line and not line.endswith(("\n", "\r")):
            line = self._text.readline(RECORD_CHARACTERS)

    def _record(self, number: int, text: str) -> Record | Broken | None:
        """The cells of one whole record; None for a blank one."""
        if "\0" in text or (not text.isascii() and UNDECODED.search(text)):
            return self._undecoded(number, text)
        cells = self._cells(text)
        if cells is None:
            return self._too_long(number, text)
        if len(text) > CELL_CHARACTERS:
            for column, cell in enumerate(cells):
                if len(cell) > CELL_CHARACTERS:
                    return self._too_long(number, text, column)
        if not any(cells):
            return None
        return Record(number, cells)

    def _cells(self, text: str) -> list[str] | None:
        """None if a cell is above the csv module's own limit."""
        try:
            return next(csv.reader((text,), delimiter=self.delimiter), [])
        except csv.Error:
            return None

    def _continued(self, number: int, line: str) -> Record | Broken:
        """A record whose first line opens a quote: read on until it closes."""
        lines, size = [(number, line)], len(line)
        while size < RECORD_CHARACTERS and (read := self._read()) is not None:
            lines.append(read)
            size += len(read[1])
            if '"' in read[1] and self._closing.match(read[1]):
                text = "".join(part for _, part in lines)
                record = self._record(number, text)
                if not self._swallowed(lines, record):
                    return record or Record(number, [])
                break
        else:
            if size >= RECORD_CHARACTERS and not self._swallowed(lines, None):
                self._pass_over_the_cell()
                return self._too_long(number, line)
        # Only the line that opens the quote is lost: the others get their own chance.
        self._again.extendleft(reversed(lines[1:]))
        cells = self._cells(line) or [""]
        return Broken(
            number,
            len(cells) - 1,
            shortened(cells[-1]),
            'a quote opens here and never closes: close it, or write "" for a quote',
        )

    def _swallowed(
        self, lines: list[tuple[int, str]], record: Record | Broken | None
    ) -> bool:
        """Did an open quote take in rows that would have stood on their own?"""
        if isinstance(record, Record) and self.width in (0, len(record.cells)):
            return False
        return any(self._looks_like_a_row(line) for _, line in lines[1:])

    def _looks_like_a_row(self, line: str) -> bool:
        return self.width > 1 and line.count(self.delimiter) >= self.width - 1

    def _pass_over_the_cell(self) -> None:
        """Read to the end of a quoted cell that is too long to hold."""
        while (read := self._read()) is not None:
            if '"' in read[1] and self._closing.match(read[1]):
                return
            if self._looks_like_a_row(read[1]):
                self._again.appendleft(read)
                return

    def _too_long(self, number: int, text: str, column: int | None = None) -> Broken:
        cells = self._cells(text[:CELL_CHARACTERS]) or [""]
        at = len(cells) - 1 if column is None else column
        return Broken(
            number,
            at,
            shortened(cells[min(at, len(cells) - 1)]),
            f"the cell is longer than {CELL_CHARACTERS:,} characters: shorten it",
        )

    def _undecoded(self, number: int, text: str) -> Broken:
        """A byte that is not text in this encoding, or a NUL."""
        found = UNDECODED.search(text)
        at = found.start() if found else text.index("\0")
        cells = self._cells(text[: at + 1]) or [""]
        value = shortened(UNDECODED.sub("\ufffd", cells[-1]))
        if found is None:
            reason = "a NUL byte is not text: save the file again as 'CSV UTF-8'"
            return Broken(number, len(cells) - 1, value, reason)
        encoding = self._text.encoding.removesuffix("-sig")
        position = len(text[:at].encode(encoding, "surrogateescape")) + 1
        return Broken(
            number,
            len(cells) - 1,
            value,
            f"byte {position} of the line, 0x{ord(found[0]) - 0xDC00:02X}, is not "
            f"{encoding.upper()}: save the file as 'CSV UTF-8', or say which encoding "
            "it is, for example --encoding cp1252",
        )
