"""What was sent a second time although nobody knows of the first; never a third."""

from __future__ import annotations

from django.db import models


class SecondTry(models.Model):
    """What was decided once about a message that stayed in doubt: it is sent again.

    One for each message, whoever decided, so that nobody is sent anything a third time
    by itself. Written in the transaction that lets the message wait again.
    """

    message = models.OneToOneField(
        "campaigns.Message", on_delete=models.CASCADE, related_name="second_try"
    )
    at = models.DateTimeField()
    # It was not sent again after all, and why: a word of audience.LEFT_OUT_REASONS.
    why_not = models.CharField(max_length=40, blank=True)
    # What came of it is known, or in doubt as the first was.
    over = models.BooleanField(default=False)

    class Meta:
        indexes = [
            models.Index(
                fields=["message"],
                condition=models.Q(over=False),
                name="second_tries_open",
            )
        ]

    def __str__(self) -> str:
        return f"second try of message {self.message_id}"
