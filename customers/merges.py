"""What happens in other rooms when two customers turn out to be one person.

The import arrow may not turn round: each room puts its part here when it starts
(AppConfig.ready).
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from customers.models import Customer


@dataclass(frozen=True, slots=True)
class Merging:
    """A merge under way. same: the other's interactions that the kept one has as well,
    by id, with the id of the one that stays."""

    kept: Customer
    other: Customer
    by: Any
    at: datetime
    same: dict[int, int] = field(default_factory=dict)


class Lock(Protocol):
    """Locks what the room's own writers lock before they lock a customer.

    Raises MergeRefused where the room can't have the two be one.
    """

    def __call__(self, kept: Customer, other: Customer) -> None: ...


class Move(Protocol):
    """Gives the kept one what the room has of the other; what is left is deleted."""

    def __call__(self, merging: Merging) -> None: ...


LOCK: list[Lock] = []
MOVE: list[Move] = []
