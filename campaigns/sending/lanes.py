"""Who delivers through what, and what came of a batch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from django.conf import settings

from campaigns.sending import breaker
from campaigns.sending.channels import (
    Channel,
    InDoubt,
    Receipt,
    Refused,
    Result,
    answers_of,
)

# A lease outlives four answers that take as long as an answer may.
LEASE_ANSWERS: Final = 4
LEASE_SPARE_SECONDS: Final = 30.0


@dataclass(slots=True)
class Lane:
    """Who delivers through what. One per worker."""

    name: str
    channel: Channel
    owner: str = ""
    provider: str = field(default_factory=lambda: settings.PROVIDER)
    # The send of which it took a batch last.
    served: int = 0
    # A limit binds: seconds until it is worth to look again.
    wait_seconds: float = 0.0
    # Mails of a send refused one after the other, over batches: send id → message ids.
    bad: dict[int, list[int]] = field(default_factory=dict)
    # Asked between two groups: is this worker's time over, so that the rest of a batch
    # waits for whoever comes next?
    ends: Callable[[], bool] = lambda: False

    @property
    def way(self) -> breaker.Way:
        return breaker.Way(self.provider, self.name)

    @property
    def lease(self) -> timedelta:
        """Long enough for a group of which every mail is answered as late as may be."""
        answers = max(LEASE_ANSWERS, answers_of(self.channel))
        seconds = answers * self.channel.timeout_seconds + LEASE_SPARE_SECONDS
        return timedelta(seconds=seconds)


@dataclass(slots=True)
class Outcome:
    """What came of one batch, in numbers of messages."""

    batch_id: int
    accepted: int = 0
    refused: int = 0
    left_out: int = 0
    in_doubt: int = 0
    # Went back to waiting, or moved to another batch.
    waiting: int = 0
    stopped: str = ""

    def count(self, results: Sequence[Result]) -> None:
        for result in results:
            if isinstance(result, Receipt):
                self.accepted += 1
            elif isinstance(result, Refused):
                self.refused += 1
            elif isinstance(result, InDoubt):
                self.in_doubt += 1
            else:
                self.waiting += 1
