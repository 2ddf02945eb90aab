"""Many mails in one call of a provider: CALLS, one file a provider.

A call is built by Anymail's own payloads and looked at once more before it leaves: for
each mail one address, our id and both headers of the way out, in the order of the
mails. Who is not in here sends one mail a call.
"""

import json
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, NamedTuple, Protocol

from campaigns.content.render import CompiledVariant
from campaigns.sending.channels import Envelope, InDoubt, Result

# name: where its build() is.
CALLS: Final = {
    "amazon_ses": "campaigns.sending.channels.calls.amazon_ses",
    "brevo": "campaigns.sending.channels.calls.brevo",
    "mailgun": "campaigns.sending.channels.calls.mailgun",
    "mailjet": "campaigns.sending.channels.calls.mailjet",
    "postmark": "campaigns.sending.channels.calls.postmark",
    "resend": "campaigns.sending.channels.calls.resend",
    "sendgrid": "campaigns.sending.channels.calls.sendgrid",
    "sparkpost": "campaigns.sending.channels.calls.sparkpost",
}

# What every backend writes back as it got it; others travel alone.
PLAIN_ADDRESS: Final = re.compile(
    r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@[a-z0-9-]+(?:\.[a-z0-9-]+)*"
)
# Providers that answer a call made twice under one key as one: for so many seconds.
# Brevo's pages name 15 and 30 minutes; the shorter counts. Source: sending.md 1.4.
KEY_SECONDS: Final = {"brevo": 900.0, "resend": 86_400.0}
# Some were taken and some were not, says an answer that names nobody (T10).
MIXED: Final = InDoubt("accepted_unparsed", "some were refused, and nobody is named")


@dataclass(frozen=True, slots=True)
class Filled:
    """One mail: its variant, and what in it is this customer's own.

    html, text: what goes into the slots.
    """

    envelope: Envelope
    variant: CompiledVariant
    subject: str
    html: list[str]
    text: list[str]
    headers: dict[str, str]

    @property
    def address(self) -> str:
        return self.envelope.address

    @property
    def public_id(self) -> int:
        return self.envelope.public_id

    @property
    def characters(self) -> int:
        """Of what is this customer's own."""
        return len(self.subject) + sum(map(len, self.html)) + sum(map(len, self.text))


class Entry(NamedTuple):
    """What a built call says of one recipient."""

    address: str
    public_id: str
    unsubscribe: str
    post: str

    @classmethod
    def of_headers(cls, address: str, headers: Mapping[str, str]) -> "Entry":
        """headers: where Anymail puts metadata in one of them, too."""
        return cls(
            address,
            json.loads(headers["X-Metadata"])["d"],
            headers["List-Unsubscribe"],
            headers["List-Unsubscribe-Post"],
        )


class Write(Protocol):
    """Makes the message that Anymail gets."""

    def __call__(
        self,
        variant: CompiledVariant,
        *,
        to: list[str],
        subject: str,
        html: str,
        text: str,
        headers: dict[str, str],
    ) -> Any: ...


def whole_message(write: Write, mail: Filled) -> Any:
    """What Anymail gets of a mail that says everything by itself."""
    message = write(
        mail.variant,
        to=[mail.address],
        subject=mail.subject,
        html=mail.variant.html.filled(mail.html),
        text=mail.variant.text.filled(mail.text),
        headers=mail.headers,
    )
    # A test mail stands for no message and has no id to be known by.
    if mail.public_id:
        message.metadata = mail.envelope.metadata
    return message


class Usual:
    """A way to take many mails, as most are: all are of one kind, and none is alone."""

    def fits(self, mail: Filled) -> bool:
        return True

    def kind(self, mail: Filled) -> Hashable:
        return None

    def alone(self, write: Write, mail: Filled) -> Any:
        return whole_message(write, mail)


class Call(Protocol):
    """One provider's way to take many mails at once."""

    # Recipients and bytes of one call.
    most: int
    most_bytes: int

    def bytes_of(self, mail: Filled) -> int:
        """What this mail adds to a call: never less."""

    def fits(self, mail: Filled) -> bool:
        """False for a mail that must travel alone."""

    def kind(self, mail: Filled) -> Hashable:
        """Mails of one call are of one kind."""

    def alone(self, write: Write, mail: Filled) -> Any:
        """What Anymail gets of a mail that travels alone."""

    def post(
        self, connection: Any, write: Write, mails: Sequence[Filled], *, key: str
    ) -> list[Result]:
        """One request; a result for each mail. Raises what Anymail raises.

        key: the same for the same mails of the same hand-over only.
        """

    def entries(self, request: dict[str, Any]) -> list[Entry]:
        """What a request that is about to leave says, recipient by recipient.

        request: as requests takes it. Raises KeyError, TypeError or ValueError where
        it does not have the form it should have.
        """

    def leaving(self, request: dict[str, Any]) -> dict[str, Any]:
        """The same request as it leaves, once it was looked at."""


class Repeatable(Call, Protocol):
    """The call of a provider in KEY_SECONDS."""

    def again(
        self, connection: Any, body: bytes, *, key: str, mails: int
    ) -> list[Result]:
        """The same request once more; a result for each of so many mails.

        Raises what Anymail raises.
        """


def call_of(provider: str) -> Call:
    """How this provider takes many mails. Raises KeyError if it does not."""
    build: Callable[[], Call] = import_module(CALLS[provider]).build
    return build()
