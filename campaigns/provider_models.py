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


class RateLimit(models.Model):
    """At most so many mails in a window, by everybody together; it counts itself."""

    class Window(models.TextChoices):
        SECOND = "second", _("second")
        MINUTE = "minute", _("minute")
        HOUR = "hour", _("hour")
        DAY = "day", _("day")
        # From midnight to midnight by the shop's calendar, for warm-ups of a domain.
        DATE = "date", _("calendar day")

    # Empty: of all of them, as a sender domain's warm-up is.
    provider = models.CharField(max_length=40, blank=True)
    # Only mail from that domain, and so much as its day allows; most says nothing.
    warm_up = models.OneToOneField(
        "campaigns.SenderDomainWarmUp",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="limit",
    )
    # Only mail to these mailboxes, a key of sending.mailboxes; empty: all.
    mailboxes = models.CharField(max_length=20, blank=True)
    # Only mail of this campaign; empty: of all.
    campaign = models.ForeignKey(
        "campaigns.Campaign", null=True, blank=True, on_delete=models.CASCADE
    )
    window = models.CharField(max_length=6, choices=Window)
    most = models.PositiveIntegerField()
    # A warm-up: so many percent more each day since began_on, until the ceiling.
    grows_percent = models.PositiveSmallIntegerField(default=0)
    began_on = models.DateField(null=True, blank=True)
    ceiling = models.PositiveIntegerField(null=True, blank=True)
    # Days that did not count, since too much came back; judged up to that day.
    held_days = models.PositiveSmallIntegerField(default=0)
    judged_on = models.DateField(null=True, blank=True)
    # Learned of a 429: a share of most, which comes back as nothing more happens.
    learned = models.BooleanField(default=False)
    # While the provider is not verified; so many as the settings say.
    unverified = models.BooleanField(default=False)
    pace = models.FloatField(default=1.0)
    pace_at = models.DateTimeField(null=True, blank=True)
    # {slot of the window: mails}; who comes when, by send: {send: seconds}; of a
    # warm-up, what each send has taken that day: {send: mails}.
    slots = models.JSONField(default=dict, blank=True)
    lines = models.JSONField(default=dict, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "mailboxes", "window", "learned", "unverified"],
                condition=models.Q(campaign=None, warm_up=None),
                name="one_limit_a_window",
            ),
            models.UniqueConstraint(
                fields=["provider", "mailboxes", "campaign", "window"],
                condition=models.Q(campaign__isnull=False),
                name="one_limit_a_campaign_and_window",
            ),
        ]

    def __str__(self) -> str:
        return f"limit {self.pk} of {self.provider or 'all providers'}"
