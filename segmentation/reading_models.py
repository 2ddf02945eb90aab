"""What texts read as: scores, profiles, and what people add to a reading."""

from django.conf import settings
from django.db import models

from customers.models import Customer, Interaction
from segmentation.emotion.families import FAMILIES


def family_choices() -> list[tuple[str, str]]:
    """The nine families, so that one more needs no migration."""
    return [(family, family.capitalize()) for family in FAMILIES]


class EmotionScore(models.Model):
    """What one interaction's text reads as, or why it was not read."""

    interaction = models.OneToOneField(
        Interaction, on_delete=models.CASCADE, related_name="emotion_score"
    )
    customer = models.ForeignKey(
        Customer, on_delete=models.CASCADE, related_name="emotion_scores"
    )
    # Copied so that folding reads one table: kind is the source of the baseline.
    occurred_at = models.DateTimeField()
    kind = models.CharField(max_length=10)
    # Nine little-endian float32 in the order of FAMILIES; empty when not read.
    families = models.BinaryField(default=b"")
    valence = models.FloatField(default=0.0)
    arousal = models.FloatField(default=0.0)
    # Base weight of the source x language x agreement of text and rating.
    weight = models.FloatField(default=0.0)
    # [[sentence, [nine rounded numbers]], ...], strongest first, at most five.
    sentences = models.JSONField(default=list)
    language = models.CharField(max_length=20, blank=True)
    not_read = models.CharField(max_length=80, blank=True)
    notes = models.JSONField(default=list)
    # Stars and words say two things: a person reads it better.
    disagrees = models.BooleanField(default=False, db_default=False)
    # A person's word: families holds their reading, and no re-reading replaces it.
    corrected = models.BooleanField(default=False)
    analyzer = models.CharField(max_length=40)
    scored_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [
            models.Index(fields=["customer", "occurred_at"]),
            # What waits to be read again: asked for at every turn of the timetable.
            models.Index(
                fields=["id"], condition=models.Q(analyzer=""), name="outdated_scores"
            ),
            models.Index(
                fields=["-occurred_at"],
                condition=models.Q(disagrees=True),
                name="disagreeing_scores",
            ),
        ]

    def __str__(self) -> str:
        return f"score of interaction {self.interaction_id}"

    @property
    def why_not_read(self) -> str:
        """For "not read: …": such as Spanish, or no text."""
        return self.not_read.removeprefix("language: ")


class ReadingMark(models.Model):
    """How far texts have been read; one row. Numbers are ids of interactions."""

    # Every text up to here that may be read has been.
    read_to = models.BigIntegerField(default=0)
    # The newest when the last whole pass began, and when that was: whoever was
    # recording then may still have been at it.
    passed_to = models.BigIntegerField(default=0)
    passed_at = models.DateTimeField(null=True, blank=True)
    # Where the pass at work is, for pages.
    reading_at = models.BigIntegerField(default=0)
    # How often it went down: a pass that began before is not the whole truth.
    lowered = models.PositiveIntegerField(default=0)
    # Every score was of this version after the last pass; empty: not so.
    version = models.CharField(max_length=40, blank=True)

    def __str__(self) -> str:
        return f"read up to interaction {self.read_to}"


class KeptMood(models.Model):
    """How everybody's texts read, as it was worked out last; one row."""

    # Mood.to_json(); empty: there was no text. Not kept yet: no moment.
    figures = models.JSONField(default=dict)
    kept_at = models.DateTimeField(null=True, blank=True)
    # The next one, while it is worked out: since when, up to which moment, how far by
    # id, and mood.Tally.to_json() of the texts so far.
    begun_at = models.DateTimeField(null=True, blank=True)
    as_of = models.DateTimeField(null=True, blank=True)
    added_to = models.BigIntegerField(default=0)
    tally = models.JSONField(default=dict)
    # Somebody is at it; long ago: they died.
    worked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"mood of {self.kept_at:%Y-%m-%d %H:%M}" if self.kept_at else "no mood"


class Correction(models.Model):
    """A person's better reading of one text; the newest that stands wins, all stay."""

    interaction = models.ForeignKey(
        Interaction, on_delete=models.CASCADE, related_name="corrections"
    )
    family = models.CharField(max_length=12, choices=family_choices)
    # What the model said at the time: pairs for the evaluation page and for training.
    read_as = models.CharField(max_length=12, blank=True)
    read_share = models.FloatField(default=0.0)
    analyzer = models.CharField(max_length=40)
    corrected_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    corrected_at = models.DateTimeField()
    withdrawn_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-corrected_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["interaction"],
                condition=models.Q(withdrawn_at__isnull=True),
                name="one_standing_correction",
            )
        ]

    def __str__(self) -> str:
        return f"{self.interaction} reads as {self.family}"


class BrandWord(models.Model):
    """A word of this shop that reads otherwise here than elsewhere."""

    # As the marketer wrote it; key is what makes it one: case and spaces do not count.
    phrase = models.CharField(max_length=80)
    key = models.CharField(max_length=240, unique=True)
    # Empty: only a name, it says nothing. Else the family that it says here.
    family = models.CharField(max_length=12, choices=family_choices, blank=True)
    added_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    added_at = models.DateTimeField()

    class Meta:
        ordering = ["key"]

    def __str__(self) -> str:
        return self.phrase


class SensitiveMatter(models.Model):
    """A text that only a person may answer. Of what kind is not stored."""

    interaction = models.OneToOneField(
        Interaction, on_delete=models.CASCADE, related_name="sensitive_matter"
    )
    customer = models.ForeignKey(
        Customer, on_delete=models.CASCADE, related_name="sensitive_matters"
    )
    occurred_at = models.DateTimeField()
    # A life may be in danger: shown first, to be looked at now.
    urgent = models.BooleanField(default=False)
    found_at = models.DateTimeField(auto_now_add=True)
    # Somebody has read it; marketing goes on only where they say so.
    seen_at = models.DateTimeField(null=True, blank=True)
    seen_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    cleared_at = models.DateTimeField(null=True, blank=True)
    cleared_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["-urgent", "-occurred_at"]
        indexes = [
            models.Index(fields=["customer", "cleared_at"]),
            models.Index(fields=["-urgent", "-occurred_at"]),
        ]

    def __str__(self) -> str:
        return f"sensitive, human: interaction {self.interaction_id}"


class EmotionProfile(models.Model):
    """A customer's decayed sums: everything needed to fold in the next score."""

    customer = models.OneToOneField(
        Customer, on_delete=models.CASCADE, related_name="emotion_profile"
    )
    as_of = models.DateTimeField()
    # Little-endian float64 sums; layout and meaning: segmentation/profile, frames.py.
    state = models.BinaryField(default=b"")
    texts = models.PositiveIntegerField(default=0)
    last_text_at = models.DateTimeField(null=True, blank=True)
    # For lists and filters; everything else is computed from the state.
    evidence = models.FloatField(default=0.0)
    valence = models.FloatField(default=0.0)
    # Nine float32, the composition m; empty without evidence.
    composition = models.BinaryField(default=b"")
    # State negativity N on the 30-day clock, method.md 1.4.
    negativity = models.FloatField(default=0.0)
    dominant_family = models.CharField(max_length=12, blank=True)

    def __str__(self) -> str:
        return f"profile of customer {self.customer_id}"
