"""What must be forgotten when a customer objects to being profiled.

The import arrow may not turn round: a room that infers something puts its own way of
forgetting here when it starts (AppConfig.ready).
"""

from datetime import datetime
from typing import Protocol

from customers.models import Customer


class Forget(Protocol):
    """Deletes everything inferred of a customer."""

    def __call__(self, customer: Customer, *, at: datetime) -> None: ...


FORGET: list[Forget] = []
