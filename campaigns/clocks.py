"""What is due goes by this machine's clock and by the database's: they must agree."""

from datetime import timedelta
from typing import Final

from django.db import connection
from django.utils import timezone

from campaigns.errors import CampaignsError

# Source: sending.md 3.7.
APART_MOST: Final = timedelta(seconds=30)


class ClocksApart(CampaignsError):
    """Nobody can tell what is due."""


def apart() -> timedelta:
    """How far the database's clock is ahead of this one; SQLite goes by this one."""
    if connection.vendor == "sqlite":
        return timedelta(0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        ahead: timedelta = cursor.fetchone()[0] - timezone.now()
    return ahead


def refuse_other_clocks() -> None:
    """Raise ClocksApart where mail would leave too early, too late, or at night."""
    ahead = apart()
    if abs(ahead) > APART_MOST:
        raise ClocksApart(
            f"The database's clock is {ahead.total_seconds():+.0f} s from this one, "
            f"{APART_MOST.total_seconds():.0f} s are allowed: nobody could tell what "
            "is due. Have both set by NTP (timedatectl), then start again."
        )
