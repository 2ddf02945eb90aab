"""The few of a large send who get it first."""

from __future__ import annotations

from django.db import models


class Canary(models.Model):
    """The first messages of a large send; the rest is held until it is known how they
    fared."""

    send = models.OneToOneField(
        "campaigns.Send", on_delete=models.CASCADE, related_name="canary"
    )
    batch = models.ForeignKey(
        "campaigns.Batch", on_delete=models.CASCADE, related_name="+"
    )
    # Message ids.
    messages = models.JSONField(default=list)
    # What came of them was looked at; the rest goes, or a person has decided.
    judged_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"canary of send {self.send_id}"
