"""Which deployment this database belongs to, and who said so."""

from __future__ import annotations

from django.db import models


class Instance(models.Model):
    """The one deployment that may send from this database; one row."""

    key = models.CharField(max_length=60)
    made_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.key


class Adoption(models.Model):
    """A person gave a database to another deployment; never changed."""

    at = models.DateTimeField()
    # Who ran the command, as the machine knows them.
    by = models.CharField(max_length=120)
    was = models.CharField(max_length=60, blank=True)
    now = models.CharField(max_length=60)
    # Sends that it stopped, since the other deployment may have gone on with them.
    stopped = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"adopted by {self.by}"
