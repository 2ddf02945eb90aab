"""What an engine does for this room beside the mail, each turn."""

from datetime import datetime

from campaigns.sending.engine import BESIDE
from engagement.figures import count_what_moved
from engagement.guards import judge_canaries, stop_what_harms
from engagement.inbox import forget_old_calls, take_in_open


def install() -> None:
    """Put the work in; called once when the app starts."""
    BESIDE.extend([mind_webhooks, mind_harm, mind_figures])


def mind_webhooks(at: datetime, until: float) -> int:
    """Take in what providers have reported, and forget what was taken in long ago."""
    return take_in_open(at=at, until=until) + forget_old_calls(at=at)


def mind_harm(at: datetime, until: float) -> int:
    """Stop sends of which too many bounced, complained, or are in doubt; let the rest
    of those go whose first few fared well."""
    stopped = stop_what_harms(at=at, until=until)
    return stopped + judge_canaries(at=at, until=until)


def mind_figures(at: datetime, until: float) -> int:
    """Count large sends again of which something has come back."""
    return count_what_moved(at=at, until=until)
