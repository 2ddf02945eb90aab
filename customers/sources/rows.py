"""What every source hands over: a row that can be recorded, or a row refused."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal

# A refused value is shown, not kept: enough to find it in the file.
SHOWN_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class InteractionRow:
    """One dated thing a customer said or did, with what the source knows about her.

    occurred_at: aware. key: the source's own name of the interaction; empty where it
    has none, then content_key() stands in. Empty text means not known.
    rating: 0 to 10. language: BCP 47. timezone: IANA. country: ISO 3166, two letters.
    answered_at: aware, when the shop answered; None where that is not known.
    """

    customer_id: str
    email: str
    occurred_at: datetime
    kind: str
    key: str = ""
    channel: str = ""
    rating: float | None = None
    subject: str = ""
    text: str = ""
    product: str = ""
    amount: Decimal | None = None
    currency: str = ""
    first_name: str = ""
    last_name: str = ""
    language: str = ""
    timezone: str = ""
    country: str = ""
    consent: Literal["", "yes", "no"] = ""
    tags: tuple[str, ...] = ()
    answered_at: datetime | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    line: int = 0


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that was left out: where it stands, what stood there, what was needed."""

    line: int
    column: str
    value: str
    reason: str

    def __str__(self) -> str:
        where = f"line {self.line}" + (f", {self.column}" if self.column else "")
        return f"{where}: {self.reason}" + (f" ({self.value})" if self.value else "")


class Reading(Iterator[InteractionRow | RefusedRow]):
    """The rows of one file as they are read.

    notes: what the reader assumed, complete at the end. cut_off: why the file could
    not be read to its end, or empty.
    """

    notes: list[str]
    cut_off: str = ""


def content_key(row: InteractionRow) -> str:
    """A key made of what happened, for a row that brings none.

    Who, when, what, every text and attribute; not the customer's address, names or
    consent, nor when it was answered, so that a corrected name does not make the same
    order a second one, nor an answer the same ticket.
    """
    parts = [
        row.customer_id,
        row.kind,
        row.occurred_at.astimezone(UTC).isoformat(),
        row.channel,
        "" if row.rating is None else f"{row.rating:g}",
        row.subject,
        row.text,
        row.product,
        "" if row.amount is None else f"{row.amount:.2f}",
        row.currency,
        *(f"{name}\x1e{row.attributes[name]}" for name in sorted(row.attributes)),
    ]
    # Lengths keep neighbours apart: ("ab", "c") is not ("a", "bc").
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def shortened(value: str) -> str:
    """A value as a report shows it: one line, no control characters, not too long."""
    line = "".join(mark if mark.isprintable() else " " for mark in value[:200]).strip()
    if len(line) <= SHOWN_CHARACTERS and len(value) <= 200:
        return line
    return f"{line[: SHOWN_CHARACTERS - 1]}…"
