"""What was tried, and what people and guards decided: written once, never changed."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class SendAttempt(models.Model):
    """One group of mails that was handed over, and what the provider answered."""

    # Nothing is looked up when one is written: sends and batches are never deleted.
    send = models.ForeignKey(
        "campaigns.Send",
        on_delete=models.CASCADE,
        related_name="attempts",
        db_index=False,
        db_constraint=False,
    )
    batch = models.ForeignKey(
        "campaigns.Batch",
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    provider = models.CharField(max_length=40)
    lane = models.CharField(max_length=20)
    began_at = models.DateTimeField()
    # Until it was answered; None: nobody knows, whoever waited for it died.
    seconds = models.FloatField(null=True)
    mails = models.PositiveIntegerField()
    accepted = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)
    in_doubt = models.PositiveIntegerField(default=0)
    # "accepted", else the class of the first answer that was another.
    outcome = models.CharField(max_length=40)
    # The answer, without whom it was about.
    detail = models.CharField(max_length=200, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["send", "-id"], name="attempts_of_send"),
            models.Index(fields=["began_at"], name="attempts_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.mails} mails of batch {self.batch_id}: {self.outcome}"

    @property
    def waiting(self) -> int:
        return self.mails - self.accepted - self.refused - self.in_doubt

    @property
    def words(self) -> str:
        """What was answered, for a person."""
        said = self.outcome.replace("_", " ")
        return f"{said}: {self.detail}" if self.detail else said


class SendNote(models.Model):
    """What was done to a send, or to one mail of it, by whom; never changed."""

    send = models.ForeignKey(
        "campaigns.Send", on_delete=models.CASCADE, related_name="notes"
    )
    message = models.ForeignKey(
        "campaigns.Message",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="notes",
    )
    at = models.DateTimeField()
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    # Who that was, also once they are gone; empty: it happened by itself.
    by_name = models.CharField(max_length=150, blank=True)
    sentence = models.CharField(max_length=500)
    # Nothing stopped, but somebody should look.
    warns = models.BooleanField(default=False)

    class Meta:
        indexes = [
            models.Index(fields=["send", "-id"], name="notes_of_send"),
            models.Index(
                fields=["at"], condition=models.Q(warns=True), name="warning_notes"
            ),
        ]

    def __str__(self) -> str:
        return self.sentence
