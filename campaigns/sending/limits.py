"""Limits: stored, shared by all workers, and taken before a mail is written.

A claimed batch takes what its mails need of every limit that is theirs, in one short
transaction that locks the limits' rows in one order; who finds nothing left waits to
when it may (not_before) and does not spin. What was taken and did not leave is given
back; what a dead process took counts until its window is over. Source: sending.md 3.5.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from django.db import transaction
from django.db.models import Q, QuerySet

from campaigns.models import Batch, Campaign, Message, RateLimit
from campaigns.sending import ledger, windows
from campaigns.sending.breaker import TRANSACTIONAL, Way, note
from campaigns.sending.claims import Claim
from campaigns.sending.mailboxes import LABELS, mailboxes_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LIMITED: Final = "limited"
# A warm-up grows after a day on which so much of what it allows was used.
USED_LEAST: Final = 0.5
# The limits of which nothing was left for a mail.
Held = tuple[int, ...]
# Fewer mails a minute say nothing of how fast the provider was fed.
LEARNED_LEAST: Final = 10
LEARN_FROM: Final = timedelta(minutes=1)
# Of these nobody can say that they did not leave.
LEFT: Final = (
    Message.State.ACCEPTED,
    Message.State.FAILED,
    Message.State.IN_DOUBT,
    Message.State.HANDING_OVER,
)


class DayOfMail(NamedTuple):
    """How many mails left on a day; and why that was too much, where it was."""

    mails: int
    because: str = ""


@dataclass(slots=True)
class Grant:
    """may: the messages of a batch that may leave. taken: of which limit for whom."""

    may: list[int] = field(default_factory=list)
    taken: dict[int, list[int]] = field(default_factory=dict)
    # When the others may be tried, and why they wait.
    wait_seconds: float = 0.0
    because: str = ""


def most_at(limit: RateLimit, now: datetime) -> int | None:
    """How many it allows in its window now; None: it binds no more."""
    if limit.learned and limit.pace_at is not None:
        since = (now - limit.pace_at).total_seconds()
        pace = windows.pace_now(limit.pace, since_seconds=since)
        return None if pace >= 1.0 else max(1, int(limit.most * pace))
    if limit.began_on is not None:
        # Not by itself: by as many days as were judged, and went well.
        judged = limit.judged_on or limit.began_on
        days = (min(judged, now.date()) - limit.began_on).days - limit.held_days
        return windows.grown(limit.most, limit.grows_percent, days, limit.ceiling)
    return limit.most


def in_words(limit: RateLimit, now: datetime) -> str:
    """Such as: at most 1,000 an hour to Gmail."""
    most = most_at(limit, now)
    a = "an" if limit.window == RateLimit.Window.HOUR else "a"
    words = f"at most {most or limit.most:,} {a} {limit.window}"
    if limit.mailboxes:
        words += f" to {LABELS.get(limit.mailboxes, limit.mailboxes)}"
    if limit.campaign_id is not None:
        words += f" of “{limit.campaign}”"
    if limit.learned:
        return f"{words}, since the provider asked to be left alone"
    return f"{words}, as it warms up" if limit.began_on else words


def shut_for(way: Way, *, now: datetime) -> tuple[float, str]:
    """Seconds until anything may leave by this provider, and the limit in words."""
    found = (0.0, "")
    for limit in filter(partial(_holds, lane=way.lane), _of_all(way.provider)):
        seconds = _wait(limit, now)
        if seconds > found[0]:
            found = (seconds, in_words(limit, now))
    return found


def seconds_for(mails: int, provider: str, campaign_id: int, *, now: datetime) -> float:
    """How long the limits of a campaign keep so many mails, beyond what is left now."""
    theirs = RateLimit.objects.filter(provider=provider, mailboxes="").filter(
        Q(campaign=None) | Q(campaign=campaign_id)
    )
    longest = 0.0
    for limit in theirs:
        most, window = most_at(limit, now), windows.SECONDS[limit.window]
        if most is None:
            continue
        left = windows.left(limit.slots, window, most, now=now.timestamp())
        longest = max(longest, max(0, mails - left) * window / most)
    return longest


def _holds(limit: RateLimit, *, lane: str) -> bool:
    """Mail about an order counts in every limit, so that what goes to many leaves room
    for it; it waits only for what the provider itself has asked for."""
    return lane != TRANSACTIONAL or limit.learned


def take(claim: Claim, way: Way, *, now: datetime) -> Grant:
    """Take of the limits what this batch needs; where nothing is left it waits.

    Raises LostLease.
    """
    with transaction.atomic():
        batch = ledger.claimed(claim)
        waiting = list(
            batch.messages.filter(state=Message.State.WAITING)
            .order_by("pk")
            .values_list("pk", "address_wire")
        )
        limits = _locked(way.provider, batch.send.campaign_id)
        grant, blocked = _share_out(limits, waiting, lane=way.lane, now=now)
        seconds, because = _when(limits, blocked, batch.send_id, now=now)
        grant.wait_seconds, grant.because = seconds, because
        for limit in limits:
            limit.save(update_fields=["slots", "lines"])
        if not grant.may and waiting:
            batch.outcome, batch.outcome_detail = LIMITED, because
            ledger.close_batch(batch, now=now, wait_seconds=seconds)
    return grant


def take_one(way: Way, campaign_id: int, address: str, *, now: datetime) -> bool:
    """Take of the limits what one mail outside a batch needs; False: it waits."""
    with transaction.atomic():
        limits = _locked(way.provider, campaign_id)
        grant, _ = _share_out(limits, [(0, address)], lane=way.lane, now=now)
        for limit in limits if grant.may else ():
            limit.save(update_fields=["slots"])
    return bool(grant.may)


def give_back(grant: Grant, *, now: datetime) -> None:
    """What was taken for mails that did not leave is there for others."""
    out = set(
        Message.objects.filter(pk__in=grant.may, state__in=LEFT).values_list(
            "pk", flat=True
        )
    )
    unused = {pk: len(set(ids) - out) for pk, ids in grant.taken.items()}
    if not any(unused.values()):
        return
    with transaction.atomic():
        limits = RateLimit.objects.filter(pk__in=unused).order_by("pk")
        for limit in limits.select_for_update():
            _count(limit, -unused[limit.pk], now)
            limit.save(update_fields=["slots"])


def slow_down(way: Way, *, now: datetime) -> None:
    """The provider asked for less: a fifth less than it got, for a while."""
    since = now - LEARN_FROM
    recent = Batch.objects.filter(lane=way.lane, intent_at__gt=since - LEARN_FROM * 9)
    got = Message.objects.filter(
        batch__in=recent, handed_over_at__gt=since, state=Message.State.ACCEPTED
    ).count()
    which = {"provider": way.provider, "mailboxes": "", "campaign": None}
    limit = (
        RateLimit.objects.select_for_update(of=("self",))
        .filter(**which, learned=True)
        .first()
    )
    binds = limit is not None and most_at(limit, now) is not None
    if limit is None or not binds:
        if got < LEARNED_LEAST:
            return  # the rest that it asked for is all there is to know
        limit, _ = RateLimit.objects.get_or_create(
            **which, window="minute", learned=True, defaults={"most": got}
        )
        limit.most, limit.pace = got, 1.0
    elif limit.pace_at is not None:
        since_seconds = (now - limit.pace_at).total_seconds()
        limit.pace = windows.pace_now(limit.pace, since_seconds=since_seconds)
    limit.pace, limit.pace_at = windows.slower(limit.pace), now
    limit.save()
    note(way.provider, f"Slower after a 429: {in_words(limit, now)}.", at=now)


def set_limit(
    provider: str,
    *,
    window: str,
    most: int,
    at: datetime,
    by: "User",
    mailboxes: str = "",
    campaign: Campaign | None = None,
    grows_percent: int = 0,
    ceiling: int | None = None,
) -> RateLimit:
    """Set or change a limit; batches that waited for it are asked anew."""
    with transaction.atomic():
        limit, _ = RateLimit.objects.select_for_update().get_or_create(
            provider=provider,
            mailboxes=mailboxes,
            campaign=campaign,
            window=window,
            learned=False,
            defaults={"most": most},
        )
        limit.most, limit.lines = most, {}
        limit.grows_percent, limit.ceiling = grows_percent, ceiling
        if not grows_percent:
            limit.began_on, limit.held_days = None, 0
        elif limit.began_on is None:
            limit.began_on = limit.judged_on = at.date()
        limit.save()
        words = in_words(limit, at)
        note(provider, f"{by.get_username()} set: {words}.", at=at, by=by)
    _ask_anew(at=at)
    return limit


def warming_up(*, today: date) -> QuerySet[RateLimit]:
    """Warm-ups of which a day is over that nobody has judged."""
    return RateLimit.objects.filter(began_on__lt=today).filter(
        Q(judged_on=None) | Q(judged_on__lt=today)
    )


def judge_days(
    limit: RateLimit,
    days: Mapping[date, DayOfMail],
    *,
    today: date,
    at: datetime,
) -> None:
    """Let a warm-up grow by each day before today that went well and was made use of.

    days: those since it was judged last, each with what came of it.
    """
    with transaction.atomic():
        mine = RateLimit.objects.select_for_update(of=("self",))
        found = mine.filter(pk=limit.pk, judged_on=limit.judged_on).first()
        if found is None:
            return  # somebody else did, or it is gone
        for day, told in sorted(days.items()):
            most = most_at(found, datetime.combine(day, time.max, UTC)) or found.most
            # Who got nothing that day can't say that it was too much.
            if told.because or told.mails < USED_LEAST * most:
                found.held_days += 1
            if told.because:
                words = f"The warm-up does not grow: {told.because}"
                note(found.provider, words, at=at)
            found.judged_on = day + timedelta(days=1)
        found.judged_on = today
        found.save(update_fields=["judged_on", "held_days"])


def remove_limit(limit: RateLimit, *, at: datetime, by: "User") -> None:
    words = in_words(limit, at)
    limit.delete()
    note(limit.provider, f"{by.get_username()} removed: {words}.", at=at, by=by)
    _ask_anew(at=at)


def _ask_anew(*, at: datetime) -> None:
    with transaction.atomic():
        Batch.objects.filter(
            state=Batch.State.WAITING, outcome=LIMITED, not_before__gt=at
        ).update(not_before=at)


def _of_all(provider: str) -> Iterable[RateLimit]:
    return RateLimit.objects.filter(provider=provider, mailboxes="", campaign=None)


def _locked(provider: str, campaign_id: int) -> list[RateLimit]:
    mine = Q(campaign=None) | Q(campaign=campaign_id)
    limits = RateLimit.objects.filter(mine, provider=provider).order_by("pk")
    return list(limits.select_for_update(of=("self",)))


def _wait(limit: RateLimit, now: datetime) -> float:
    most = most_at(limit, now)
    if most is None:
        return 0.0
    seconds = windows.SECONDS[limit.window]
    return windows.wait(limit.slots, seconds, most, now=now.timestamp())


def _count(limit: RateLimit, mails: int, now: datetime) -> None:
    seconds = windows.SECONDS[limit.window]
    limit.slots = windows.taken(limit.slots, seconds, mails, now=now.timestamp())


def _share_out(
    limits: list[RateLimit],
    waiting: list[tuple[int, str]],
    *,
    lane: str,
    now: datetime,
) -> tuple[Grant, Counter[Held]]:
    """Who may leave; and how many are held back, by the limits that do so."""
    grant, blocked = Grant(), Counter[Held]()
    rest = {
        limit.pk: windows.left(
            limit.slots, windows.SECONDS[limit.window], most, now=now.timestamp()
        )
        for limit in limits
        if (most := most_at(limit, now)) is not None
    }
    holding = {limit.pk for limit in limits if _holds(limit, lane=lane)}
    for pk, address in waiting:
        kept_by = mailboxes_of(address)
        theirs = [
            limit.pk
            for limit in limits
            if limit.pk in rest and limit.mailboxes in ("", kept_by)
        ]
        none_left = tuple(one for one in theirs if rest[one] <= 0 and one in holding)
        if none_left:
            blocked[none_left] += 1
            continue
        grant.may.append(pk)
        for one in theirs:
            rest[one] -= 1
            grant.taken.setdefault(one, []).append(pk)
    for limit in limits:
        _count(limit, len(grant.taken.get(limit.pk, ())), now)
    return grant, blocked


def _when(
    limits: list[RateLimit], blocked: Counter[Held], send_id: int, *, now: datetime
) -> tuple[float, str]:
    """When a batch of which mails are held back comes again, and why."""
    when: dict[int, tuple[float, str]] = {}
    for limit in limits:
        mails = sum(count for held, count in blocked.items() if limit.pk in held)
        if not mails:
            continue
        seconds = _wait(limit, now)
        if limit.mailboxes or limit.campaign_id is not None:
            # One after the other, or all batches of a send would come at once.
            seconds = _line_up(limit, send_id, mails, seconds, now=now)
        when[limit.pk] = (seconds, in_words(limit, now))
    found = [max(when[pk] for pk in held) for held in blocked]
    return min(found, default=(0.0, ""))


def _line_up(
    limit: RateLimit, send_id: int, mails: int, seconds: float, *, now: datetime
) -> float:
    begins = now.timestamp()
    lines = {key: end for key, end in limit.lines.items() if end > begins}
    place: float = max(begins + seconds, lines.get(str(send_id), 0.0))
    length = windows.SECONDS[limit.window] * mails / (most_at(limit, now) or limit.most)
    lines[str(send_id)], limit.lines = place + length, lines
    return place - begins
