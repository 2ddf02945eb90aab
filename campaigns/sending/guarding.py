"""What nobody foresaw about one send stays with that send; the others go on."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from celery.exceptions import SoftTimeLimitExceeded

from campaigns.errors import (
    DATABASE_AWAY,
    AnotherInstance,
    LostLease,
    ProviderMisconfigured,
)
from campaigns.sending import ledger

log = logging.getLogger(__name__)

# Foreseen: each has an answer of its own further out. A task that was given too long
# ends like one that died: its lease tells.
_PASS = (
    *DATABASE_AWAY,
    AnotherInstance,
    LostLease,
    ProviderMisconfigured,
    SoftTimeLimitExceeded,
)


@dataclass(slots=True)
class Trouble:
    happened: bool = False


@contextmanager
def trouble_stays_with(send_id: int, *, at: datetime) -> Iterator[Trouble]:
    """Work on one send: an error that is in nobody's plan pauses it, with a sentence.

    A database that does not answer is everybody's trouble, and passes.
    """
    trouble = Trouble()
    try:
        yield trouble
    except _PASS:
        raise
    except Exception as problem:
        trouble.happened = True
        log.exception("send %s is paused: this was not foreseen", send_id)
        # The kind of error only: its text may name a customer.
        ledger.pause_for(
            send_id,
            f"Nothing more is sent: something went wrong that was not foreseen "
            f"({type(problem).__name__}). The log of the sending process has the "
            "details; correct it, then resume.",
            at=at,
        )
