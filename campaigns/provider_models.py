"""What all workers know of a provider: breaker, limits, who changed them."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class Breaker(models.Model):
    """Whether mail may leave by a provider on a lane; one row each."""

    class State(models.TextChoices):
        CLOSED = "closed", _("mail leaves")
        OPEN = "open", _("no mail leaves")
        HALF_OPEN = "half_open", _("one mail asks")

    provider = models.CharField(max_length=40)
    lane = models.CharField(max_length=20)
    state = models.CharField(max_length=10, choices=State, default=State.CLOSED)
    # In words, of what opened it.
    reason = models.CharField(max_length=300, blank=True)
    opened_at = models.DateTimeField(null=True, blank=True)
    # Open: then one mail asks; empty: until a person closes it. Half-open: until then
    # the one who asks has to be back.
    until = models.DateTimeField(null=True, blank=True)
    # Opened so many times without having been closed: each time for twice as long.
    failures = models.PositiveSmallIntegerField(default=0)
    # Not reached so many times in a row.
    not_reached = models.PositiveSmallIntegerField(default=0)
    probe_batch = models.BigIntegerField(null=True, blank=True)
    # The provider asked to be left alone until then.
    rests_until = models.DateTimeField(null=True, blank=True)
    rests_because = models.CharField(max_length=300, blank=True)
    # An address of the shop's own, that is asked with instead of a customer's mail.
    seed_address = models.EmailField(max_length=320, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "lane"], name="one_breaker_per_lane"
            )
        ]

    def __str__(self) -> str:
        return f"breaker of {self.provider}, {self.lane} mail"


class ProviderNote(models.Model):
    """What happened to breaker and limits, by themselves or by whom; never changed."""

    provider = models.CharField(max_length=40)
    at = models.DateTimeField()
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL
    )
    sentence = models.CharField(max_length=500)

    class Meta:
        indexes = [models.Index(fields=["provider", "-at"], name="provider_notes")]

    def __str__(self) -> str:
        return self.sentence
