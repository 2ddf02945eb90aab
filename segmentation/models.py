"""From interactions to named groups."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from customers.models import Customer
from segmentation.clustering.anchors import LEARN_FROM
from segmentation.clustering.quality import REPORT_FROM
from segmentation.reading_models import (
    BrandWord,
    Correction,
    EmotionProfile,
    EmotionScore,
    KeptMood,
    ReadingMark,
    SensitiveMatter,
    family_choices,
)


class SegmentationRun(models.Model):
    """One fit: its data cut-off, parameters and seed, and who let it through."""

    class State(models.TextChoices):
        SORTING = "sorting", _("being sorted")
        FITTED = "fitted", _("fitted")
        WAITING = "waiting", _("waits for approval")
        PUBLISHED = "published", _("in use")
        SUPERSEDED = "superseded", _("replaced")
        DECLINED = "declined", _("declined")

    # Until every membership is written a run can't come into use.
    state = models.CharField(max_length=12, choices=State, default=State.SORTING)
    cut_off = models.DateTimeField()
    segmenter = models.CharField(max_length=40)
    # SegmentModel.to_json(): numbers only.
    model = models.JSONField()
    customers = models.PositiveIntegerField(default=0)
    # {"sizes": {segment key: n}, "renamed_share": x, "largest_shift": y, ...}
    quality = models.JSONField(default=dict)
    waits_because = models.TextField(blank=True)
    fitted_at = models.DateTimeField(auto_now_add=True)
    published_at = models.DateTimeField(null=True, blank=True)
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL
    )
    # A person said no to it: it never comes into use.
    declined_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    declined_at = models.DateTimeField(null=True, blank=True)
    declined_because = models.TextField(blank=True)
    # From then on it is not kept who was in which segment: no way back to this run.
    thinned_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-fitted_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["state"],
                condition=models.Q(state="published"),
                name="one_published_run",
            )
        ]

    def __str__(self) -> str:
        return f"run {self.pk} of {self.cut_off:%Y-%m-%d}"

    @property
    def scored(self) -> int:
        """Customers with a text that was read."""
        return int(self.model.get("customers", 0))

    @property
    def reportable(self) -> bool:
        """Enough customers were scored to say something of a segment."""
        return self.scored >= REPORT_FROM

    @property
    def too_few_to_learn(self) -> bool:
        """So few were scored that the segments' start values are used as they are."""
        return self.scored < LEARN_FROM


class News(models.Model):
    """There is something new of a customer that the run in use has not read.

    Also once it was folded in: the next run may have begun before that.
    """

    customer = models.OneToOneField(
        Customer, primary_key=True, on_delete=models.CASCADE, related_name="news"
    )
    # Clicks, visits and orders alone: no reason to sort everybody anew.
    habits_only = models.BooleanField(default=False, db_default=False)
    # To be folded; nothing as yet is due before: a text of tomorrow, of another clock.
    waiting = models.BooleanField(default=True)
    due = models.DateTimeField(null=True, blank=True)
    # The last run that began after it was known, and has read it.
    seen_by = models.ForeignKey(
        SegmentationRun,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )

    class Meta:
        verbose_name_plural = "news"
        indexes = [
            models.Index(
                fields=["customer"],
                condition=models.Q(waiting=True),
                name="waiting_news",
            )
        ]

    def __str__(self) -> str:
        return f"news of customer {self.customer_id}"


class Publication(models.Model):
    """A run came into use: when, by whom, instead of which. Never changed, all stay."""

    class Kind(models.TextChoices):
        BY_ITSELF = "by_itself", _("published by itself")
        APPROVED = "approved", _("approved")
        ROLLED_BACK = "rolled_back", _("rolled back to")

    run = models.ForeignKey(
        SegmentationRun, on_delete=models.PROTECT, related_name="publications"
    )
    replaces = models.ForeignKey(
        SegmentationRun, null=True, on_delete=models.PROTECT, related_name="+"
    )
    kind = models.CharField(max_length=12, choices=Kind)
    published_at = models.DateTimeField()
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    # Its part of the history of changes is written up to this customer id, and whole.
    written_to = models.BigIntegerField(default=0)
    written = models.BooleanField(default=False)
    # How many changed segment, and how many got their first one.
    moved = models.PositiveIntegerField(default=0)
    newly_sorted = models.PositiveIntegerField(default=0)
    # [[from segment, to segment, customers], ...], by id; null: they came from nowhere.
    pairs = models.JSONField(default=list)

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(
                fields=["id"],
                condition=models.Q(written=False),
                name="unwritten_publications",
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.run}"


class Segment(models.Model):
    """A group a marketer has named, the same across runs."""

    # The canonical seven, "mixed" and "unknown": rows of canonical.py.
    key = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=80)
    tone = models.CharField(max_length=20)
    # The family whose colour and glyph it borrows; empty for mixed and unknown.
    family = models.CharField(max_length=12, blank=True)
    # Too small for words of its own: its customers get the tone of this one.
    sent_as = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    position = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["position"]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """Which segment a customer is in, in one run, and how sure that is."""

    # A run writes a row of every customer. Indexes of its own only where no other
    # begins with the field. The database checks the customer alone: runs and segments
    # are never deleted, and to look each of them up took PostgreSQL half of the time.
    run = models.ForeignKey(
        SegmentationRun,
        on_delete=models.CASCADE,
        related_name="memberships",
        db_index=False,
        db_constraint=False,
    )
    customer = models.ForeignKey(
        Customer, on_delete=models.CASCADE, related_name="memberships"
    )
    segment = models.ForeignKey(
        Segment,
        on_delete=models.PROTECT,
        related_name="memberships",
        db_index=False,
        db_constraint=False,
    )
    probability = models.FloatField()
    # Placed by a person: where the run itself has them. Probability, next best and
    # since are always the run's own; empty: so is the segment.
    run_segment = models.ForeignKey(
        Segment,
        on_delete=models.PROTECT,
        related_name="+",
        null=True,
        blank=True,
        db_index=False,
        db_constraint=False,
    )
    next_best = models.ForeignKey(
        Segment,
        on_delete=models.PROTECT,
        related_name="+",
        null=True,
        db_index=False,
        db_constraint=False,
    )
    next_probability = models.FloatField(default=0.0)
    evidence = models.FloatField(default=0.0)
    # Hysteresis: since when, and how often another segment was ahead in a row.
    since = models.DateTimeField()
    ahead_in_a_row = models.PositiveSmallIntegerField(default=0)
    # The moment that news was folded in for; nothing: read as of the run's cut-off.
    folded_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["run", "customer"], name="one_membership_per_run"
            )
        ]
        indexes = [
            # Surest first, page by page; with the customer, else for all of a segment
            # as many rows are looked up all over the table.
            models.Index(
                fields=["run", "segment", "-probability", "id", "customer"],
                name="surest_first",
            ),
            models.Index(
                fields=["run"],
                condition=models.Q(run_segment__isnull=False),
                name="placed_by_hand",
            ),
        ]

    def __str__(self) -> str:
        return f"customer {self.customer_id} in segment {self.segment_id}"


class MapDot(models.Model):
    """A customer who is drawn on a run's map, and where: a sample, not everybody."""

    run = models.ForeignKey(
        SegmentationRun,
        on_delete=models.CASCADE,
        related_name="map_dots",
        db_index=False,
    )
    customer = models.ForeignKey(
        Customer, on_delete=models.CASCADE, related_name="map_dots"
    )
    # On the fixed axes of clustering/layout.py.
    x = models.FloatField()
    y = models.FloatField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "customer"], name="one_dot_a_run")
        ]

    def __str__(self) -> str:
        return f"customer {self.customer_id} on the map of run {self.run_id}"


class RuleSegmentQuerySet(models.QuerySet["RuleSegment"]):
    def in_use(self) -> "RuleSegmentQuerySet":
        """Those a marketer may still choose."""
        return self.filter(removed_at__isnull=True)


class RuleSegment(models.Model):
    """A group that a marketer describes by a rule; who is in it follows the facts."""

    key = models.SlugField(max_length=100, unique=True)
    name = models.CharField(max_length=80)
    # rules.tree.to_json(); never written without having been parsed.
    rule = models.JSONField()
    # The tone its customers get when they are written to; empty: that of each segment.
    tone = models.CharField(max_length=20, blank=True)
    # Counting reads every customer: done when the rule is kept, or asked for.
    counted = models.PositiveIntegerField(null=True, blank=True)
    counted_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField()
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    changed_at = models.DateTimeField()
    # Deleted, but a campaign that has ended still tells by it whom it went to.
    removed_at = models.DateTimeField(null=True, blank=True)

    objects = RuleSegmentQuerySet.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["name"],
                condition=models.Q(removed_at__isnull=True),
                name="one_rule_of_a_name",
            )
        ]

    def __str__(self) -> str:
        return self.name


class SegmentChange(models.Model):
    """A customer went from one segment to another, by a run, by news or by a person."""

    # The publication and not the run: a run may come into use more than once. Nothing:
    # news was folded in; or a person placed them, or ended that, see the pin.
    publication = models.ForeignKey(
        Publication,
        null=True,
        on_delete=models.CASCADE,
        related_name="changes",
        db_index=False,
    )
    customer = models.ForeignKey(
        Customer,
        on_delete=models.CASCADE,
        related_name="segment_changes",
        db_index=False,
    )
    # Nothing: the customer's first place.
    from_segment = models.ForeignKey(
        Segment, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    to_segment = models.ForeignKey(
        Segment, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    # Copied from the publication, so that every question reads one table.
    at = models.DateTimeField()
    # By news alone, between two runs.
    folded = models.BooleanField(default=False, db_default=False)

    class Meta:
        ordering = ["-at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["publication", "customer"], name="one_change_per_publication"
            )
        ]
        indexes = [
            models.Index(fields=["customer", "at"], name="changes_of_customer"),
            # Who came and who left, newest first, page by page.
            models.Index(fields=["to_segment", "-at", "-id"], name="changes_into"),
            models.Index(fields=["from_segment", "-at", "-id"], name="changes_out_of"),
            # Counts by month read this index and no row.
            models.Index(
                fields=["at", "from_segment", "to_segment"], name="changes_at"
            ),
            # The few by news or by hand, without the many of each run. The field that
            # is empty goes first, else SQLite takes the constraint's index.
            models.Index(
                fields=["publication", "at", "folded", "from_segment", "to_segment"],
                condition=models.Q(publication__isnull=True),
                name="changes_between_runs",
            ),
        ]

    def __str__(self) -> str:
        return f"customer {self.customer_id} into segment {self.to_segment_id}"

    @property
    def by_hand(self) -> bool:
        return self.publication_id is None and not self.folded


# At the end, since they point at the models above.
from segmentation.marketer_models import (  # noqa: E402
    EmergentGroup,
    GroupMember,
    Pin,
    RunComparison,
    RunDecision,
    RunDiagnosis,
    SegmentEdit,
)

__all__ = [
    "BrandWord",
    "Correction",
    "EmergentGroup",
    "EmotionProfile",
    "EmotionScore",
    "GroupMember",
    "KeptMood",
    "MapDot",
    "Membership",
    "News",
    "Pin",
    "Publication",
    "ReadingMark",
    "RuleSegment",
    "RuleSegmentQuerySet",
    "RunComparison",
    "RunDecision",
    "RunDiagnosis",
    "Segment",
    "SegmentChange",
    "SegmentEdit",
    "SegmentationRun",
    "SensitiveMatter",
    "family_choices",
]
