"""docs/failure_matrix.md as it is read by tests: what shows what, and what sends."""

import re
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

DOCUMENT: Final = Path(__file__).resolve().parents[1] / "docs" / "failure_matrix.md"
NO_SEND: Final = "no send:"
_ROW: Final = re.compile(r"^\| ([FT]\d[^|]*|\(none\)) \|[^|]+\|(.+)\|$", re.M)
_TEST: Final = re.compile(r"`(tests/[\w/]+\.py::\w+)`")
# F35 is of size; its sums are printed by a benchmark.
_LAST: Final = 34


class Row(NamedTuple):
    """cell: such as F15, F17. sends: its tests after which I1 to I7 are looked at; the
    others hand one call over, or look at what comes back."""

    cell: str
    sends: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def numbers(self) -> set[tuple[str, int]]:
        """("F", 1) to ("F", 4) of F1-F4."""
        return {
            (kind, number)
            for kind, first, last in re.findall(r"([FT])(\d+)(?:-F(\d+))?", self.cell)
            for number in range(int(first), int(last or first) + 1)
        }


@cache
def rows() -> tuple[Row, ...]:
    words = DOCUMENT.read_text(encoding="utf-8")
    found = []
    for cell, tests in _ROW.findall(words):
        sends, _, others = tests.partition(NO_SEND)
        found.append(Row(cell, *(tuple(_TEST.findall(one)) for one in (sends, others))))
    return tuple(found)


@cache
def looked_at() -> frozenset[str]:
    """The tests of F1 to F34, and of what has no number, that send."""
    last = {("F", number) for number in range(1, _LAST + 1)}
    return frozenset(
        test for row in rows() if row.numbers <= last for test in row.sends
    )
