"""The mails of a claimed batch, written before its intent."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from campaigns.content.problems import TemplateError, UndefinedValue
from campaigns.models import Batch, Message
from campaigns.rendering import context_of, facts_about, frozen_variant
from campaigns.sending.channels import Channel, Envelope, Outgoing


class Person(NamedTuple):
    """A message of the batch and whose it is."""

    message_id: int
    customer_id: int
    address: str


@dataclass(slots=True)
class Composed:
    """purpose: of the send's template. left_out: message id → reason, detail."""

    purpose: str
    tone: str
    people: dict[int, Person] = field(default_factory=dict)
    mails: list[Outgoing] = field(default_factory=list)
    left_out: dict[int, tuple[str, str]] = field(default_factory=dict)


def compose_batch(
    batch_id: int, channel: Channel, *, only: Sequence[int] | None = None
) -> Composed:
    """Write every mail of the batch that still waits; only: of these messages.

    Whoever the words ask something of that we do not know is left out, by name; the
    others are not touched by it.
    """
    batch = Batch.objects.select_related("send").get(pk=batch_id)
    variant = frozen_variant(batch.variant_id, batch.send.content_hash)
    tone = batch.send.frozen["variants"][str(batch.variant_id)]
    composed = Composed(purpose=batch.send.frozen["plan"]["purpose"], tone=tone)
    rows = (
        Message.objects.filter(batch_id=batch_id, state=Message.State.WAITING)
        .order_by("pk")
        .values_list(
            "pk",
            "public_id",
            "address_wire",
            "customer_id",
        )
    )
    if only is not None:
        rows = rows.filter(pk__in=only)
    waiting = list(rows)
    facts = facts_about([row[3] for row in waiting])
    for pk, public_id, address, customer_id in waiting:
        composed.people[pk] = Person(pk, customer_id, address)
        envelope = Envelope(
            pk, public_id, batch.send_id, batch_id, address, batch.generation + 1
        )
        context = context_of(public_id, facts[customer_id], variant)
        try:
            composed.mails.append(channel.compose(envelope, variant, context))
        except UndefinedValue as unknown:
            composed.left_out[pk] = ("merge_error", unknown.name[:200])
        except TemplateError as problem:
            composed.left_out[pk] = ("merge_error", str(problem)[:200])
    return composed
