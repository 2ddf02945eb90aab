"""Days on which a shop writes to nobody: weekends, holidays. By the calendar on the
wall of whoever gets it, as quiet hours are by the clock on it.

Pure; instants are aware. Source: sending.md 3.7.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from campaigns.local_time import local_instant
from campaigns.quiet_hours import QuietHours

# No shop rests for longer: then it leaves all the same, rather than never.
LONGEST_DAYS: Final = 400
# Nobody asks so far ahead when a pause begins.
LOOK_AHEAD_DAYS: Final = 2
_ONE_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class RestDays:
    """weekdays: 0 is Monday. yearly: (month, day), each year."""

    weekdays: frozenset[int] = frozenset()
    dates: frozenset[date] = frozenset()
    yearly: frozenset[tuple[int, int]] = frozenset()

    def __contains__(self, day: date) -> bool:
        return (
            day.weekday() in self.weekdays
            or day in self.dates
            or (day.month, day.day) in self.yearly
        )

    def __bool__(self) -> bool:
        return bool(self.weekdays or self.dates or self.yearly)


@dataclass(frozen=True, slots=True)
class LeaveTimes:
    """When mail may leave: not at night, and not on a day of rest."""

    quiet: QuietHours | None
    rest: RestDays

    def ended(self, at: datetime, zone: ZoneInfo) -> datetime:
        """That moment, or the first after it at which mail may leave, in this zone."""
        for _ in range(LONGEST_DAYS):
            awake = self.quiet.ended(at, zone) if self.quiet else at
            day = awake.astimezone(zone).date()
            if day not in self.rest:
                return awake
            at = _midnight(day + _ONE_DAY, zone)
        return at

    def next_begin(self, at: datetime, zone: ZoneInfo) -> datetime:
        """Until when what may leave now still may; then it is to be asked anew."""
        day = at.astimezone(zone).date()
        ends = [
            _midnight(day + ahead * _ONE_DAY, zone)
            for ahead in range(1, LOOK_AHEAD_DAYS + 1)
            if day + ahead * _ONE_DAY in self.rest or ahead == LOOK_AHEAD_DAYS
        ]
        if self.quiet:
            ends.append(self.quiet.next_begin(at, zone))
        return min(ends)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return local_instant(datetime.combine(day, time.min), zone)
