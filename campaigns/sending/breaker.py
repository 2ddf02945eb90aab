"""The breaker: where the provider is in doubt, no more mail is put in doubt.

One stored row for each provider and lane, shared by all workers and good after a
restart. It opens at the first answer that leaves a mail in doubt, or when the provider
was not reached several times in a row; then nobody claims. After a while one single
mail asks: its answer closes the breaker, or opens it for twice as long. So the mails in
doubt are at most those under way when it opened: workers times group, and one for each
time it asked. Source: sending.md 1.3.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from django.db import transaction
from django.db.models import Exists, Q, QuerySet

from campaigns.models import Breaker, FrequencyCap, ProviderNote, RateLimit
from campaigns.sending.channels import (
    Busy,
    InDoubt,
    Later,
    Receipt,
    Refused,
    Result,
    Stop,
)
from customers.templatetags.attune import moment_named

if TYPE_CHECKING:
    from django.contrib.auth.models import User

log = logging.getLogger(__name__)

# In this order, and in turn: what goes to many never holds up mail about an order.
TRANSACTIONAL: Final = "transactional"
BULK: Final = "bulk"
LANES: Final = (TRANSACTIONAL, BULK)
# Open for 30 s, doubling, an hour at most: as retries, sending.md 3.6.
FIRST_OPEN_SECONDS: Final = 30.0
LONGEST_OPEN_SECONDS: Final = 3600.0
# Not reached once is a hiccup; so many times in a row the provider is away.
NOT_REACHED_MOST: Final = 3
_ANSWERS: Final = (Receipt, Refused, Later)


class Gate(Enum):
    """CLOSED: mail leaves. PROBE: one mail may ask. SHUT: nobody claims."""

    CLOSED = "closed"
    PROBE = "probe"
    SHUT = "shut"


class Way(NamedTuple):
    """The lane of a provider whose breaker is meant."""

    provider: str
    lane: str


def found(way: Way) -> Breaker | None:
    return _rows(way).first()


class Stands(NamedTuple):
    """The row of a lane; are there limits, is there a cap on how often?"""

    row: Breaker
    limited: bool
    capped: bool


def row_of(way: Way) -> Stands:
    """One query; the row is made where there is none."""
    # Without a provider: of a sender domain that warms up, by whichever it sends.
    limits = RateLimit.objects.filter(provider__in=(way.provider, ""))
    caps = FrequencyCap.objects.all()
    found = _rows(way).annotate(limited=Exists(limits), capped=Exists(caps)).first()
    if found is not None:
        return Stands(found, found.limited, found.capped)
    row, _ = Breaker.objects.get_or_create(**way._asdict())
    return Stands(row, limits.exists(), caps.exists())


def gate(row: Breaker, *, now: datetime) -> Gate:
    """May somebody claim on this lane now?"""
    if row.rests_until is not None and now < row.rests_until:
        return Gate.SHUT
    if row.state == Breaker.State.CLOSED:
        return Gate.CLOSED
    if row.until is None or now < row.until:
        return Gate.SHUT
    return Gate.PROBE


def half_open(way: Way, batch_id: int, *, now: datetime, until: datetime) -> bool:
    """Become the one who asks, with this batch; False when somebody else does.

    until: when the answer is in at the latest; whoever asked is dead then.
    """
    asking = _rows(way).filter(until__lte=now).exclude(state=Breaker.State.CLOSED)
    return bool(
        asking.update(state=Breaker.State.HALF_OPEN, probe_batch=batch_id, until=until)
    )


def bars(way: Way, batch_id: int, *, now: datetime) -> QuerySet[Breaker]:
    """The breaker, if nothing of this batch may leave now."""
    not_ours = Q(state=Breaker.State.HALF_OPEN) & ~Q(probe_batch=batch_id)
    shut = Q(state=Breaker.State.OPEN) | not_ours | Q(rests_until__gt=now)
    return _rows(way).filter(shut)


def heard(
    way: Way,
    results: Sequence[Result],
    stop: Stop | None,
    *,
    batch_id: int,
    now: datetime,
    patience: float,
) -> None:
    """What the answers to a group mean for the lane, in the transaction of its outcome.

    patience: seconds the lane is left alone where the provider only wants a rest.
    """
    row = _rows(way).select_for_update().get()
    asked = row.state == Breaker.State.HALF_OPEN and row.probe_batch == batch_id
    if isinstance(stop, InDoubt):
        _open(row, stop.detail or stop.reason, asked=asked, now=now)
    elif isinstance(stop, Busy) and stop.reason == "not_sent_net":
        row.not_reached += 1
        if asked or row.not_reached >= NOT_REACHED_MOST:
            _open(row, stop.detail or stop.reason, asked=asked, now=now)
        else:
            _rest(row, stop, now=now, patience=patience)
    elif isinstance(stop, Busy):
        _rest(row, stop, now=now, patience=patience)
    elif any(isinstance(one, _ANSWERS) for one in results):
        row.not_reached = 0
        if asked:
            _close(row, "The provider answers again: mail leaves.", now=now)
    row.save()


def end_probe(way: Way, batch_id: int, *, now: datetime) -> None:
    """Whoever was to ask could not, or learned nothing: the next mail asks."""
    _rows(way).filter(state=Breaker.State.HALF_OPEN, probe_batch=batch_id).update(
        state=Breaker.State.OPEN, probe_batch=None, until=now
    )


def close_breaker(way: Way, *, at: datetime, by: "User") -> None:
    """A person knows that the provider takes mail again."""
    with transaction.atomic():
        row = _locked(way)
        row.rests_until, row.rests_because, row.not_reached = None, "", 0
        _close(row, f"{by.get_username()} closed the breaker.", now=at, by=by)
        row.save()


def open_breaker(way: Way, *, at: datetime, by: "User") -> None:
    """A person wants no mail to leave until they say otherwise."""
    with transaction.atomic():
        row = _locked(way)
        row.state, row.until, row.opened_at = Breaker.State.OPEN, None, at
        row.probe_batch = None
        row.reason = f"opened by {by.get_username()}"
        row.save()
        note(way.provider, f"{by.get_username()} opened the breaker.", at=at, by=by)


def set_seed(provider: str, address: str, *, at: datetime, by: "User") -> None:
    """Ask with a mail to this address from now on; empty: with a customer's."""
    for lane in LANES:
        Breaker.objects.get_or_create(provider=provider, lane=lane)
    Breaker.objects.filter(provider=provider).update(seed_address=address)
    what = (
        f"set the seed address to {address}"
        if address
        else "took the seed address away"
    )
    note(provider, f"{by.get_username()} {what}.", at=at, by=by)


def note(
    provider: str, sentence: str, *, at: datetime, by: "User | None" = None
) -> None:
    """Keep what happened, and by whom."""
    ProviderNote.objects.create(
        provider=provider, at=at, by=by, sentence=sentence[:500]
    )


def in_words(row: Breaker, *, now: datetime) -> str:
    """Why no mail leaves on this lane now, and until when; nothing if it does."""
    if row.state == Breaker.State.OPEN and row.until is None:
        return f"No mail leaves: the breaker was {row.reason}."
    if row.state != Breaker.State.CLOSED and row.until is not None:
        if row.state == Breaker.State.HALF_OPEN or row.until <= now:
            when = "one mail asks now whether it takes mail again"
        else:
            when = f"on {moment_named(row.until)} one mail asks whether it does again"
        return f"The provider does not answer as it should ({row.reason}): {when}."
    if row.rests_until is not None and now < row.rests_until:
        return (
            f"The provider is left alone until {moment_named(row.rests_until)}"
            f" ({row.rests_because})."
        )
    return ""


def what_stands(provider: str, *, now: datetime) -> list[str]:
    """Why no mail leaves, a sentence for each lane on which none does."""
    rows = Breaker.objects.filter(provider=provider).order_by("pk")
    return list(dict.fromkeys(filter(None, (in_words(one, now=now) for one in rows))))


def _rows(way: Way) -> QuerySet[Breaker]:
    return Breaker.objects.filter(provider=way.provider, lane=way.lane)


def _locked(way: Way) -> Breaker:
    Breaker.objects.get_or_create(**way._asdict())
    return _rows(way).select_for_update().get()


def _open(row: Breaker, reason: str, *, asked: bool, now: datetime) -> None:
    if row.state == Breaker.State.OPEN or (
        row.state == Breaker.State.HALF_OPEN and not asked
    ):
        return  # a mail that was under way when it opened
    row.failures += 1
    doubled = FIRST_OPEN_SECONDS * 2.0 ** min(row.failures - 1, 10)
    seconds = min(doubled, LONGEST_OPEN_SECONDS)
    if row.state == Breaker.State.CLOSED:
        row.opened_at = now
    row.state, row.until = Breaker.State.OPEN, now + timedelta(seconds=seconds)
    row.reason, row.probe_batch = reason.rstrip(".")[:300], None
    log.warning("%s is open for %.0f s: %s", row, seconds, reason)
    note(
        row.provider,
        f"The breaker of {row.lane} mail opened for {seconds:,.0f} seconds: "
        f"{row.reason}.",
        at=now,
    )


def _close(
    row: Breaker, sentence: str, *, now: datetime, by: "User | None" = None
) -> None:
    row.state, row.reason, row.opened_at = Breaker.State.CLOSED, "", None
    row.until = row.probe_batch = None
    row.failures = 0
    note(row.provider, sentence, at=now, by=by)


def _rest(row: Breaker, stop: Busy, *, now: datetime, patience: float) -> None:
    until = now + timedelta(seconds=patience)
    if row.rests_until is None or row.rests_until < until:
        row.rests_until = until
        row.rests_because = (stop.detail or stop.reason).rstrip(".")[:300]
