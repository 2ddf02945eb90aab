"""Range after range of customers decided for a send, on PostgreSQL one ahead.

Deciding is this process's work, writing is mostly the server's: one after the other,
each waits for the other half of the time. Deciding only reads; what it has to know of a
range that is still being written, the mailboxes that it reaches, comes along.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import NamedTuple

from django.db import connection, connections
from django.db.models import F

from campaigns.audience import Audience, decide, keys_of, next_chunk, plan_of_send
from campaigns.models import Message, Send
from campaigns.topping_up import known_mailboxes, newcomers
from customers.models import Customer
from customers.querysets import around


class Decided(NamedTuple):
    """A range of customers. last: its last id, None where no customer is left; keys:
    the mailboxes that it reaches."""

    last: int | None
    audience: Audience
    keys: set[str]


class Ranges:
    """The ranges of one send, to be taken one after the other; close it at the end.

    size: customers of a range at most. too_late: whether it has ended before it can
    reach somebody who lives in this zone.
    """

    def __init__(
        self,
        send: Send,
        *,
        size: int,
        at: datetime,
        too_late: Callable[[str], bool],
    ) -> None:
        self._send, self._size, self._at = send, size, at
        self._plan, self._too_late = plan_of_send(send), too_late
        self._thread = ThreadPoolExecutor(1) if _another_connection_helps() else None
        self._ahead: tuple[int, Future[Decided]] | None = None

    def close(self) -> None:
        if self._thread is not None:
            # The thread's own connection; another one could not close it.
            self._thread.submit(connections.close_all)
            self._thread.shutdown()

    def take(self, *, after: int) -> Decided:
        """The range after this id; every range before it is committed."""
        expected, self._ahead = self._ahead, None
        if expected is not None and expected[0] == after:
            found = expected[1].result()
            # That nobody is left is asked again: somebody may have come meanwhile.
            if found.last is not None:
                return found
        return self._decide(after, set())

    def look_ahead(self, taken: Decided) -> None:
        """Begin with the range after this one, which is about to be written."""
        if self._thread is not None and taken.last is not None:
            future = self._thread.submit(self._decide, taken.last, taken.keys)
            self._ahead = taken.last, future

    def _decide(self, after: int, being_written: set[str]) -> Decided:
        customers = next_chunk(after=after, size=self._size)
        if not customers:
            return Decided(None, Audience(), set())
        send, first = self._send, customers[0].pk

        def taken(keys: set[str]) -> set[str]:
            return (being_written & keys) | _reached(send, keys, before=first)

        audience = decide(
            self._plan,
            newcomers(send, customers) if send.tops_up_id else customers,
            at=self._at,
            taken=taken,
            too_late=self._too_late,
        )
        return Decided(customers[-1].pk, audience, keys_of(customers, audience))


def _another_connection_helps() -> bool:
    """Where there is a server, and what is here is seen from there."""
    return connection.vendor == "postgresql" and not connection.in_atomic_block


def _reached(send: Send, keys: set[str], *, before: int) -> set[str]:
    """Which of these mailboxes an earlier range reaches, one before this id, or what
    is topped up has."""
    known = known_mailboxes(send, keys) if send.tops_up_id else set[str]()
    # By a sum, which no index has: by the ids, PostgreSQL would read half the table.
    earlier = Customer.objects.annotate(place=F("pk") + 0).filter(
        address_key__one_of=keys, place__lt=before
    )
    shared = dict(earlier.order_by().values_list("pk", "address_key"))
    there = Message.objects.filter(around(shared), send=send)
    mailed = there.exclude(state=Message.State.LEFT_OUT)
    ids = mailed.values_list("customer_id", flat=True)
    return known | {shared[pk] for pk in ids if pk in shared}
