"""What sends still need of what segmentation would delete."""

from collections.abc import Iterable

from campaigns.models import Send
from campaigns.planning import ENDED
from segmentation.keeping import NEEDED


def install() -> None:
    """Put the question in; called once when the app starts."""
    NEEDED.append(runs_of_open_sends)


def runs_of_open_sends() -> Iterable[int]:
    """Runs that a send was frozen with whose audience is not drawn up yet."""
    waiting = Send.objects.exclude(state__in=ENDED).filter(
        prepared_at__isnull=True, run__isnull=False
    )
    return waiting.values_list("run_id", flat=True).distinct().order_by()
