"""What a sender domain's warm-up allows on which day, and how it is called."""

from datetime import date, datetime, timedelta

from campaigns.models import RateLimit, SenderDomainWarmUp
from campaigns.sending import counters
from campaigns.timing import shop_day


def in_words(warm_up: SenderDomainWarmUp) -> str:
    """Such as: at most 100 a day from shop.example, on day 2 of its warm-up."""
    if not warm_up.on:
        return f"the warm-up of {warm_up.domain} is off"
    if warm_up.cap is None:
        return f"{warm_up.domain} has warmed up"
    day = f"on day {warm_up.day} of its warm-up"
    return f"at most {warm_up.cap:,} a day from {warm_up.domain}, {day}"


def is_over(warm_up: SenderDomainWarmUp) -> bool:
    """Whether it has come to the end of its table."""
    return warm_up.day > len(warm_up.caps)


def of_domain(domain: str) -> RateLimit | None:
    """The warm-up of mail from this domain, where one binds."""
    limits = RateLimit.objects.filter(warm_up__domain=domain, warm_up__on=True)
    found = limits.select_related("warm_up").first() if domain else None
    warm_up = found.warm_up if found else None
    return found if warm_up and warm_up.cap is not None else None


def forecast(
    limit: RateLimit | None, mails: int, *, now: datetime
) -> list[tuple[date, int]]:
    """How many of so many mails leave on which day at the earliest: when each day goes
    well, and no other send takes of it. Empty where no warm-up binds.

    limit: see of_domain.
    """
    if limit is None or limit.warm_up is None:
        return []
    warm_up, day = limit.warm_up, shop_day(now)
    may: int | None = counters.left(limit, warm_up.cap or 0, now=now)
    days, ahead = list[tuple[date, int]](), 0
    while mails > 0:
        part = mails if may is None else min(mails, may)
        if part:
            days.append((day + timedelta(days=ahead), part))
        mails, ahead = mails - part, ahead + 1
        may = warm_up.cap_of(warm_up.day + ahead)
    return days
