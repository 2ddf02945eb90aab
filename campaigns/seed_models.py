"""Addresses of the shop's own that get a copy of what leaves."""

from __future__ import annotations

from typing import Final

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from customers.addresses import address_wire
from customers.errors import InvalidAddress

# Each gets each tone: more would be a list of customers, without what protects them.
SEEDS_MOST: Final = 10


class Seed(models.Model):
    """A mailbox in which the shop looks at how its mails arrive."""

    sender = models.ForeignKey(
        "campaigns.Sender", on_delete=models.CASCADE, related_name="seeds"
    )
    address = models.EmailField(
        max_length=320,
        help_text=_("Gets a copy of each tone of each send of this sender."),
    )

    class Meta:
        ordering = ["address"]
        constraints = [
            models.UniqueConstraint(
                fields=["sender", "address"], name="one_seed_per_address"
            )
        ]

    def __str__(self) -> str:
        return self.address

    def clean(self) -> None:
        try:
            address_wire(self.address)
        except InvalidAddress as problem:
            raise ValidationError({"address": str(problem)}) from None


class SeedMail(models.Model):
    """One tone of a send on its way to one seed. No figure of a send counts it."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waits for the first mail of its tone")
        HANDING_OVER = "handing_over", _("being handed over")
        ACCEPTED = "accepted", _("accepted")
        FAILED = "failed", _("refused")
        IN_DOUBT = "in_doubt", _("in doubt")
        LEFT_OUT = "left_out", _("not sent")

    send = models.ForeignKey(
        "campaigns.Send", on_delete=models.CASCADE, related_name="seed_mails"
    )
    variant = models.ForeignKey("campaigns.SendVariant", on_delete=models.CASCADE)
    # Of the batches of its tone.
    lane = models.CharField(max_length=20)
    address = models.CharField(max_length=320)
    state = models.CharField(max_length=12, choices=State, default=State.WAITING)
    reason = models.CharField(max_length=200, blank=True)
    tries = models.PositiveSmallIntegerField(default=0)
    # While it waits: not earlier. Afterwards: when it was handed over.
    at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["send", "variant", "address"], name="one_copy_per_seed"
            )
        ]
        indexes = [
            models.Index(
                fields=["lane", "at"],
                condition=models.Q(state__in=["waiting", "handing_over"]),
                name="seed_mails_open",
            )
        ]

    def __str__(self) -> str:
        return f"copy of send {self.send_id} to {self.address}"
