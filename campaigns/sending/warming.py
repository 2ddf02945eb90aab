"""A sender domain's warm-up: begun and changed by a person, judged day by day.

Source: sending.md 3.5, "warm-up table per sender domain".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from campaigns.models import Campaign, RateLimit, Send, SenderDomainWarmUp
from campaigns.sending import counters, limits, warmups
from campaigns.sending.breaker import note
from campaigns.timing import shop_day
from campaigns.warmup_models import domain_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User

# So many in a day and mailbox providers call somebody a bulk sender (Google, "Email
# sender guidelines"): whoever begins with that, or more, is looked at.
BEGINS_WITH_MOST: Final = 5000


@dataclass(frozen=True, slots=True)
class WarmDay:
    """What came of a domain's mails of one day; because: why that was too much, where
    it was, and badly: so much that it goes back a day."""

    mails: int = 0
    bounced: int = 0
    complained: int = 0
    because: str = ""
    badly: bool = False


def keep(warm_up: SenderDomainWarmUp, *, at: datetime, by: "User") -> None:
    """Begin a warm-up, or keep what somebody changed of it.

    What waits is asked anew. Days on which it was off are judged by nobody.
    """
    today = shop_day(at)
    with transaction.atomic():
        mine = SenderDomainWarmUp.objects.select_for_update().filter(pk=warm_up.pk)
        before = mine.first()
        if before is None:
            warm_up.started_on = warm_up.judged_on = today
        elif warm_up.on and not before.on and (before.judged_on or today) <= today:
            warm_up.judged_on = today
        warm_up.save()
        RateLimit.objects.get_or_create(
            warm_up=warm_up,
            defaults={"window": RateLimit.Window.DATE, "most": warm_up.caps[0]},
        )
        words = f"{by.get_username()} set: {warmups.in_words(warm_up)}."
        note(settings.PROVIDER, words, at=at, by=by)
    limits.ask_anew(at=at)


def remove(warm_up: SenderDomainWarmUp, *, at: datetime, by: "User") -> None:
    """End a warm-up for good: nothing holds mail from its domain any more."""
    words = f"{by.get_username()} removed the warm-up of {warm_up.domain}."
    warm_up.delete()
    note(settings.PROVIDER, words, at=at, by=by)
    limits.ask_anew(at=at)


def to_judge(*, today: date) -> QuerySet[SenderDomainWarmUp]:
    """Warm-ups of which a day of the shop's calendar is over that nobody has judged."""
    return SenderDomainWarmUp.objects.filter(on=True, started_on__lt=today).filter(
        Q(judged_on=None) | Q(judged_on__lt=today)
    )


def judge(
    warm_up: SenderDomainWarmUp,
    days: Mapping[date, WarmDay],
    *,
    today: date,
    at: datetime,
) -> None:
    """Go on by each day before today that was made use of and went well; one that went
    badly goes back a day.

    Of trouble providers ask to send less until it is over, and then to grow again
    slowly (Google, "Email sender guidelines", "increase your sending volume slowly").
    days: those since it was judged last, each with what came of it.
    """
    with transaction.atomic():
        mine = SenderDomainWarmUp.objects.select_for_update()
        found = mine.filter(pk=warm_up.pk, judged_on=warm_up.judged_on).first()
        if found is None:
            return  # somebody else did, or it is gone
        for day, told in sorted(days.items()):
            cap = found.cap
            if cap is None:
                break
            words = _step(found, told, cap, day)
            if told.because:
                words = f"The warm-up of {found.domain} {words}: {told.because}"
                note(settings.PROVIDER, words[:500], at=at)
            found.last_day = {
                "date": day.isoformat(),
                "cap": cap,
                "mails": told.mails,
                "bounced": told.bounced,
                "complained": told.complained,
                "because": words,
            }
        if warmups.is_over(found) and not warmups.is_over(warm_up):
            note(settings.PROVIDER, f"{warmups.in_words(found)}.", at=at)
        found.judged_on = today
        found.save(update_fields=["day", "judged_on", "last_day"])


def _step(warm_up: SenderDomainWarmUp, told: WarmDay, cap: int, day: date) -> str:
    """Go a day on or back, or stay; why not on, in words."""
    if told.because:
        if told.badly and warm_up.day > 1:
            warm_up.day -= 1
            return "goes back a day"
        return "stays at its day"
    if told.mails < limits.USED_LEAST * cap:
        return (
            f"Of {cap:,} only {told.mails:,} were used on {day}: a day counts of which "
            "at least half is used."
        )
    warm_up.day += 1
    return ""


def why_it_stays(warm_up: SenderDomainWarmUp, *, at: datetime) -> str:
    """Why it did not go on after the last day that was judged; empty: it did."""
    today = shop_day(at)
    if warm_up.judged_on is not None and warm_up.judged_on > today:
        return (
            f"This machine's clock stood at {warm_up.judged_on} before: no day until "
            "then counts a second time."
        )
    because: str = warm_up.last_day.get("because", "")
    return because


def used_today(warm_up: SenderDomainWarmUp, *, at: datetime) -> int:
    """Mails that this day has taken, of all sends and providers."""
    limit = RateLimit.objects.filter(warm_up=warm_up).first()
    return counters.counted(limit, now=at) if limit else 0


def preflight_words(campaign: Campaign, mails: int, *, at: datetime) -> list[str]:
    """What a marketer should know before so many mails leave from a domain that warms
    up, or should."""
    domain = domain_of(campaign.sender.from_address)
    limit = warmups.of_domain(domain)
    if limit is None:
        return [one for one in [cold_start(domain, mails)] if one]
    days = warmups.forecast(limit, mails, now=at)
    if not days or days[-1][0] == shop_day(at):
        return []
    last = days[-1][0]
    return [
        f"It takes until {last} at the earliest, since {domain} warms up: "
        f"{limits.in_words(limit, at)}, and more after each day that goes well. "
        "Whoever opened, clicked, replied or ordered lately gets it first."
    ]


def cold_start(domain: str, mails: int, *, send_id: int | None = None) -> str:
    """What to think of so many mails from a domain that has sent none; empty where it
    has, or where it warms up. Where nothing leaves there is no name to lose.

    send_id: of the mails, where they are a send that may have ended.
    """
    if settings.PROVIDER == "outbox" or mails < BEGINS_WITH_MOST or not domain:
        return ""
    if SenderDomainWarmUp.objects.filter(domain=domain, on=True).exists():
        return ""
    earlier = Send.objects.filter(state=Send.State.SENT, audience_size__gt=0)
    if send_id is not None:
        earlier = earlier.filter(pk__lt=send_id)
    if any(one.sender_domain == domain for one in earlier.only("frozen").iterator()):
        return ""
    return (
        f"Nothing was sent from {domain} before, and this is {mails:,} mails at once: "
        "mailbox providers may refuse them. Set a warm-up of that domain; the page "
        "Provider leads there."
    )
