"""The days of a shop on which no promotion leaves."""

from __future__ import annotations

import calendar

from django.db import models
from django.db.models import Q


class RestDay(models.Model):
    """A day of every week, or a date."""

    # 0 is Monday.
    weekday = models.PositiveSmallIntegerField(null=True, blank=True, unique=True)
    day = models.DateField(null=True, blank=True, unique=True)
    # On this date of every year.
    yearly = models.BooleanField(default=False)
    name = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering = ["weekday", "day"]
        constraints = [
            models.CheckConstraint(
                condition=Q(weekday__isnull=True, day__isnull=False)
                | Q(weekday__lte=6, day__isnull=True, yearly=False),
                name="a_weekday_or_a_date",
            )
        ]

    def __str__(self) -> str:
        if self.weekday is not None:
            return f"every {calendar.day_name[self.weekday]}"
        assert self.day is not None
        words = f"{self.day.day} {self.day:%B}" + (
            " of every year" if self.yearly else f" {self.day.year}"
        )
        return f"{self.name} ({words})" if self.name else words
