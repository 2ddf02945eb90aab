"""Calls that can be made a second time without anybody being mailed twice."""

from __future__ import annotations

from django.db import models


class KeptCall(models.Model):
    """A call of many as it left, byte for byte, until its outcome is known.

    It holds personal data, so it goes with the outcome, or when its key is too old.
    """

    batch = models.ForeignKey(
        "campaigns.Batch", on_delete=models.CASCADE, related_name="kept_calls"
    )
    provider = models.CharField(max_length=40)
    lane = models.CharField(max_length=20)
    # Public ids of its messages, in the order of the call.
    messages = models.JSONField(default=list)
    # Empty where it can't be made again.
    key = models.CharField(max_length=40, blank=True)
    # zlib.
    body = models.BinaryField(default=b"")
    left_at = models.DateTimeField()
    # How often it was made again.
    tries = models.PositiveSmallIntegerField(default=0)
    # In doubt: made again from then on. Empty: it is on its way.
    due_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["provider", "lane", "due_at"], name="calls_kept")
        ]

    def __str__(self) -> str:
        return f"call kept of batch {self.batch_id}"
