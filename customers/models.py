"""Who we know, what they said and did, what they allow, whom we must not mail."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from customers.querysets import CustomerQuerySet, InteractionQuerySet


class Customer(models.Model):
    """A person we know."""

    external_id = models.CharField(_("customer id"), max_length=200, unique=True)
    email = models.CharField(_("address as written"), max_length=320, blank=True)
    # The ASCII form that goes on the wire: providers look merge keys up by it.
    address_wire = models.CharField(max_length=320, blank=True)
    # Case folded, to tell when two rows are one mailbox; see addresses.address_key().
    address_key = models.CharField(max_length=320, blank=True, db_index=True)
    first_name = models.CharField(max_length=120, blank=True)
    last_name = models.CharField(max_length=120, blank=True)
    language = models.CharField(max_length=20, blank=True)
    timezone = models.CharField(max_length=60, blank=True)
    country = models.CharField(max_length=2, blank=True)
    tags = models.JSONField(default=list, blank=True)
    profiling_objected_at = models.DateTimeField(null=True, blank=True)
    added_at = models.DateTimeField(auto_now_add=True)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.full_name or self.email or self.external_id

    @property
    def full_name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()


class MergedCustomer(models.Model):
    """Who was found to be a customer we know twice; imports find the kept one by it."""

    kept = models.ForeignKey(
        Customer, on_delete=models.CASCADE, related_name="merged_customers"
    )
    external_id = models.CharField(_("customer id"), max_length=200, unique=True)
    merged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    merged_at = models.DateTimeField()

    class Meta:
        ordering = ["-merged_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.external_id}, now {self.kept}"


class Interaction(models.Model):
    """One dated thing a customer said or did; never changed."""

    class Kind(models.TextChoices):
        REVIEW = "review", _("review")
        TICKET = "ticket", _("ticket")
        SURVEY = "survey", _("survey")
        REPLY = "reply", _("reply")
        CHAT = "chat", _("chat")
        SOCIAL = "social", _("social post")
        ORDER = "order", _("order")
        RETURN = "return", _("return")
        VISIT = "visit", _("visit")
        CLICK = "click", _("click in a mail")

    customer = models.ForeignKey(
        Customer, on_delete=models.CASCADE, related_name="interactions"
    )
    occurred_at = models.DateTimeField()
    kind = models.CharField(max_length=10, choices=Kind)
    # The file's interaction_id, or a digest of the row: a second run stores 0.
    key = models.CharField(max_length=200)
    channel = models.CharField(max_length=60, blank=True)
    rating = models.FloatField(null=True, blank=True)
    subject = models.CharField(max_length=500, blank=True)
    text = models.TextField(blank=True)
    product = models.CharField(max_length=500, blank=True)
    amount = models.DecimalField(max_digits=14, decimal_places=2, null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    attributes = models.JSONField(default=dict, blank=True)
    # When the shop answered; filled in once, by a later import where it came later.
    answered_at = models.DateTimeField(null=True, blank=True)
    recorded_at = models.DateTimeField(auto_now_add=True)

    objects = InteractionQuerySet.as_manager()

    class Meta:
        ordering = ["-occurred_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["customer", "kind", "key"], name="interaction_once"
            )
        ]
        indexes = [models.Index(fields=["customer", "occurred_at"])]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.occurred_at:%Y-%m-%d}"


# What a history file may hold; clicks come only from our own tracking.
IMPORTED_KINDS = tuple(
    kind for kind in Interaction.Kind if kind is not Interaction.Kind.CLICK
)


class Consent(models.Model):
    """What a customer allowed or withdrew, with its proof; append-only."""

    class Purpose(models.TextChoices):
        MARKETING = "marketing", _("marketing mail")
        PROFILING = "profiling", _("reading feelings from texts")
        TRACKING = "tracking", _("knowing who opened and clicked")

    class Basis(models.TextChoices):
        CONSENT = "consent", _("asked and said yes")
        EXISTING_CUSTOMER = "existing_customer", _("existing customer")
        WITHDRAWN = "withdrawn", _("said no")

    customer = models.ForeignKey(
        Customer, on_delete=models.CASCADE, related_name="consents"
    )
    purpose = models.CharField(max_length=10, choices=Purpose)
    basis = models.CharField(max_length=20, choices=Basis)
    source = models.CharField(max_length=200)
    wording = models.TextField(blank=True)
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-occurred_at", "-pk"]
        indexes = [models.Index(fields=["customer", "purpose", "occurred_at"])]

    def __str__(self) -> str:
        return f"{self.get_purpose_display()}: {self.get_basis_display()}"


class Suppression(models.Model):
    """A standing "never mail this address"; outlives the customer row."""

    class Reason(models.TextChoices):
        UNSUBSCRIBED = "unsubscribed", _("unsubscribed")
        COMPLAINED = "complained", _("marked a mail as spam")
        BOUNCED = "bounced", _("address does not exist")
        UNREACHABLE = "unreachable", _("mail keeps coming back")
        MANUAL = "manual", _("added by hand")

    # SHA-256 of the address key: it stays when the plain address must go.
    address_hash = models.CharField(max_length=64, unique=True)
    address = models.CharField(max_length=320, blank=True)
    reason = models.CharField(max_length=20, choices=Reason)
    source = models.CharField(max_length=200, blank=True)
    suppressed_at = models.DateTimeField()

    class Meta:
        ordering = ["-suppressed_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.address or 'an erased address'}: {self.get_reason_display()}"


class ImportRun(models.Model):
    """One reading of a history file: what came in, what was refused and why."""

    file_name = models.CharField(max_length=300)
    started_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    rows_read = models.PositiveIntegerField(default=0)
    stored = models.PositiveIntegerField(default=0)
    already_known = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)
    new_customers = models.PositiveIntegerField(default=0)
    # The first refused rows: line, column, value, reason. The whole list is a file.
    problems = models.JSONField(default=list, blank=True)
    notes = models.JSONField(default=list, blank=True)

    class Meta:
        ordering = ["-started_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(finished_at__isnull=True)
                | Q(
                    rows_read=models.F("stored")
                    + models.F("already_known")
                    + models.F("refused")
                ),
                name="import_run_adds_up",
            )
        ]

    def __str__(self) -> str:
        return f"{self.file_name}, {self.started_at:%Y-%m-%d %H:%M}"
