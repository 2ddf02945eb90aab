"""The trail of a send: each group that was handed over, each decision about it.

Nothing here is ever read to decide what leaves; it is there for the person who asks
later what happened. So an attempt is written after the outcome that it tells of, in no
transaction of that one: a crash in between loses a line and nobody's state. Source:
sending.md 3.1 (SendAttempt), 8.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from django.conf import settings

from campaigns.models import Batch, Message, SendAttempt, SendNote
from campaigns.sending.breaker import Way
from campaigns.sending.channels import InDoubt, Receipt, Refused, Result
from campaigns.sending.claims import Claim

if TYPE_CHECKING:
    from django.contrib.auth.models import User

KEPT_FOR: Final = timedelta(days=90)
FORGOTTEN_AT_ONCE: Final = 1000
SHOWN: Final = 20
# What came of a group is known, and nothing else was written of it: its lease was lost,
# or something went wrong that nobody foresaw.
LATE: Final = "after_lease"
UNWRITTEN: Final = "not_written"


def attempted(
    claim: Claim,
    way: Way,
    results: Sequence[Result],
    *,
    began_at: datetime,
    seconds: float,
    outcome: str = "",
) -> None:
    """Keep what came of a group that was handed over.

    seconds: until it was answered. outcome: instead of what the answers say.
    """
    other = next((one for one in results if not isinstance(one, Receipt)), None)
    SendAttempt.objects.create(
        send_id=claim.send_id,
        batch_id=claim.batch_id,
        provider=way.provider,
        lane=way.lane,
        began_at=began_at,
        seconds=seconds,
        mails=len(results),
        accepted=_count(results, Receipt),
        refused=_count(results, Refused),
        in_doubt=_count(results, InDoubt),
        outcome=(outcome or getattr(other, "reason", "accepted"))[:40],
        detail=getattr(other, "detail", "")[:200],
    )


def died(batch: Batch, *, mails: int, now: datetime) -> None:
    """Whoever handed over a group of this batch ended: nobody knows what came of it."""
    SendAttempt.objects.create(
        send_id=batch.send_id,
        batch=batch,
        provider=(batch.intent or {}).get("provider", settings.PROVIDER),
        lane=batch.lane,
        # Of the first group; of a later one no time is known but this.
        began_at=batch.intent_at or now,
        mails=mails,
        in_doubt=mails,
        outcome="died",
        detail=batch.outcome_detail,
    )


def note(
    send_id: int,
    sentence: str,
    *,
    at: datetime,
    by: "User | None" = None,
    message: Message | None = None,
    warns: bool = False,
) -> None:
    """Keep what was done to a send, or to one mail of it; warns: or seen of it."""
    SendNote.objects.create(
        send_id=send_id,
        message=message,
        at=at,
        by=by,
        by_name=by.get_username() if by else "",
        sentence=sentence[:500],
        warns=warns,
    )


def note_each(send_id: int, sentences: Mapping[int, str], *, at: datetime) -> None:
    """Keep what happened by itself to each of these mails; by message id."""
    SendNote.objects.bulk_create(
        SendNote(send_id=send_id, message_id=pk, at=at, sentence=sentence[:500])
        for pk, sentence in sentences.items()
    )


def forget_old(*, at: datetime) -> int:
    """Attempts are for looking into trouble, notes stay; how many went."""
    old = SendAttempt.objects.filter(began_at__lt=at - KEPT_FOR).order_by("began_at")
    ids = list(old.values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE])
    if ids:
        SendAttempt.objects.filter(pk__in=ids).delete()
    return len(ids)


def _count(results: Sequence[Result], kind: type) -> int:
    return sum(isinstance(one, kind) for one in results)
