"""Asking whether mail is taken again, with a mail to the shop's own address."""

from dataclasses import replace
from typing import Final

from campaigns.content.links import InertLinks
from campaigns.content.problems import TemplateError
from campaigns.content.render import CompiledVariant, RecipientContext
from campaigns.content.skeleton import Skeleton
from campaigns.models import Batch
from campaigns.rendering import frozen_variant
from campaigns.sending.channels import Channel, Envelope, Result
from campaigns.sending.claims import Claim
from customers.errors import InvalidAddress

SUBJECT: Final = "Does mail leave again?"
WORDS: Final = (
    "The provider did not answer as it should, so Attune has stopped sending by it. "
    "This mail asks whether it takes mail again; if it does, sending goes on."
)


def ask(claim: Claim, channel: Channel, *, to: str) -> Result | None:
    """Hand over one mail from the sender of this batch; it tells of no customer.

    None if that address can't get mail.
    """
    batch = Batch.objects.select_related("send").get(pk=claim.batch_id)
    variant = frozen_variant(batch.variant_id, batch.send.content_hash)
    try:
        envelope = Envelope.of_no_message(to)
        mail = channel.compose(envelope, _asking(variant), _nobody())
    except (InvalidAddress, TemplateError):
        return None
    return channel.hand_over([mail])[0]


def _asking(variant: CompiledVariant) -> CompiledVariant:
    return replace(
        variant,
        subject=Skeleton(SUBJECT, "line"),
        preheader=Skeleton("", "line"),
        html=Skeleton(f"<p>{WORDS}</p>", "html"),
        text=Skeleton(WORDS, "text"),
        links=(),
    )


def _nobody() -> RecipientContext:
    return RecipientContext(data={}, links=InertLinks())
