"""At night nobody is written to: promotion waits for the morning of whoever gets it.

Pure; instants are aware. Source: sending.md 3.7.
"""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from campaigns.local_time import local_instant


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From one wall time to another, mostly past midnight; both the same: none."""

    begins: time
    ends: time

    def __str__(self) -> str:
        return f"{self.begins:%H:%M} to {self.ends:%H:%M}"

    def ended(self, at: datetime, zone: ZoneInfo) -> datetime:
        """That moment, or the end of the quiet hours that it lies in, in this zone.

        An end that spring skips is the first instant after the gap.
        """
        wall = at.astimezone(zone).replace(tzinfo=None)
        if not self._within(wall.time()):
            return at
        day = wall.date()
        if wall.time() >= self.ends:
            day += timedelta(days=1)
        # Of a time that autumn repeats the first has passed already, the second time.
        return max(at, local_instant(datetime.combine(day, self.ends), zone))

    def next_begin(self, at: datetime, zone: ZoneInfo) -> datetime:
        """When they begin again in this zone, after that moment."""
        day = at.astimezone(zone).date()
        while (begins := local_instant(datetime.combine(day, self.begins), zone)) <= at:
            day += timedelta(days=1)
        return begins

    def _within(self, wall: time) -> bool:
        if self.begins <= self.ends:
            return self.begins <= wall < self.ends
        return wall >= self.begins or wall < self.ends


def hours_of(words: str) -> QuietHours | None:
    """From words as "21:00-08:00"; none of "". Raises ValueError."""
    if not words.strip():
        return None
    begins, dash, ends = words.partition("-")
    if not dash:
        raise ValueError("two times with a dash between them are needed")
    hours = [time.fromisoformat(one.strip()) for one in (begins, ends)]
    if any(one.tzinfo for one in hours):
        raise ValueError(
            "they are read where a customer lives, in no zone of their own"
        )
    return QuietHours(*hours)
