"""When it is what time for whom. Pure; instants are aware, walls are naive."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

# The zone whose clocks show any wall time first, and so a send's first instant.
EARLIEST: Final = timezone(timedelta(hours=14))


def local_instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The instant, in UTC, at which clocks in the zone show this wall time.

    A wall time that spring skips becomes the first instant after the gap; one that
    autumn repeats is taken the first time, once.
    """
    instant = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == wall:
        return instant
    # In a gap the earlier offset (fold=0) lands after it, the later (fold=1) before.
    before = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    low, high = before, instant
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(zone).utcoffset() == before.astimezone(zone).utcoffset():
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)


def zone_named(name: str, otherwise: ZoneInfo) -> ZoneInfo:
    """The zone of this IANA name; the other one where there is no such zone."""
    if not name:
        return otherwise
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return otherwise


def first_instant(wall: datetime) -> datetime:
    """When the first clocks on Earth show this wall time."""
    return wall.replace(tzinfo=EARLIEST).astimezone(UTC)
