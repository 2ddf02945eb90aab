"""What came back, stored once: the only writer of this room's tables."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Max, Min, Q

from campaigns.models import Message
from campaigns.services import confirm_accepted
from customers.addresses import address_key
from customers.models import Consent, Customer, Interaction, Suppression
from customers.services import (
    forgive,
    marketing_basis,
    record_consent,
    record_interactions,
    suppress,
    unreachable,
)
from customers.sources import InteractionRow
from engagement.models import MessageEngagement, TrackingEvent

# Anymail's event names that this room acts on.
OPENED, CLICKED, DELIVERED = "opened", "clicked", "delivered"
BOUNCED, COMPLAINED, UNSUBSCRIBED = "bounced", "complained", "unsubscribed"
DEFERRED, AUTO_REPLIED, UNKNOWN = "deferred", "autoresponded", "unknown"
QUEUED, SENT, REJECTED, FAILED = "queued", "sent", "rejected", "failed"
# Told only of mail that the provider had taken, whatever it did with it then.
PROVES_ACCEPTANCE = {DELIVERED, BOUNCED, OPENED, CLICKED, COMPLAINED, UNSUBSCRIBED}
PROVES_ACCEPTANCE |= {DEFERRED, AUTO_REPLIED, QUEUED, SENT, REJECTED, FAILED}
# Anymail's reject reasons that mean: this address does not exist.
HARD_BOUNCES = {"bounced", "invalid"}
# Those that say that our mail is not wanted there, and nothing about the mailbox.
BY_POLICY = {"blocked", "spam", "unsubscribed"}
# A mailbox from which mail comes back time after time is given up; not within days,
# which a fault of somebody's server, or of ours, may last. Source: sending.md 4.5.
SOFT_MOST = 5
SOFT_OVER = timedelta(days=7)
SOFT_WITHIN = timedelta(days=30)
REACHED = (DELIVERED, OPENED, CLICKED)
BY_PEOPLE = (TrackingEvent.Verdict.HUMAN, TrackingEvent.Verdict.PROBABLE)


@dataclass(frozen=True, slots=True)
class Event:
    """One report about one message, before it is stored.

    Named by public_id, or by what the provider calls it (provider_message_id and
    recipient). event_id: the provider's own id of the event, when it has one.
    """

    event_type: str
    occurred_at: datetime
    provider: str
    public_id: int | None = None
    provider_message_id: str = ""
    recipient: str = ""
    event_id: str = ""
    link: int | None = None
    verdict: str = ""
    verdict_reasons: tuple[str, ...] = ()
    reject_reason: str = ""
    # A bounce that may not bounce again tomorrow: a full mailbox, a busy server.
    passing: bool = False
    # A bounce after which the provider gave the address up, whatever Anymail calls it.
    address_is_dead: bool = False
    # COMPLAINED or UNSUBSCRIBED, where the provider kept a mail back since the person
    # had said so before.
    said_before: str = ""
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def soft(self) -> bool:
        """It came back, and not because there is nobody or we are not wanted."""
        about_it = self.reject_reason not in BY_POLICY
        return self.event_type == BOUNCED and self.passing and about_it

    @property
    def dedupe_key(self) -> str:
        """SHA-256 of what makes the event one and the same, however often it comes."""
        if self.event_id:
            # Not the id alone: one notification of SES tells of several people, and
            # Postmark's complaint bears the id of the bounce before it.
            parts: list[object] = [
                self.provider,
                self.event_id,
                self.event_type,
                self.recipient.lower(),
                self.detail.get("url", ""),
            ]
        else:
            parts = [
                self.provider,
                self.event_type,
                self.public_id or self.provider_message_id,
                self.recipient,
                self.occurred_at.isoformat(),
                self.link,
                self.detail.get("url", ""),
            ]
        # A soft bounce and the hard one after it may bear one time.
        if self.event_type == BOUNCED and self.passing:
            parts.append("passing")
        return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()


def record_event(event: Event, *, at: datetime) -> TrackingEvent | None:
    """Store the event once and do what it asks for; None when it was known already."""
    stored = record_events([event], at=at)
    return stored[0] if stored else None


def record_events(events: Sequence[Event], *, at: datetime) -> list[TrackingEvent]:
    """Store events, each once, and do what they ask for; returns the new ones."""
    messages = _messages_of(events)
    with transaction.atomic():
        new = _store(events, messages)
        fold_engagement({row.message_id for row, _ in new if row.message_id})
        clicks = []
        for row, event in new:
            if row.message is None:
                heed_address(event, at=at)
                continue
            _act(row.message, event, at=at)
            if event.event_type == CLICKED and event.verdict in BY_PEOPLE:
                clicks.append(_click(row.message, event))
        reached = [row.message for row, event in new if event.event_type in REACHED]
        _forgive([message for message in reached if message is not None])
        # Together: customers and what is new of them are locked by id, not as told.
        if clicks:
            record_interactions(clicks, source="tracking", at=at, basis=None)
    return [row for row, _ in new]


def without_message(event: Event) -> bool:
    """Is it told of a message that we know by no name of ours, nor of theirs yet?"""
    return event.public_id is None and not _messages_of([event])


def _messages_of(events: Sequence[Event]) -> dict[int, Message]:
    """The message of each event, by the event's position."""
    known = Message.objects.select_related("customer", "send").in_bulk(
        [event.public_id for event in events if event.public_id is not None],
        field_name="public_id",
    )
    found = {}
    for position, event in enumerate(events):
        message = known.get(event.public_id) if event.public_id is not None else None
        # Never by the provider's id alone: some share one id across a whole batch.
        if message is None and event.provider_message_id and event.recipient:
            message = (
                Message.objects.select_related("customer", "send")
                .filter(
                    # As the index has it; SQLite does not conclude it by itself.
                    provider_message_id__gt="",
                    provider_message_id=event.provider_message_id,
                    # A provider may write a domain as it is read.
                    address_wire__iexact=address_key(event.recipient),
                )
                .first()
            )
        if message is not None:
            found[position] = message
    return found


def _store(
    events: Sequence[Event], messages: dict[int, Message]
) -> list[tuple[TrackingEvent, Event]]:
    rows: dict[str, tuple[TrackingEvent, Event]] = {}
    for position, event in enumerate(events):
        row = TrackingEvent(
            message=messages.get(position),
            event_type=event.event_type,
            occurred_at=event.occurred_at,
            dedupe_key=event.dedupe_key,
            provider=event.provider[:40],
            link=event.link,
            verdict=event.verdict,
            verdict_reasons=list(event.verdict_reasons),
            detail={**event.detail, **({"soft": True} if event.soft else {})},
        )
        rows.setdefault(row.dedupe_key, (row, event))
    already = set(
        TrackingEvent.objects.filter(dedupe_key__in=list(rows)).values_list(
            "dedupe_key", flat=True
        )
    )
    new = [pair for key, pair in rows.items() if key not in already]
    # Two processes may be given the same event at once: the constraint decides.
    TrackingEvent.objects.bulk_create([row for row, _ in new], ignore_conflicts=True)
    return new


def fold_engagement(message_ids: Iterable[int | None]) -> None:
    """Recompute the first times of these messages from their events.

    From the events alone: any order, repetition or delay ends in the same row.
    """
    ids = [message_id for message_id in message_ids if message_id]

    def first(event_type: str, **more: object) -> Min:
        return Min("occurred_at", filter=Q(event_type=event_type, **more))

    folded = (
        TrackingEvent.objects.filter(message_id__in=ids)
        .values("message_id")
        .annotate(
            delivered_at=first(DELIVERED),
            bounced_at=first(BOUNCED),
            opened_at=first(OPENED),
            opened_by_person_at=first(OPENED, verdict__in=BY_PEOPLE),
            clicked_at=first(CLICKED),
            clicked_by_person_at=first(CLICKED, verdict__in=BY_PEOPLE),
            unsubscribed_at=first(UNSUBSCRIBED),
            complained_at=first(COMPLAINED),
        )
        .order_by()
    )
    rows = [MessageEngagement(**row) for row in folded]
    MessageEngagement.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["message"],
        update_fields=[
            "delivered_at",
            "bounced_at",
            "opened_at",
            "opened_by_person_at",
            "clicked_at",
            "clicked_by_person_at",
            "unsubscribed_at",
            "complained_at",
        ],
    )


def unsubscribe(message: Message, event: Event, *, at: datetime) -> None:
    """Never mail this person again, from this moment, whatever was said before.

    The event is stored once. The no counts each time: who was let back in since, and
    says no again, is heard again.
    """
    with transaction.atomic():
        if record_event(event, at=at) is None:
            _heed_message(message, event, at=at)


def _act(message: Message, event: Event, *, at: datetime) -> None:
    open_states = (
        Message.State.IN_DOUBT,
        Message.State.HANDING_OVER,
        Message.State.WAITING,
    )
    if message.state in open_states and _proves_acceptance(event):
        confirm_accepted(message.public_id, at=at)
    _heed_message(message, event, at=at)
    if event.soft and _keeps_coming_back(message):
        suppress(
            message.address_wire,
            reason=Suppression.Reason.UNREACHABLE,
            source=f"{SOFT_MOST} mails came back in {SOFT_WITHIN.days} days",
            at=at,
        )


def _keeps_coming_back(message: Message) -> bool:
    """Whether, of those to this address since one was received last, as many mails as
    SOFT_MOST came back softly within SOFT_WITHIN; each mail counts once."""
    theirs = TrackingEvent.objects.filter(
        message__customer_id=message.customer_id,
        message__address_wire=message.address_wire,
    ).order_by()
    soft = theirs.filter(event_type=BOUNCED, detail__soft=True)
    reached = theirs.filter(event_type__in=REACHED).aggregate(at=Max("occurred_at"))
    if reached["at"] is not None:
        soft = soft.filter(occurred_at__gt=reached["at"])
    firsts = soft.values("message").annotate(first=Min("occurred_at"))
    times = sorted(row["first"] for row in firsts)
    several = zip(times, times[SOFT_MOST - 1 :], strict=False)
    return any(SOFT_OVER <= last - first <= SOFT_WITHIN for first, last in several)


def _forgive(messages: Iterable[Message]) -> None:
    """Whoever is received there after all is written to again, in whatever order that
    was told."""
    waiting = unreachable({message.address_wire for message in messages})
    for message in messages:
        if message.address_wire in waiting and not _keeps_coming_back(message):
            forgive(message.address_wire)


def _heed_message(message: Message, event: Event, *, at: datetime) -> None:
    _heed_no(
        event,
        address=message.address_wire,
        customers=[message.customer],
        source=f"message {message.public_id}",
        at=at,
    )


def heed_address(event: Event, *, at: datetime) -> None:
    """A provider's report about a mail it can't name: the address still said no."""
    if not event.recipient:
        return
    _heed_no(
        event,
        address=event.recipient,
        customers=Customer.objects.filter(address_key=address_key(event.recipient)),
        source=f"report of {event.provider}",
        at=at,
    )


def _heed_no(
    event: Event,
    *,
    address: str,
    customers: Iterable[Customer],
    source: str,
    at: datetime,
) -> None:
    reason = _reason_to_suppress(event)
    if reason is None:
        return
    suppress(address, reason=reason, source=source, at=at)
    # Of what was said before nobody knows whether a yes came after it.
    if event.event_type in {COMPLAINED, UNSUBSCRIBED}:
        for customer in customers:
            _withdraw(customer, source=source, at=at)


def _reason_to_suppress(event: Event) -> Suppression.Reason | None:
    if COMPLAINED in (event.event_type, event.said_before):
        return Suppression.Reason.COMPLAINED
    if UNSUBSCRIBED in (event.event_type, event.said_before):
        return Suppression.Reason.UNSUBSCRIBED
    hard = event.reject_reason in HARD_BOUNCES or event.address_is_dead
    bounced = event.event_type == BOUNCED and hard and not event.passing
    return Suppression.Reason.BOUNCED if bounced else None


def _withdraw(customer: Customer, *, source: str, at: datetime) -> None:
    # Now, not when it is said to have happened: no clock may let an older yes win.
    standing = marketing_basis([customer.pk], at=at).get(customer.pk)
    if standing != Consent.Basis.WITHDRAWN:
        record_consent(
            customer,
            purpose=Consent.Purpose.MARKETING,
            basis=Consent.Basis.WITHDRAWN,
            source=source,
            at=at,
        )


def _proves_acceptance(event: Event) -> bool:
    return event.event_type in PROVES_ACCEPTANCE


def _click(message: Message, event: Event) -> InteractionRow:
    return InteractionRow(
        customer_id=message.customer.external_id,
        email=message.customer.email,
        occurred_at=event.occurred_at,
        kind=Interaction.Kind.CLICK,
        key=event.dedupe_key,
        channel="mail",
    )
