"""When a message of a send may leave: not at night, not on a day of rest, and not once
it has expired."""

from collections.abc import Mapping
from datetime import date, datetime, time
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings

from campaigns.local_time import local_instant, zone_named
from campaigns.models import Campaign, EmailTemplate, RestDay
from campaigns.quiet_hours import QuietHours
from campaigns.rest_days import LeaveTimes, RestDays


def frozen_times(campaign: Campaign) -> dict[str, Any]:
    """What a send keeps of it when it is scheduled."""
    expires = campaign.expires_at
    promotion = campaign.template.purpose == EmailTemplate.Purpose.PROMOTION
    return {
        "local_time": campaign.local_time,
        # What somebody has bought or asked for comes when it comes.
        "at_night": campaign.at_night or not promotion,
        "expires_at": expires.isoformat() if expires else None,
    }


def quiet_hours(frozen: Mapping[str, Any]) -> QuietHours | None:
    """The hours in which this send lets people sleep."""
    at_night = frozen.get("at_night")
    if at_night is None:  # scheduled before there were any
        at_night = frozen["plan"]["purpose"] != EmailTemplate.Purpose.PROMOTION
    hours: QuietHours | None = settings.QUIET_HOURS
    return None if at_night else hours


def leave_times(frozen: Mapping[str, Any]) -> LeaveTimes | None:
    """When this send leaves people alone, by the shop's hours and days as they are
    now; None: never."""
    promotion = frozen["plan"]["purpose"] == EmailTemplate.Purpose.PROMOTION
    return _times(quiet_hours(frozen), promotion=promotion)


def leave_times_of(campaign: Campaign) -> LeaveTimes | None:
    """The same, of a campaign that is not scheduled yet."""
    promotion = campaign.template.purpose == EmailTemplate.Purpose.PROMOTION
    return _times(quiet_hours(frozen_times(campaign)), promotion=promotion)


def _times(quiet: QuietHours | None, *, promotion: bool) -> LeaveTimes | None:
    # A campaign may say that the night is right; that it is Christmas it may not.
    rest = rest_days() if promotion else RestDays()
    return LeaveTimes(quiet, rest) if quiet or rest else None


def rest_days() -> RestDays:
    """The shop's days without promotion."""
    weekdays, dates, yearly = set[int](), set[date](), set[tuple[int, int]]()
    for row in RestDay.objects.all():
        if row.weekday is not None:
            weekdays.add(row.weekday)
        elif row.day is not None and row.yearly:
            yearly.add((row.day.month, row.day.day))
        elif row.day is not None:
            dates.add(row.day)
    return RestDays(frozenset(weekdays), frozenset(dates), frozenset(yearly))


def awake(frozen: Mapping[str, Any], at: datetime, *, zone: str = "") -> datetime:
    """That moment, or when mail of this send may leave after it, where somebody lives;
    in the shop's zone where none is given."""
    times = leave_times(frozen)
    return times.ended(at, zone_of(zone)) if times is not None else at


def expiry(frozen: Mapping[str, Any]) -> datetime | None:
    """From when on nobody gets it any more."""
    expires = frozen.get("expires_at")
    return datetime.fromisoformat(expires) if expires else None


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """Where a customer lives; the shop's own zone where that is not known."""
    return zone_named(name, ZoneInfo(settings.TIME_ZONE))


def shop_day(at: datetime) -> date:
    """The date on the shop's own wall."""
    return at.astimezone(zone_of("")).date()


def shop_midnight(day: date) -> datetime:
    """When that day begins in the shop's zone."""
    return local_instant(datetime.combine(day, time.min), zone_of(""))
