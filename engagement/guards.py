"""A send that does harm stops by itself, and says why; a person decides how it goes on.

A list that bounces or complains costs a shop its name with mailbox providers within
hours. Source: sending.md 3.4, "auto-pause"; docs/operations.md.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from time import monotonic
from typing import Final

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from campaigns.models import Canary, Message, Send, SendNote
from campaigns.sending import canary, limits, trail, warming
from campaigns.services import stop_send
from campaigns.timing import shop_day, shop_midnight
from engagement.models import MessageEngagement

# Fewer mails than these say nothing.
JUDGED_FROM: Final = 200
# The first ones are looked at: they have had most time to come back.
LOOKED_AT: Final = 5000
BOUNCED_MOST: Final = 0.05
COMPLAINED_MOST: Final = 0.003
# Large ones; of small ones twice as many each time.
BATCHES_AT_FIRST: Final = 12
# What a server or a provider says at once of an address, and not of our mail.
REFUSED_ADDRESSES: Final = ("invalid", "rejected", "failed")
_OUTCOMES: Final = Q(state=Message.State.ACCEPTED) | Q(
    state=Message.State.FAILED, reason__in=REFUSED_ADDRESSES
)
# Above it mailbox providers begin to look; they ask to stay below (sending.md 5.1).
COMPLAINED_MUCH: Final = 0.001
COMPLAINTS_TOLD: Final = 2
# Of a warm-up that nobody judged for longer, as many days at most.
DAYS_JUDGED: Final = 14
# So many times what stops a send, in one day of a domain that warms up: it goes back.
BADLY: Final = 2
# People complain for days.
TOLD_FOR: Final = timedelta(days=2)
# Below so many complaints one person's mood would stop a send.
COMPLAINTS_LEAST: Final = 3
DOUBT_MOST: Final = 0.01
# Of the first few of a large send: a fifth refused (sending.md 3.4, "errors"); of what
# else goes wrong two may be chance, and of spam one person's mood.
REFUSED_MOST: Final = 0.2
CANARY_LEAST: Final = 2
CANARY_COMPLAINTS: Final = 1


@dataclass(frozen=True, slots=True)
class Harm:
    """What came of a send: of the first mails, looked_at, how many bounced (or were
    refused for their address) or complained; of all that left, handed_over, how many
    are in doubt."""

    looked_at: int = 0
    bounced: int = 0
    complained: int = 0
    handed_over: int = 0
    in_doubt: int = 0
    # They are the newest mails, and not the first.
    newest: bool = False

    @property
    def because(self) -> str:
        """Why it has to stop, as a sentence; empty: it need not."""
        if self.looked_at < JUDGED_FROM:
            return ""
        if self.bounced > BOUNCED_MOST * self.looked_at:
            return (
                f"{self.bounced:,} of {self.looked_at:,} mails came back or were "
                "refused for their address, more than one in twenty: the list may be "
                "old. Look at whose they were before you resume it."
            )
        complaints = max(COMPLAINED_MOST * self.looked_at, COMPLAINTS_LEAST)
        if self.complained >= complaints:
            return (
                f"{self.complained:,} of {self.looked_at:,} people called it spam, "
                "three in a thousand or more: mailbox providers stop taking mail then. "
                "Find out why before you resume it."
            )
        if self.in_doubt > DOUBT_MOST * self.handed_over:
            return (
                f"{self.in_doubt:,} mails are in doubt, more than one in a hundred: "
                "the provider does not answer as it should. Look at its status before "
                "you resume it."
            )
        return ""

    @property
    def warning(self) -> str:
        """What somebody should look at though nothing has to stop; or nothing."""
        told = max(COMPLAINED_MUCH * self.looked_at, COMPLAINTS_TOLD)
        if self.looked_at < JUDGED_FROM or self.complained < told:
            return ""
        which = "the last " if self.newest else "the first "
        first = which if self.looked_at == LOOKED_AT else ""
        return (
            f"{self.complained:,} of {first}{self.looked_at:,} people called it spam: "
            "mailbox providers ask to stay below one in a thousand, and a send stops "
            "from three in a thousand on."
        )


def judge_canaries(*, at: datetime, until: float = float("inf")) -> int:
    """Let the rest of large sends go whose first few fared well; stop the others.

    Returns how many were looked at.
    """
    looked_at = 0
    for one in canary.due(at=at):
        if monotonic() >= until:
            break
        looked_at += 1
        because = _fared(one)
        if because:
            canary.judged(one, at=at)
            stop_send(
                one.send_id, f"Of the first {len(one.messages)}, {because}", at=at
            )
        else:
            canary.release(one, at=at)
    return looked_at


def _fared(one: Canary) -> str:
    """What is wrong with how the first few fared; empty: nothing."""
    messages = Message.objects.filter(pk__in=one.messages)
    few = len(one.messages)
    came_back = _came_back(MessageEngagement.objects.filter(message__in=messages))
    refused = messages.filter(state=Message.State.FAILED).count()
    doubt = messages.filter(state=Message.State.IN_DOUBT, settled_at=None).count()
    told = "Look at them before you resume it: all the others then go."
    if came_back["bounced"] > max(BOUNCED_MOST * few, CANARY_LEAST):
        return f"{came_back['bounced']} came back. {told}"
    if came_back["complained"] > CANARY_COMPLAINTS:
        return f"{came_back['complained']} people called it spam. {told}"
    if refused > REFUSED_MOST * few:
        return f"{refused} were refused by the provider. {told}"
    if doubt > max(DOUBT_MOST * few, CANARY_LEAST):
        return f"{doubt} are in doubt. {told}"
    return ""


def _came_back(found: QuerySet[MessageEngagement]) -> dict[str, int]:
    """How many of these bounced, and how many complained."""
    return found.aggregate(
        bounced=Count("pk", Q(bounced_at__isnull=False)),
        complained=Count("pk", Q(complained_at__isnull=False)),
    )


def stop_what_harms(
    *, at: datetime, until: float = float("inf"), also_over: bool = True
) -> int:
    """Stop sends under way of which too many bounced, complained, or are in doubt; warn
    once of one, under way or just over, that is more disliked than it should be.

    until: begin no further one after this time.monotonic(). also_over: look at those
    that are over, too. Returns how many stopped.
    """
    stopped = 0
    wanted = Q(state=Send.State.SENDING)
    if also_over:
        over = Q(state=Send.State.SENT, finished_at__gt=at - TOLD_FOR)
        wanted |= over & Q(warned=False)
    warned = SendNote.objects.filter(send=OuterRef("pk"), warns=True)
    sends = Send.objects.annotate(warned=Exists(warned)).filter(wanted)
    # Under way first: of the others nobody is spared any more.
    for send in sends.order_by("state", "pk"):
        if monotonic() >= until:
            break
        harm = harm_of(send)
        goes_on = send.state == Send.State.SENDING
        if goes_on and harm.because:
            stop_send(send.pk, harm.because, at=at)
            stopped += 1
        elif harm.warning and not send.warned:
            trail.note(send.pk, harm.warning, at=at, warns=True)
    return stopped


def gate_warm_ups(*, at: datetime) -> int:
    """A warm-up grows only by days that went well; returns how many were looked at.

    A day goes from midnight to midnight in UTC, and counts all mail that left.
    """
    today = at.date()
    due = list(limits.warming_up(today=today))
    days: dict[date, limits.DayOfMail] = {}
    for limit in due:
        mine = _unjudged(limit.judged_on, today=today)
        for day in mine:
            if day not in days:
                days[day] = _day_of_mail(day)
        told = {day: days[day] for day in mine}
        limits.judge_days(limit, told, today=today, at=at)
    return len(due)


def gate_domains(*, at: datetime) -> int:
    """A sender domain's warm-up goes on only by days that were used and of which no
    more came back than stops a send; returns how many were looked at.

    A day goes from midnight to midnight on the shop's wall, and counts all mail that
    left from that domain, by whichever provider.
    """
    today = shop_day(at)
    due = list(warming.to_judge(today=today))
    for warm_up in due:
        days = {
            day: _day_of_domain(warm_up.domain, day)
            for day in _unjudged(warm_up.judged_on, today=today)
        }
        warming.judge(warm_up, days, today=today, at=at)
    return len(due)


def _unjudged(judged_on: date | None, *, today: date) -> list[date]:
    """The days before today that nobody has judged; none where none ever was."""
    # Nobody looks back further: by then the mail is forgotten.
    since = max(judged_on or today, today - timedelta(days=DAYS_JUDGED))
    return [since + timedelta(days=n) for n in range((today - since).days)]


def _day_of_domain(domain: str, day: date) -> warming.WarmDay:
    begin, end = shop_midnight(day), shop_midnight(day + timedelta(days=1))
    mails, bounced, complained = _what_left(begin, end, domain=domain)
    bounces = max(BOUNCED_MOST * mails, CANARY_LEAST)
    complaints = max(COMPLAINED_MOST * mails, COMPLAINTS_TOLD)
    because = ""
    if bounced > bounces:
        because = (
            f"{bounced:,} of {mails:,} mails of {day} came back or were refused, more "
            "than one in twenty."
        )
    elif complained >= complaints:
        because = (
            f"{complained:,} of {mails:,} people of {day} called it spam, three in a "
            "thousand or more."
        )
    badly = bounced > BADLY * bounces or complained >= BADLY * complaints
    return warming.WarmDay(mails, bounced, complained, because, badly)


def _day_of_mail(day: date) -> limits.DayOfMail:
    begin = datetime.combine(day, time(), UTC)
    mails, bounced, complained = _what_left(begin, begin + timedelta(days=1))
    because = ""
    if bounced > max(BOUNCED_MOST * mails, CANARY_LEAST):
        because = f"{bounced:,} of {mails:,} mails of {day} came back or were refused."
    elif complained >= max(COMPLAINED_MUCH * mails, COMPLAINTS_TOLD):
        because = f"{complained:,} of {mails:,} people of {day} called it spam."
    return limits.DayOfMail(mails, because)


def _what_left(
    begin: datetime, end: datetime, *, domain: str = ""
) -> tuple[int, int, int]:
    """How many mails left from begin to before end, from this domain or from any; of
    them how many bounced, or were refused for their address, and how many complained.
    """
    # Whatever left then is of a send that had begun, and had not ended before.
    under_way = Send.objects.filter(
        Q(finished_at=None) | Q(finished_at__gte=begin), started_at__lt=end
    )
    mails = bounced = complained = 0
    for send in under_way.only("frozen").order_by("pk"):
        if domain and send.sender_domain != domain:
            continue
        left = Message.objects.filter(
            send=send, handed_over_at__gte=begin, handed_over_at__lt=end
        )
        refused = left.filter(state=Message.State.FAILED, reason__in=REFUSED_ADDRESSES)
        accepted = left.filter(state=Message.State.ACCEPTED)
        found = _came_back(MessageEngagement.objects.filter(message__in=accepted))
        nobody = refused.count()
        mails += accepted.count() + nobody
        bounced += found["bounced"] + nobody
        complained += found["complained"]
    return mails, bounced, complained


def harm_of(send: Send) -> Harm:
    """Of what left since a person resumed it last: they have seen what was before."""
    # What stands open has no first mails that speak for the others: of it the newest.
    newest = bool(send.standing)
    came = _first_outcomes(send, newest=newest)
    if not came:
        return Harm()
    accepted = [pk for pk, state in came if state == Message.State.ACCEPTED]
    came_back = _came_back(
        MessageEngagement.objects.filter(message_id__one_of=accepted)
    )
    came_back["bounced"] += len(came) - len(accepted)
    left = _left(Message.objects.filter(send=send), send)
    doubt = left.filter(state=Message.State.IN_DOUBT, settled_at=None).count()
    handed_over = len(came) + doubt
    if len(came) == LOOKED_AT and doubt > DOUBT_MOST * handed_over:
        # Only now: a million are not counted every few seconds.
        handed_over = left.filter(_OUTCOMES).count() + doubt
    return Harm(
        len(came), handed_over=handed_over, in_doubt=doubt, newest=newest, **came_back
    )


def _left(messages: QuerySet[Message], send: Send) -> QuerySet[Message]:
    """Those of a send that left since a person resumed it last."""
    if send.resumed_at is None:
        return messages
    return messages.filter(handed_over_at__gt=send.resumed_at)


def _first_outcomes(send: Send, *, newest: bool) -> list[tuple[int, str]]:
    """Ids and states of the first mails, or the newest, of which it is known what
    became of them.

    By batches: what a database believes of the states of a send is soon wrong while it
    is under way, and both read a million rows each time they were asked for the first.
    """
    order = "-pk" if newest else "pk"
    batches = send.batches.filter(intent_at__isnull=False).order_by(order)
    if send.resumed_at is not None:
        batches = batches.filter(intent_at__gt=send.resumed_at)
    found: list[tuple[int, str]] = []
    begin, count = 0, BATCHES_AT_FIRST
    while len(found) < LOOKED_AT:
        some = list(batches.values_list("pk", flat=True)[begin : begin + count])
        if not some:
            break
        theirs = _left(Message.objects.filter(batch__in=some), send).filter(_OUTCOMES)
        found += theirs.order_by(order).values_list("pk", "state")[:LOOKED_AT]
        begin, count = begin + count, count * 2
    return found[:LOOKED_AT]
