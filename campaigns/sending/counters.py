"""What a limit has counted: in a window that slides, or on a day of the calendar.

By the calendar a slot is the ordinal of a date of the shop's. As in windows.py no clock
is trusted. One that goes back refills nothing: what lies a day ahead counts today, too;
what lies further ahead is moved to today, and kept with a minus for when its own day
comes (again), so that a clock that was wrong for once stops nobody for long. One that
jumps ahead refills one day.
"""

from datetime import date, datetime, timedelta

from campaigns.models import RateLimit
from campaigns.sending import windows
from campaigns.timing import shop_day, shop_midnight

_DATE = RateLimit.Window.DATE


def counted(limit: RateLimit, *, now: datetime) -> int:
    """Mails that count now."""
    if limit.window == _DATE:
        return _counting(_of_today(limit, now))
    seconds = windows.SECONDS[limit.window]
    return sum(windows.counted(limit.slots, seconds, now=now.timestamp()).values())


def left(limit: RateLimit, most: int, *, now: datetime) -> int:
    """How many may leave now, of so many at most."""
    return max(0, most - counted(limit, now=now))


def wait(limit: RateLimit, most: int, *, now: datetime) -> float:
    """Seconds until one may leave."""
    if limit.window == _DATE:
        if left(limit, most, now=now):
            return 0.0
        return max((tomorrow(now) - now).total_seconds(), 0.001)
    seconds = windows.SECONDS[limit.window]
    return windows.wait(limit.slots, seconds, most, now=now.timestamp())


def count(limit: RateLimit, mails: int, *, now: datetime) -> None:
    """So many mails left; a negative number gives back."""
    if limit.window == _DATE:
        kept = _of_today(limit, now)
        limit.slots = windows.changed(kept, str(shop_day(now).toordinal()), mails)
        return
    seconds = windows.SECONDS[limit.window]
    limit.slots = windows.taken(limit.slots, seconds, mails, now=now.timestamp())


def taken_by(limit: RateLimit, *, now: datetime) -> dict[str, int]:
    """What each send has taken today: {send: mails}."""
    return dict(limit.lines) if _counting(_of_today(limit, now)) else {}


def tomorrow(now: datetime) -> datetime:
    """When the shop's next day begins."""
    return shop_midnight(shop_day(now) + timedelta(days=1))


def _of_today(limit: RateLimit, now: datetime) -> windows.Counted:
    return of_day(limit.slots, shop_day(now))


def of_day(slots: dict[str, int], day: date) -> windows.Counted:
    """The slots that count on that day, and those with a minus, which do not."""
    today, kept = day.toordinal(), windows.Counted()

    def keep(slot: int, mails: int) -> None:
        kept[str(slot)] = kept.get(str(slot), 0) + mails

    for name, mails in slots.items():
        slot, moved = abs(int(name)), int(name) < 0
        if mails <= 0 or slot < today:
            continue
        if slot <= today + 1:
            keep(slot, mails)
        else:
            keep(-slot, mails)
            if not moved:
                keep(today, mails)
    return kept


def _counting(slots: windows.Counted) -> int:
    return sum(mails for name, mails in slots.items() if int(name) > 0)
