"""How mails leave: CHANNELS, and what comes of handing one over.

A channel gets mails one group at a time and answers for each. What it can't tell for
sure it calls in doubt; it never tries again by itself.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, Protocol, Self

from campaigns.content.render import CompiledVariant, RecipientContext
from customers.addresses import address_wire


@dataclass(frozen=True, slots=True)
class Receipt:
    """The provider took it."""

    provider_message_id: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """It surely was not sent and never will be: this address, this mail.

    no_mailbox: there is nobody at this address, says who would know.
    """

    reason: str
    detail: str = ""
    no_mailbox: bool = False


@dataclass(frozen=True, slots=True)
class Later:
    """It surely was not sent; this one mail may be tried again after a while."""

    reason: str
    detail: str = ""
    wait_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Busy:
    """It surely was not sent; the provider wants to be left alone for a while.

    wait_seconds: what the provider asked for, 0 where it did not say.
    """

    reason: str
    detail: str = ""
    wait_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Misconfigured:
    """It surely was not sent; a person has to change something first."""

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class InDoubt:
    """Handed over, and nobody knows if it was accepted."""

    reason: str
    detail: str = ""


Stop = Busy | Misconfigured | InDoubt
Result = Receipt | Refused | Later | Busy | Misconfigured | InDoubt
# After one of these the rest of a group is not handed over.
STOPS: Final = (Busy, Misconfigured, InDoubt)
NOT_REACHED: Final = Busy("not_reached")
# So many mails refused one after the other are not the customers' fault: it stops.
BAD_IN_A_ROW: Final = 5


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One mail, ready to leave. body is the channel's own form of it.

    fingerprint: SHA-256 of what the customer would read, kept with the intent.
    """

    message_id: int
    public_id: int
    send_id: int
    batch_id: int
    address: str
    unsubscribe: str
    fingerprint: str
    body: Any


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a mail is, before it is written."""

    message_id: int
    public_id: int
    send_id: int
    batch_id: int
    address: str
    # Counts the hand-overs of the batch.
    generation: int = 0

    @classmethod
    def of_no_message(cls, address: str) -> Self:
        """Of a mail that stands for none: a test, a probe, a copy for a seed."""
        return cls(0, 0, 0, 0, address_wire(address))

    @property
    def metadata(self) -> dict[str, str]:
        """What a provider is told to know it by; it says so in every event."""
        return {
            "d": str(self.public_id),
            "c": str(self.send_id),
            "b": str(self.batch_id),
        }

    def holding(self, body: Any, *, unsubscribe: str, texts: Sequence[str]) -> Outgoing:
        """The mail, ready to leave. texts: all of what its customer would read."""
        digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()
        return Outgoing(
            self.message_id,
            self.public_id,
            self.send_id,
            self.batch_id,
            self.address,
            unsubscribe,
            digest,
            body,
        )


@dataclass(frozen=True, slots=True)
class LeavingCall:
    """A call that is about to leave. key, body: empty where it can't be repeated."""

    public_ids: tuple[int, ...]
    key: str = ""
    body: bytes = b""


class Channel(Protocol):
    """One way out. Lives as long as its worker and keeps its connection."""

    # Messages of one claim.
    batch_size: int
    # Messages of one intent: as many as one crash can leave in doubt.
    group_size: int
    # The longest a single answer may take.
    timeout_seconds: float

    def compose(
        self, envelope: Envelope, variant: CompiledVariant, context: RecipientContext
    ) -> Outgoing:
        """Write one mail. Raises what content.render.render() raises."""

    def check(self, mail: Outgoing) -> str:
        """Why this mail must not leave as it is, or nothing."""

    def hand_over(self, mails: Sequence[Outgoing]) -> list[Result]:
        """Hand over a group and tell of each, in the same order."""

    def close(self) -> None:
        """Give the connection back."""


# name: where its build() is. The provider's name decides, see channel_for().
CHANNELS: Final = {
    "amazon_ses": "campaigns.sending.channels.many",
    "anymail": "campaigns.sending.channels.anymail",
    "brevo": "campaigns.sending.channels.many",
    "mailgun": "campaigns.sending.channels.many",
    "mailjet": "campaigns.sending.channels.many",
    "outbox": "campaigns.sending.channels.anymail",
    "postmark": "campaigns.sending.channels.many",
    "resend": "campaigns.sending.channels.many",
    "sendgrid": "campaigns.sending.channels.many",
    "smtp": "campaigns.sending.channels.smtp",
    "sparkpost": "campaigns.sending.channels.many",
}


def answers_of(channel: Channel) -> int:
    """The most answers that one group may have to wait for, one after the other."""
    # Who asks one by one waits once a mail; who asks for many says how often at most.
    return int(getattr(channel, "group_answers", channel.group_size))


def channel_for(provider: str) -> Channel:
    """The channel of a provider: outbox, smtp, or any backend of Anymail by its name.

    Raises ProviderMisconfigured with what to change.
    """
    module = import_module(CHANNELS.get(provider, CHANNELS["anymail"]))
    build: Callable[[str], Channel] = module.build
    return build(provider)


def batch_size_of(provider: str) -> int:
    """How many messages are claimed together."""
    module = import_module(CHANNELS.get(provider, CHANNELS["anymail"]))
    size: int = module.BATCH_SIZE
    return size
