"""How many promotions somebody may get in a window, and the places in it."""

from __future__ import annotations

from django.db import models

from customers.models import Customer


class FrequencyCap(models.Model):
    """At most so many promotions in so many days, for the shop; no row: no cap."""

    most = models.PositiveSmallIntegerField()
    days = models.PositiveSmallIntegerField()

    def __str__(self) -> str:
        return f"at most {self.most} in {self.days} days"


class FrequencyReservation(models.Model):
    """A place in a window of a customer, the first, the second, ...: one message's."""

    customer = models.ForeignKey(
        Customer, on_delete=models.CASCADE, related_name="mail_places"
    )
    window_start = models.DateField(db_index=True)
    ordinal = models.PositiveSmallIntegerField()
    message = models.OneToOneField(
        "campaigns.Message", on_delete=models.CASCADE, related_name="place"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["customer", "window_start", "ordinal"], name="one_a_place"
            )
        ]

    def __str__(self) -> str:
        return f"place {self.ordinal} of customer {self.customer_id}"
