"""The shop's days without promotion: who set which."""

from collections.abc import Collection
from datetime import date, datetime
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.db import transaction

from campaigns.errors import NoDayLeft
from campaigns.models import RestDay
from campaigns.sending.breaker import note

if TYPE_CHECKING:
    from django.contrib.auth.models import User

_A_WEEK: Final = 7


def set_weekdays(weekdays: Collection[int], *, at: datetime, by: "User") -> None:
    """The days of every week on which no promotion leaves; 0 is Monday.

    Raises NoDayLeft for all seven.
    """
    if len(set(weekdays)) >= _A_WEEK:
        raise NoDayLeft(
            "All seven days would be without promotion, and none would ever leave: "
            "leave at least one."
        )
    with transaction.atomic():
        RestDay.objects.filter(weekday__isnull=False).exclude(
            weekday__in=weekdays
        ).delete()
        rows = [RestDay(weekday=one) for one in sorted(set(weekdays))]
        RestDay.objects.bulk_create(rows, ignore_conflicts=True)
        words = ", ".join(map(str, rows)) or "no day of the week"
        _note(f"no promotion on {words}", at=at, by=by)


def set_rest_day(
    day: date, *, name: str = "", yearly: bool = False, at: datetime, by: "User"
) -> RestDay:
    """No promotion on this date."""
    with transaction.atomic():
        made, _ = RestDay.objects.update_or_create(
            day=day, defaults={"name": name.strip(), "yearly": yearly}
        )
        _note(f"no promotion on {made}", at=at, by=by)
    return made


def remove_rest_day(row: RestDay, *, at: datetime, by: "User") -> None:
    """Promotions leave on this day again."""
    with transaction.atomic():
        _note(f"promotions leave on {row} again", at=at, by=by)
        row.delete()


def _note(words: str, *, at: datetime, by: "User") -> None:
    note(settings.PROVIDER, f"{by.get_username()} set: {words}.", at=at, by=by)
