"""From a segment to messages that have left."""

from __future__ import annotations

import secrets
from typing import Any, Final

import numpy as np
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from campaigns.canary_models import Canary as Canary
from campaigns.content.designs import TONES
from campaigns.doubt_models import SecondTry as SecondTry
from campaigns.frequency_models import FrequencyCap as FrequencyCap
from campaigns.frequency_models import FrequencyReservation as FrequencyReservation
from campaigns.instance_models import Adoption as Adoption
from campaigns.instance_models import Instance as Instance
from campaigns.kept_models import KeptCall as KeptCall
from campaigns.provider_models import Breaker as Breaker
from campaigns.provider_models import ProviderNote as ProviderNote
from campaigns.provider_models import RateLimit as RateLimit
from campaigns.rest_day_models import RestDay as RestDay
from campaigns.seed_models import Seed as Seed
from campaigns.seed_models import SeedMail as SeedMail
from campaigns.trail_models import SendAttempt as SendAttempt
from campaigns.trail_models import SendNote as SendNote
from campaigns.verify_models import ProviderVerification as ProviderVerification
from campaigns.warmup_models import SenderDomainWarmUp as SenderDomainWarmUp
from campaigns.warmup_models import domain_of
from customers.models import Customer
from segmentation.models import RuleSegment, SegmentationRun


def tone_choices() -> list[tuple[str, str]]:
    return [(tone.key, tone.label) for tone in TONES]


def new_public_id() -> int:
    """A random positive 63-bit number: all the outside ever learns of a message."""
    return secrets.randbits(63) or 1


def new_public_ids(count: int) -> list[int]:
    """As many of them at once."""
    bits = np.frombuffer(secrets.token_bytes(8 * count), np.uint64) >> np.uint64(1)
    ids: list[int] = np.maximum(bits, 1).tolist()
    return ids


class Sender(models.Model):
    """Who a mail comes from, and where that shop can be reached by post."""

    shop_name = models.CharField(max_length=120)
    from_name = models.CharField(max_length=120)
    from_address = models.EmailField(max_length=320)
    reply_to = models.EmailField(max_length=320, blank=True)
    postal_address = models.TextField(
        blank=True, help_text=_("Shown under every mail; the law asks for it.")
    )

    def __str__(self) -> str:
        return f"{self.from_name} <{self.from_address}>"


class EmailTemplate(models.Model):
    """One design and its words. What is offered stands here, once for all tones."""

    class Purpose(models.TextChoices):
        PROMOTION = "promotion", _("promotion")
        SERVICE = "service", _("service notice")

    name = models.CharField(max_length=120, unique=True)
    design = models.CharField(max_length=60)
    purpose = models.CharField(
        max_length=10, choices=Purpose, default=Purpose.PROMOTION
    )
    # MJML with named blocks; starts as a copy of the design's layout.mjml.
    layout = models.TextField()
    offer = models.TextField(blank=True)
    terms = models.TextField(blank=True)
    button_label = models.CharField(max_length=60, blank=True)
    button_url = models.URLField(max_length=1000, blank=True)
    offer_ends_on = models.DateField(null=True, blank=True)
    footer_reason = models.CharField(max_length=200, blank=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Variant(models.Model):
    """The words of each block in one tone."""

    template = models.ForeignKey(
        EmailTemplate, on_delete=models.CASCADE, related_name="variants"
    )
    tone = models.CharField(max_length=20, choices=tone_choices)
    subject = models.CharField(max_length=200)
    preheader = models.CharField(max_length=200, blank=True)
    # {block name: words}; names are designs.VARIANT_BLOCKS.
    blocks = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["template", "tone"], name="one_variant_per_tone"
            )
        ]

    def __str__(self) -> str:
        return f"{self.template} ({self.get_tone_display()})"


AGAIN_IS_FOR_NOTICES: Final = (
    "“Send again” is for service notices only, since somebody may get it twice; the "
    "template “%s” is a promotion. Leave it, or ask again under its key."
)


class Campaign(models.Model):
    """What a marketer plans: a template, an audience, a time, rules."""

    class IfInDoubt(models.TextChoices):
        """What is done by itself about a mail that is in doubt."""

        LEAVE = "leave", _("leave it")
        ASK = "ask", _("ask again under its key")
        AGAIN = "again", _("send again")

    name = models.CharField(max_length=120)
    template = models.ForeignKey(EmailTemplate, on_delete=models.PROTECT)
    sender = models.ForeignKey(Sender, on_delete=models.PROTECT)
    # Segment keys; empty means everyone.
    segments = models.JSONField(default=list, blank=True)
    # Of those, only whoever this rule holds for; and never whoever that one holds for.
    audience_rule = models.ForeignKey(
        RuleSegment, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    exclusion_rule = models.ForeignKey(
        RuleSegment, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    # Share of each segment that gets the neutral tone all the same (method.md 4.1).
    neutral_share = models.FloatField(default=0.2)
    # Local wall time of each customer instead of one instant for all.
    local_time = models.BooleanField(default=False)
    # Promotion leaves at night, too, where a customer lives.
    at_night = models.BooleanField(default=False)
    # Whoever would get it later gets nothing: what it offers has ended.
    expires_at = models.DateTimeField(null=True, blank=True)
    if_in_doubt = models.CharField(
        max_length=10, choices=IfInDoubt, default=IfInDoubt.ASK
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if self.template_id is not None and self.again_refused:
            raise ValidationError({"if_in_doubt": AGAIN_IS_FOR_NOTICES % self.template})

    @property
    def again_refused(self) -> bool:
        """Only what somebody has bought or asked for may come twice rather than not at
        all."""
        again = self.if_in_doubt == self.IfInDoubt.AGAIN
        return again and self.template.purpose != EmailTemplate.Purpose.SERVICE


class AudienceCount(models.Model):
    """How many a campaign would reach, where a page can't count them while it loads.

    Somebody asked for it; whoever finds it goes on with it, some thousand customers at
    a time, each time with the place that it has come to.
    """

    campaign = models.OneToOneField(
        Campaign, on_delete=models.CASCADE, related_name="audience_count"
    )
    # Of the plan that it counts; it says nothing of another one.
    plan = models.CharField(max_length=64)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    # Everything is counted as of this moment.
    asked_at = models.DateTimeField()
    counted_to = models.BigIntegerField(default=0)
    # Somebody is at it; long ago: they died.
    worked_at = models.DateTimeField(null=True, blank=True)
    # Of how many customers it was decided so far.
    customers = models.PositiveIntegerField(default=0)
    # counting.Counts.to_json()
    figures = models.JSONField(default=dict)
    done_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"count of campaign {self.campaign_id}"


class Send(models.Model):
    """One dated execution of a campaign, with its words frozen."""

    class State(models.TextChoices):
        SCHEDULED = "scheduled", _("scheduled")
        PREPARING = "preparing", _("preparing")
        SENDING = "sending", _("sending")
        PAUSED = "paused", _("paused")
        SENT = "sent", _("sent")
        CANCELLED = "cancelled", _("cancelled")
        MISSED = "missed", _("missed")
        FAILED = "failed", _("failed")

    class Standing(models.TextChoices):
        OPEN = "open", _("open")
        CLOSED = "closed", _("closed")

    campaign = models.ForeignKey(
        Campaign, on_delete=models.PROTECT, related_name="sends"
    )
    state = models.CharField(
        max_length=10, choices=State, default=State.SCHEDULED, db_index=True
    )
    # Why it is paused, missed or failed, in words for a marketer.
    state_reason = models.CharField(max_length=500, blank=True)
    scheduled_at = models.DateTimeField()
    run = models.ForeignKey(
        SegmentationRun, null=True, blank=True, on_delete=models.PROTECT
    )
    # Frozen when scheduled: sender, purpose, segments and their tones, rules, shares,
    # what is done if a mail is in doubt.
    frozen = models.JSONField(default=dict)
    content_hash = models.CharField(max_length=64, blank=True)
    # Materialising goes by customer id and can be taken up again from here.
    prepared_up_to = models.BigIntegerField(default=0)
    prepared_at = models.DateTimeField(null=True, blank=True)
    audience_size = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    # A person took it up again: what was before, they have seen.
    resumed_at = models.DateTimeField(null=True, blank=True)
    # Its sender's domain warmed up when it began: its batches have a rank.
    engaged_first = models.BooleanField(default=False)
    # The same mail to those who came after that send; never a top-up itself.
    tops_up = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="top_ups",
    )
    # Without an audience: messages are added one by one while it is open (standing.py).
    standing = models.CharField(max_length=6, choices=Standing, blank=True, default="")

    class Meta:
        ordering = ["-scheduled_at", "-pk"]

    def __str__(self) -> str:
        when = "since" if self.standing else "on"
        return f"{self.campaign} {when} {self.scheduled_at:%Y-%m-%d %H:%M}"

    @property
    def is_open(self) -> bool:
        """A standing send that takes messages, also while it is paused."""
        takes = (self.State.SENDING, self.State.PAUSED)
        return self.standing == self.Standing.OPEN and self.state in takes

    @property
    def state_in_words(self) -> str:
        """As pages call it: a standing send is open while it waits for messages."""
        if self.is_open and self.state == self.State.SENDING:
            return str(self.Standing.OPEN.label)
        return str(self.get_state_display())

    @property
    def lane(self) -> str:
        """By which its mail leaves: that of mail to many, unless it was frozen with
        another (sending.breaker.LANES)."""
        lane: str = self.frozen.get("lane", "bulk")
        return lane

    @property
    def sender_domain(self) -> str:
        """That of the address it was frozen with, as it is on the wire."""
        return domain_of(self.frozen.get("sender", {}).get("from_address", ""))

    @property
    def if_in_doubt(self) -> str:
        """As it was frozen. Before anybody could choose, what could be asked for again
        under its key was."""
        chosen: str = self.frozen.get("if_in_doubt", Campaign.IfInDoubt.ASK.value)
        return chosen


class SendCount(models.Model):
    """A large send's messages by state, as they were counted last."""

    send = models.OneToOneField(Send, on_delete=models.CASCADE, related_name="count")
    # {state: messages}
    states = models.JSONField(default=dict)
    counted_at = models.DateTimeField()
    took_seconds = models.FloatField(default=0.0)

    def __str__(self) -> str:
        return f"count of send {self.send_id}"


class SendVariant(models.Model):
    """The frozen, compiled words of one tone in one send."""

    send = models.ForeignKey(Send, on_delete=models.CASCADE, related_name="variants")
    tone = models.CharField(max_length=20)
    # CompiledVariant.to_json(): skeletons, slots, link table, sha256.
    compiled = models.JSONField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["send", "tone"], name="one_frozen_variant_per_tone"
            )
        ]

    def __str__(self) -> str:
        return f"{self.tone} words of send {self.send_id}"


class Batch(models.Model):
    """Messages handed over in one go: the unit of claim, of intent and of doubt."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        CLAIMED = "claimed", _("claimed")
        HANDING_OVER = "handing_over", _("being handed over")
        DONE = "done", _("done")
        IN_DOUBT = "in_doubt", _("in doubt")
        CANCELLED = "cancelled", _("cancelled")

    send = models.ForeignKey(Send, on_delete=models.CASCADE, related_name="batches")
    variant = models.ForeignKey(SendVariant, on_delete=models.PROTECT)
    lane = models.CharField(max_length=20, default="bulk")
    state = models.CharField(max_length=14, choices=State, default=State.WAITING)
    # Copied from the send so that a claim filters on this row's columns only.
    paused = models.BooleanField(default=False)
    not_before = models.DateTimeField()
    # Where the engaged come first: how long ago they were engaged, 1 the latest
    # (campaigns.engaged.ranks); else 0.
    rank = models.PositiveSmallIntegerField(default=0)
    owner = models.CharField(max_length=60, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    fence = models.PositiveIntegerField(default=0)
    generation = models.PositiveSmallIntegerField(default=0)
    attempts = models.PositiveSmallIntegerField(default=0)
    idempotency_key = models.CharField(max_length=40, blank=True)
    # Message ids and payload digest, written before any byte leaves.
    intent = models.JSONField(null=True, blank=True)
    intent_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=40, blank=True)
    outcome_detail = models.CharField(max_length=500, blank=True)
    outcome_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["lane", "send", "not_before", "id"],
                # Those of a paused send are not passed again and again.
                condition=models.Q(state="waiting", paused=False),
                name="batch_waiting",
            ),
            models.Index(
                fields=["lease_until"],
                condition=models.Q(state__in=["claimed", "handing_over"]),
                name="batch_leased",
            ),
        ]

    def __str__(self) -> str:
        return f"batch {self.pk} of send {self.send_id}"

    def states(self) -> set[str]:
        """Those of its messages."""
        messages = self.messages.order_by()
        return set(messages.values_list("state", flat=True).distinct())


class Message(models.Model):
    """One email: one row per (send, customer, occasion), also for those left out."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        HANDING_OVER = "handing_over", _("being handed over")
        ACCEPTED = "accepted", _("accepted")
        IN_DOUBT = "in_doubt", _("in doubt")
        FAILED = "failed", _("not sent: refused")
        LEFT_OUT = "left_out", _("not sent: left out")
        CANCELLED = "cancelled", _("not sent: cancelled")

    class Arm(models.TextChoices):
        FITTING = "fitting", _("fitting tone")
        NEUTRAL = "neutral", _("neutral control")

    # A send writes a row of everybody. Two indexes below begin with the send. The
    # database checks the customer alone: sends and batches are never deleted, and to
    # look each of them up took PostgreSQL as long as the row itself.
    send = models.ForeignKey(
        Send,
        on_delete=models.PROTECT,
        related_name="messages",
        db_index=False,
        db_constraint=False,
    )
    customer = models.ForeignKey(
        Customer, on_delete=models.PROTECT, related_name="messages"
    )
    # What it is about, such as an order, a ticket, a step of a journey: the same one
    # twice is one mail. Mail to an audience is about nothing but its send.
    occasion = models.CharField(max_length=80, blank=True, default="")
    public_id = models.BigIntegerField(unique=True, default=new_public_id)
    state = models.CharField(max_length=14, choices=State, default=State.WAITING)
    # One word of audience.LEFT_OUT_REASONS, or the class of a refusal or a doubt.
    reason = models.CharField(max_length=200, blank=True)
    # The same in words, where there is more to say: what is missing, who settled it.
    detail = models.CharField(max_length=200, blank=True)
    # True at launch, frozen with the send.
    address_wire = models.CharField(max_length=320, blank=True)
    segment_key = models.CharField(max_length=40)
    tone = models.CharField(max_length=20)
    arm = models.CharField(max_length=10, choices=Arm, default=Arm.FITTING)
    batch = models.ForeignKey(
        Batch,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="messages",
        db_constraint=False,
    )
    provider_message_id = models.CharField(max_length=200, blank=True)
    handed_over_at = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["send", "customer", "occasion"], name="one_message_per_occasion"
            ),
            models.UniqueConstraint(
                fields=["send", "address_wire", "occasion"],
                condition=~models.Q(state="left_out"),
                name="one_message_per_address",
            ),
        ]
        indexes = [
            # A send's page counts them by both, and no message is looked at.
            models.Index(fields=["send", "state", "reason"], name="counted_by_send"),
            # Few, and the home page asks for them across all sends. With the state,
            # else SQLite reads the index above from end to end.
            models.Index(
                fields=["state", "send"],
                condition=models.Q(state="in_doubt"),
                name="messages_in_doubt",
            ),
            # Nobody is asked for by a name that they do not have yet.
            models.Index(
                fields=["provider_message_id"],
                condition=models.Q(provider_message_id__gt=""),
                name="named_by_provider",
            ),
        ]

    def __str__(self) -> str:
        return f"message {self.public_id}"


class EngineNode(models.Model):
    """The heartbeat of one sending process."""

    name = models.CharField(max_length=120, unique=True)
    role = models.CharField(max_length=20)
    started_at = models.DateTimeField()
    last_seen = models.DateTimeField()
    detail: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(
        default=dict
    )

    def __str__(self) -> str:
        return self.name
