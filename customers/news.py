"""Who hears that something was recorded of a customer, or changed, as it is written.

The import arrow may not turn round: a room that keeps something up to date with what
customers said and did puts its own ear here when it starts (AppConfig.ready). Ears are
called in the transaction of what they hear, so that nothing is lost between the two.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol


class Recorded(NamedTuple):
    """What is heard of one interaction.

    waits_to_be_read: it has words, and nobody has read them yet. answered: it says when
    the shop answered, which may be all that is new.
    """

    customer_id: int
    kind: str
    rating: float | None
    waits_to_be_read: bool = False
    answered: bool = False


class HearRecorded(Protocol):
    """Interactions were recorded; among new ones there may be some known before."""

    def __call__(self, interactions: Sequence[Recorded]) -> None: ...


class HearChanged(Protocol):
    """Something was taken away from these customers, or counts again."""

    def __call__(self, customer_ids: Collection[int]) -> None: ...


RECORDED: list[HearRecorded] = []
CHANGED: list[HearChanged] = []


def tell_recorded(interactions: Sequence[Recorded]) -> None:
    """Call in the transaction that records them."""
    for hear in RECORDED:
        hear(interactions)


def tell_changed(customer_ids: Collection[int]) -> None:
    """Call in the transaction of the change."""
    for hear in CHANGED:
        hear(customer_ids)
