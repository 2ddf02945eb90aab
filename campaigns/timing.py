"""When a message of a send may leave: not at night, and not once it has expired."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings

from campaigns.local_time import zone_named
from campaigns.models import Campaign, EmailTemplate
from campaigns.quiet_hours import QuietHours


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


def expiry(frozen: Mapping[str, Any]) -> datetime | None:
    """From when on nobody gets it any more."""
    expires = frozen.get("expires_at")
    return datetime.fromisoformat(expires) if expires else None


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """Where a customer lives; the shop's own zone where that is not known."""
    return zone_named(name, ZoneInfo(settings.TIME_ZONE))
