"""What is known of a provider from mails of the shop's own."""

from __future__ import annotations

from django.db import models


class ProviderVerification(models.Model):
    """What verify_provider has found out of a provider; one row each."""

    provider = models.CharField(max_length=40, unique=True)
    # SHA-256 of the settings it was found out with, secrets left out; empty: of none.
    digest = models.CharField(max_length=64, blank=True)
    # When its mails left; when somebody looked last at what came of them, and who.
    sent_at = models.DateTimeField(null=True, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    by = models.CharField(max_length=150, blank=True)
    # Whose address the mails came from.
    sender = models.CharField(max_length=320, blank=True)
    # As verifying.Mail and verifying.Check have them.
    mails = models.JSONField(default=list, blank=True)
    checks = models.JSONField(default=list, blank=True)
    verified_at = models.DateTimeField(null=True, blank=True)
    # It had accepted mail before there was any verification.
    used_before = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"verification of {self.provider}"
