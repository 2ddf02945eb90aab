"""What people decide about segments, kept with who and when: pins, names, groups."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from customers.models import Customer


class Pin(models.Model):
    """A person has placed a customer in a segment; ended ones stay, with by whom."""

    class Ended(models.TextChoices):
        REMOVED = "removed", _("removed")
        REPLACED = "replaced", _("replaced by another one")
        DATE = "date", _("its date passed")

    customer = models.ForeignKey(
        Customer, on_delete=models.CASCADE, related_name="pins"
    )
    segment = models.ForeignKey(
        "segmentation.Segment", on_delete=models.PROTECT, related_name="pins"
    )
    reason = models.TextField()
    pinned_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    pinned_at = models.DateTimeField()
    # The last day on which it holds, in the shop's time zone; nothing: until removed.
    until = models.DateField(null=True, blank=True)
    ended = models.CharField(max_length=10, choices=Ended, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["-pinned_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["customer"],
                condition=models.Q(ended_at__isnull=True),
                name="one_standing_pin",
            )
        ]

    def __str__(self) -> str:
        return f"customer {self.customer_id} pinned to segment {self.segment_id}"


class RunDiagnosis(models.Model):
    """Somebody asked how free clusters compare with a run's segments: who, when, what
    came out. Asked once a run: the same customers give the same answer."""

    run = models.OneToOneField(
        "segmentation.SegmentationRun",
        on_delete=models.CASCADE,
        related_name="diagnosis",
    )
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    asked_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True, blank=True)
    # clustering.diagnostics.Diagnosis.to_json(); empty until done, or where refused.
    figures = models.JSONField(default=dict)
    refused = models.TextField(blank=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"diagnosis of run {self.run_id}"


class SegmentEdit(models.Model):
    """A person changed a segment's name, tone or whose mail it gets. Never changed."""

    class What(models.TextChoices):
        NAME = "name", _("name")
        TONE = "tone", _("tone")
        SENT_AS = "sent_as", _("written to like")

    segment = models.ForeignKey(
        "segmentation.Segment", on_delete=models.CASCADE, related_name="edits"
    )
    what = models.CharField(max_length=10, choices=What)
    # As they were called then; nothing: written to in its own tone.
    before = models.CharField(max_length=80, blank=True)
    after = models.CharField(max_length=80, blank=True)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    changed_at = models.DateTimeField()

    class Meta:
        ordering = ["-changed_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.get_what_display()} of segment {self.segment_id}"


class EmergentGroup(models.Model):
    """A group that a run found outside the segments: a person accepts it, or not."""

    class State(models.TextChoices):
        OPEN = "open", _("proposed")
        ACCEPTED = "accepted", _("accepted")
        DISMISSED = "dismissed", _("dismissed")
        FADED = "faded", _("no longer there")

    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    # Rules name it by this; it gets one when it is accepted, and keeps it.
    key = models.SlugField(max_length=100, unique=True, null=True, blank=True)
    name = models.CharField(max_length=80)
    # Nine shares in the order of FAMILIES: what their words carry.
    row = models.JSONField()
    # Of all who wrote, as the model estimates it; more than can be told by name.
    share = models.FloatField()
    customers = models.PositiveIntegerField(default=0)
    # {"gain": BIC won, "divergence": nats, "stability": Jaccard, "families": ...}
    figures = models.JSONField(default=dict)
    run = models.ForeignKey(
        "segmentation.SegmentationRun", on_delete=models.CASCADE, related_name="+"
    )
    found_at = models.DateTimeField()
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_because = models.TextField(blank=True)
    rule = models.OneToOneField(
        "segmentation.RuleSegment",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="group",
    )

    class Meta:
        ordering = ["-found_at", "-pk"]

    def __str__(self) -> str:
        return self.name


class GroupMember(models.Model):
    """Who is in an emergent group, and how sure that is."""

    group = models.ForeignKey(
        EmergentGroup, on_delete=models.CASCADE, related_name="members", db_index=False
    )
    customer = models.ForeignKey(
        Customer, on_delete=models.CASCADE, related_name="groups"
    )
    probability = models.FloatField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["group", "customer"], name="once_in_a_group"
            )
        ]
        indexes = [
            models.Index(fields=["group", "-probability"], name="surest_of_group")
        ]

    def __str__(self) -> str:
        return f"customer {self.customer_id} in group {self.group_id}"


class RunDecision(models.Model):
    """A person let a run through, or went back to one; a worker carries it out."""

    class Kind(models.TextChoices):
        APPROVE = "approve", _("approve")
        ROLL_BACK = "roll_back", _("go back to")

    run = models.ForeignKey(
        "segmentation.SegmentationRun",
        on_delete=models.CASCADE,
        related_name="decisions",
    )
    kind = models.CharField(max_length=10, choices=Kind)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    asked_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True, blank=True)
    # Why it could not be carried out, for the marketer; empty: it was.
    refused = models.TextField(blank=True)

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(
                fields=["id"],
                condition=models.Q(done_at__isnull=True),
                name="open_run_decisions",
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.run}"


class RunComparison(models.Model):
    """How customers stand in two large runs, as it was counted at some moment."""

    before = models.ForeignKey(
        "segmentation.SegmentationRun",
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,
    )
    after = models.ForeignKey(
        "segmentation.SegmentationRun", on_delete=models.CASCADE, related_name="+"
    )
    counted_at = models.DateTimeField()
    # Counts.to_json(): sizes and pairs, by the ids of segments.
    counts = models.JSONField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["before", "after"], name="compared_once")
        ]

    def __str__(self) -> str:
        return f"{self.before} beside {self.after}"
