"""What an engine does for this room beside the mail, each turn."""

import logging
from datetime import datetime
from time import monotonic
from typing import Final

from django.conf import settings

from campaigns.sending.engine import BESIDE
from customers.services import try_again
from engagement.bounce_mailbox import MailboxTrouble, take_mailbox
from engagement.figures import count_what_moved
from engagement.guards import (
    gate_domains,
    gate_warm_ups,
    judge_canaries,
    stop_what_harms,
)
from engagement.inbox import forget_old_calls, take_in_open

log = logging.getLogger(__name__)

MAILBOX_SECONDS: Final = 60.0
OVER_SECONDS: Final = 600.0
# After trouble with the mailbox: each look may keep mail waiting for its answer.
MAILBOX_TROUBLE_SECONDS: Final = 600.0


def install() -> None:
    """Put the work in; called once when the app starts."""
    mind_mailbox = _MindMailbox()
    BESIDE.extend([mind_webhooks, mind_mailbox, mind_harm, mind_figures])


def mind_webhooks(at: datetime, until: float) -> int:
    """Take in what providers have reported, and forget what was taken in long ago."""
    return take_in_open(at=at, until=until) + forget_old_calls(at=at)


class _MindHarm:
    """Let the rest of those sends go whose first few fared well; stop sends of which
    too many bounced, complained, or are in doubt; let warm-ups grow after a good day.

    Now and then it looks at sends that are over, and tries addresses again that were
    given up: nobody is spared by haste.
    """

    def __init__(self) -> None:
        self._over_not_before = float("-inf")

    def __call__(self, at: datetime, until: float) -> int:
        judged = judge_canaries(at=at, until=until)
        judged += gate_warm_ups(at=at) + gate_domains(at=at)
        also_over = monotonic() >= self._over_not_before
        if also_over:
            self._over_not_before = monotonic() + OVER_SECONDS
            judged += try_again(at=at)
        return judged + stop_what_harms(at=at, until=until, also_over=also_over)


mind_harm: Final = _MindHarm()


def mind_figures(at: datetime, until: float) -> int:
    """Count large sends again of which something has come back."""
    return count_what_moved(at=at, until=until)


class _MindMailbox:
    """Every minute take mail that came back from its mailbox, where there is one."""

    def __init__(self) -> None:
        self._not_before = float("-inf")

    def __call__(self, at: datetime, until: float) -> int:
        if settings.BOUNCE_MAILBOX is None or monotonic() < self._not_before:
            return 0
        try:
            taken = take_mailbox(settings.BOUNCE_MAILBOX, at=at, until=until)
        except MailboxTrouble as trouble:
            log.warning("%s", trouble)
            self._not_before = monotonic() + MAILBOX_TROUBLE_SECONDS
            return 0
        if not taken.more:
            self._not_before = monotonic() + MAILBOX_SECONDS
        return taken.ours
