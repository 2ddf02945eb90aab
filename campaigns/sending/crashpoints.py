"""Named places where a test may kill or freeze the process, to prove what that leaves.

Honoured only where ATTUNE_CRASH_TESTS says so beside ATTUNE_CRASH_AT: no deployment
sets either.
"""

import os
import signal
from typing import Final

AFTER_CLAIM: Final = "after_claim"
AFTER_INTENT: Final = "after_intent"
AFTER_ACCEPT: Final = "after_accept"
INSIDE_OUTCOME: Final = "inside_outcome"
POINTS: Final = (AFTER_CLAIM, AFTER_INTENT, AFTER_ACCEPT, INSIDE_OUTCOME)
# While the audience is written: before a range of it is committed, and after.
INSIDE_RANGE: Final = "inside_range"
AFTER_RANGE: Final = "after_range"
# While what is in doubt is let wait again: before that is committed, and after.
INSIDE_AGAIN: Final = "inside_again"
AFTER_AGAIN: Final = "after_again"
# While a message is added to a standing send, before that is committed.
INSIDE_ADD: Final = "inside_add"

_passed = 0


def reached(point: str) -> None:
    """Die here when a test asked for it: "after_intent" or "after_intent:3" for the
    third time the point is passed. By SIGKILL, or what ATTUNE_CRASH_BY names."""
    wanted = os.environ.get("ATTUNE_CRASH_AT")
    if wanted is None or os.environ.get("ATTUNE_CRASH_TESTS") != "yes":
        return
    name, _, times = wanted.partition(":")
    if name != point:
        return
    global _passed
    _passed += 1
    if _passed == int(times or 1):
        by = os.environ.get("ATTUNE_CRASH_BY", "SIGKILL")
        os.kill(os.getpid(), signal.Signals[by])
