"""One mail to oneself, through the same provider as the real ones."""

from django.conf import settings

from campaigns.content.render import CompiledVariant, RecipientContext
from campaigns.errors import CampaignsError
from campaigns.sending import instance
from campaigns.sending.channels import Envelope, Receipt, channel_for


class NotTaken(CampaignsError):
    """The provider did not take a test mail."""


def send_test_mail(
    variant: CompiledVariant, context: RecipientContext, *, to: str
) -> str:
    """Hand over one mail that no message stands for; returns the provider's id.

    Raises NotTaken with the provider's reason, InvalidAddress for an address that
    can't get mail, AnotherInstance.
    """
    instance.guard()
    channel = channel_for(settings.PROVIDER)
    try:
        envelope = Envelope.of_no_message(to)
        result = channel.hand_over([channel.compose(envelope, variant, context)])[0]
    finally:
        channel.close()
    if isinstance(result, Receipt):
        return result.provider_message_id
    raise NotTaken(
        f"The test mail was not taken: {result.detail or result.reason}. "
        "Look at ATTUNE_PROVIDER and its options."
    )
