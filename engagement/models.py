"""What came back."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from campaigns.models import Message, Send


class TrackingEvent(models.Model):
    """One report about one message, in Anymail's event names; stored once."""

    class Verdict(models.TextChoices):
        HUMAN = "human", _("a person")
        PROBABLE = "probable", _("probably a person")
        PROXY = "proxy", _("a mail client's proxy")
        MACHINE = "machine", _("a machine")
        NOT_APPLICABLE = "", _("-")

    # Null when it could not be matched: kept for a person to look at.
    message = models.ForeignKey(
        Message, null=True, blank=True, on_delete=models.CASCADE, related_name="events"
    )
    event_type = models.CharField(max_length=20)
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField(auto_now_add=True)
    # SHA-256 of what makes the event one and the same; a replay stores nothing.
    dedupe_key = models.CharField(max_length=64, unique=True)
    provider = models.CharField(max_length=40)
    link = models.PositiveSmallIntegerField(null=True, blank=True)
    verdict = models.CharField(
        max_length=10, choices=Verdict, default=Verdict.NOT_APPLICABLE, blank=True
    )
    verdict_reasons = models.JSONField(default=list, blank=True)
    detail = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["-occurred_at", "-pk"]
        indexes = [models.Index(fields=["message", "event_type"])]

    def __str__(self) -> str:
        return f"{self.event_type} {self.occurred_at:%Y-%m-%d %H:%M}"


class MessageEngagement(models.Model):
    """The rollup of one message's events: first times, monotone, recomputable."""

    message = models.OneToOneField(
        Message, on_delete=models.CASCADE, related_name="engagement"
    )
    delivered_at = models.DateTimeField(null=True, blank=True)
    bounced_at = models.DateTimeField(null=True, blank=True)
    opened_at = models.DateTimeField(null=True, blank=True)
    opened_by_person_at = models.DateTimeField(null=True, blank=True)
    clicked_at = models.DateTimeField(null=True, blank=True)
    clicked_by_person_at = models.DateTimeField(null=True, blank=True)
    unsubscribed_at = models.DateTimeField(null=True, blank=True)
    complained_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"engagement of message {self.message_id}"


class SendFigures(models.Model):
    """What a large send came to when it was counted last; its pages say when."""

    send = models.OneToOneField(
        Send, primary_key=True, on_delete=models.CASCADE, related_name="figures"
    )
    # reporting.gather(): counts by segment, tone and arm; nobody's name.
    figures = models.JSONField()
    counted_at = models.DateTimeField()
    took_seconds = models.FloatField()
    # The newest event of all that it knows.
    last_event = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"figures of send {self.send_id}"


class WebhookCall(models.Model):
    """What a provider has posted, as it came: kept once, whatever becomes of it."""

    # Its name in the address: "postmark".
    provider = models.CharField(max_length=40)
    body = models.BinaryField()
    sha256 = models.CharField(max_length=64)
    content_type = models.CharField(max_length=200)
    # What its events are read with; never who it logged in as.
    headers = models.JSONField(default=dict)
    received_at = models.DateTimeField()
    # Places of the events that are still to be taken in; null: all of them.
    left = models.JSONField(null=True)
    not_before = models.DateTimeField()
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "sha256"], name="webhook_kept_once"
            )
        ]
        indexes = [
            models.Index(
                fields=["not_before"],
                condition=models.Q(done_at__isnull=True),
                name="open_webhooks",
            ),
            models.Index(fields=["done_at"], name="webhooks_done"),
        ]

    def __str__(self) -> str:
        return f"{self.provider} at {self.received_at:%Y-%m-%d %H:%M:%S}"


class DeadLetter(models.Model):
    """A report that could not be taken in, and why: kept for a person."""

    call = models.ForeignKey(
        WebhookCall, on_delete=models.CASCADE, related_name="dead_letters"
    )
    # Which of its events; -1: it could not be taken apart.
    place = models.IntegerField()
    said = models.TextField()
    problem = models.TextField()
    failed_at = models.DateTimeField()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["call", "place"], name="one_letter_an_event"
            )
        ]

    def __str__(self) -> str:
        return f"a report of {self.call}"
