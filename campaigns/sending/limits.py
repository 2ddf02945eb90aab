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

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from campaigns.models import Batch, Campaign, Message, RateLimit, Send
from campaigns.sending import counters, ledger, sharing, warmups, windows
from campaigns.sending.breaker import TRANSACTIONAL, Way, note
from campaigns.sending.claims import Claim
from campaigns.sending.mailboxes import LABELS, mailboxes_of
from campaigns.timing import awake, shop_day, shop_midnight

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LIMITED: Final = "limited"
# A send that has had its part of a day leaves the others time to take theirs.
TURN_SECONDS: Final = 60.0
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
    # When the others may be tried, and why they wait; is that so of the whole send?
    wait_seconds: float = 0.0
    because: str = ""
    all_wait: bool = False
    # For what warm-ups keep: of which send, and of which of the shop's days.
    send_id: int = 0
    day: date | None = None


def most_at(limit: RateLimit, now: datetime) -> int | None:
    """How many it allows in its window now; None: it binds no more."""
    if limit.warm_up is not None:
        return limit.warm_up.cap
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
    if limit.warm_up is not None:
        return warmups.in_words(limit.warm_up)
    a = "an" if limit.window == RateLimit.Window.HOUR else "a"
    words = f"at most {most or limit.most:,} {a} {limit.window}"
    if limit.mailboxes:
        words += f" to {LABELS.get(limit.mailboxes, limit.mailboxes)}"
    if limit.campaign_id is not None:
        words += f" of “{limit.campaign}”"
    if limit.unverified:
        return (
            f"{words} while {limit.provider} is not verified, see "
            f"“manage.py verify_provider {limit.provider}”"
        )
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


def shut_for_domain(send: Send, *, now: datetime) -> tuple[float, str]:
    """Seconds until anything may leave from this send's domain, and why, in words."""
    limit = warmups.of_domain(send.sender_domain)
    if limit is None or not _holds(limit, lane=send.lane):
        return 0.0, ""
    seconds = _wait(limit, now, send=send)
    return seconds, in_words(limit, now) if seconds else ""


def seconds_for(mails: int, way: Way, send: Send, *, now: datetime) -> float:
    """How long the limits of a send keep so many mails, beyond what is left now."""
    theirs = RateLimit.objects.filter(provider=way.provider, mailboxes="").filter(
        Q(campaign=None) | Q(campaign=send.campaign_id)
    )
    longest = 0.0
    warm_up = warmups.of_domain(send.sender_domain)
    if warm_up is not None and _holds(warm_up, lane=way.lane):
        days = warmups.forecast(warm_up, mails, now=now)
        if days and days[-1][0] > shop_day(now):
            on = awake(send.frozen, shop_midnight(days[-1][0]))
            longest = (on - now).total_seconds()
    for limit in filter(partial(_holds, lane=way.lane), theirs):
        most, window = most_at(limit, now), windows.SECONDS[limit.window]
        if most is None:
            continue
        left = counters.left(limit, most, now=now)
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
        send = batch.send
        limits = _locked(way, send)
        grant, blocked = _share_out(limits, waiting, send, lane=way.lane, now=now)
        seconds, because = _when(limits, blocked, send, grant, now=now)
        grant.wait_seconds, grant.because = seconds, because
        for limit in limits:
            limit.save(update_fields=["slots", "lines"])
        if not grant.may and waiting:
            batch.outcome, batch.outcome_detail = LIMITED, because
            ledger.close_batch(batch, now=now, wait_seconds=seconds)
    if grant.all_wait:
        # What keeps this batch keeps all that is due of its send: they are not claimed
        # one by one to find that out.
        theirs = Batch.objects.filter(send=batch.send_id, lane=batch.lane)
        _let_wait(theirs, grant.wait_seconds, grant.because, now=now)
    return grant


def shut(way: Way, *, now: datetime) -> float:
    """Seconds until anything may leave by this provider. Of a long time all that is due
    is told, too: it does not wait for a sender that was away."""
    seconds, because = shut_for(way, now=now)
    if seconds > TURN_SECONDS:
        of_lane = Batch.objects.filter(lane=way.lane)
        _let_wait(of_lane, seconds, because, now=now)
    return seconds


def _let_wait(
    batches: QuerySet[Batch], seconds: float, because: str, *, now: datetime
) -> None:
    due = batches.filter(state=Batch.State.WAITING, paused=False, not_before__lte=now)
    if connection.vendor == "postgresql":
        # Whoever holds one of them finds it out; waiting for them could be a circle.
        due = Batch.objects.filter(
            pk__in=due.select_for_update(skip_locked=True).values("pk")
        )
    with transaction.atomic():
        due.update(
            not_before=now + timedelta(seconds=seconds),
            outcome=LIMITED,
            outcome_detail=because,
        )


def take_one(way: Way, send: Send, address: str, *, now: datetime) -> bool:
    """Take of the limits what one mail outside a batch needs; False: it waits."""
    with transaction.atomic():
        limits = _locked(way, send)
        grant, _ = _share_out(limits, [(0, address)], send, lane=way.lane, now=now)
        for limit in limits if grant.may else ():
            limit.save(update_fields=["slots", "lines"])
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
            if limit.warm_up_id is not None:
                if grant.day != shop_day(now):
                    continue  # what another day allowed is none of today's
                sharing.note_taken(limit, grant.send_id, -unused[limit.pk], now=now)
            counters.count(limit, -unused[limit.pk], now=now)
            limit.save(update_fields=["slots", "lines"])


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
            unverified=False,
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
    ask_anew(at=at)
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
    ask_anew(at=at)


def ask_anew(*, at: datetime) -> None:
    """Batches that wait for a limit are due again, now."""
    with transaction.atomic():
        Batch.objects.filter(
            state=Batch.State.WAITING, outcome=LIMITED, not_before__gt=at
        ).update(not_before=at)


def _of_all(provider: str) -> Iterable[RateLimit]:
    return RateLimit.objects.filter(provider=provider, mailboxes="", campaign=None)


def _locked(way: Way, send: Send) -> list[RateLimit]:
    mine = Q(campaign=None) | Q(campaign=send.campaign_id)
    warms_up = Q(warm_up__domain=send.sender_domain, warm_up__on=True)
    limits = RateLimit.objects.filter(Q(mine, provider=way.provider) | warms_up)
    if way.lane == TRANSACTIONAL:
        # Who is not verified yet keeps its few for those who are many.
        limits = limits.filter(unverified=False)
    limits = limits.select_related("warm_up").order_by("pk")
    return list(limits.select_for_update(of=("self",)))


def _wait(limit: RateLimit, now: datetime, send: Send | None = None) -> float:
    """Seconds until it allows one more. send: asleep at midnight, it waits longer for
    a day that begins then."""
    most = most_at(limit, now)
    seconds = 0.0 if most is None else counters.wait(limit, most, now=now)
    if seconds and limit.warm_up is not None and send is not None:
        on = awake(send.frozen, now + timedelta(seconds=seconds))
        seconds = (on - now).total_seconds()
    return seconds


def _share_out(
    limits: list[RateLimit],
    waiting: list[tuple[int, str]],
    send: Send,
    *,
    lane: str,
    now: datetime,
) -> tuple[Grant, Counter[Held]]:
    """Who may leave; and how many are held back, by the limits that do so."""
    grant, blocked = Grant(send_id=send.pk, day=shop_day(now)), Counter[Held]()
    rest = {
        limit.pk: sharing.left(limit, most, send, now=now)
        if _holds(limit, lane=lane)
        else counters.left(limit, most, now=now)
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
        mails = len(grant.taken.get(limit.pk, ()))
        if limit.warm_up is not None and mails:
            sharing.note_taken(limit, send.pk, mails, now=now)
        counters.count(limit, mails, now=now)
    return grant, blocked


def _when(
    limits: list[RateLimit],
    blocked: Counter[Held],
    send: Send,
    grant: Grant,
    *,
    now: datetime,
) -> tuple[float, str]:
    """When a batch of which mails are held back comes again, and why."""
    when: dict[int, tuple[float, str]] = {}
    for limit in limits:
        mails = sum(count for held, count in blocked.items() if limit.pk in held)
        if not mails:
            continue
        seconds = _wait(limit, now, send=send)
        if limit.warm_up is not None:
            grant.all_wait = True
            # Something is left, for the others.
            seconds = seconds or TURN_SECONDS
        elif limit.mailboxes or limit.campaign_id is not None:
            # One after the other, or all batches of a send would come at once.
            seconds = _line_up(limit, send.pk, mails, seconds, now=now)
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
