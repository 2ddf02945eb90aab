"""One text for all, and per recipient what goes into its slots."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from anymail.backends.base import BasePayload
from anymail.utils import EmailAddress

from campaigns.content.dialects import (
    DIALECTS,
    HTML,
    SUBJECT,
    TEXT,
    Dialect,
    Stencil,
    mark_for,
    stencil,
)
from campaigns.content.render import CompiledVariant
from campaigns.sending.channels import InDoubt, Receipt, Result
from campaigns.sending.channels.calls import Entry, Filled, Usual, Write

# Both always together: headers of one recipient may replace all of the others.
OWN_HEADERS: Final = ("List-Unsubscribe", "List-Unsubscribe-Post")
# A character as two escapes of JSON, each of its backslashes escaped for a form.
BYTES_A_CHARACTER: Final = 16
BYTES_A_MAIL: Final = 2_000
PLACEHOLDER: Final = re.compile(r"\{\{\{?(\w+)\}?\}\}")
UNTOLD: Final = InDoubt(
    "accepted_unparsed", "the provider did not say what it did with it"
)


def _addresses(plain: Sequence[str]) -> list[EmailAddress]:
    """Addresses of calls.PLAIN_ADDRESS, which need no grammar to be taken apart."""
    parts = [address.rpartition("@") for address in plain]
    return [EmailAddress(username=name, domain=domain) for name, _, domain in parts]


class Plain:
    """Anymail's payload, but for its way to read addresses: that of any headers, which
    took longer than all else about a call."""

    base_message_attrs: Any = tuple(
        (name, combiner, _addresses if name == "to" else converter)
        for name, combiner, converter in BasePayload.base_message_attrs
    )


class Merged(Usual):
    """What the providers that fill in raw values have in common."""

    most: int
    most_bytes: int
    dialect: str
    payload: type[Any]
    # What Anymail is told besides.
    extra: Mapping[str, Any] | None = None

    def bytes_of(self, mail: Filled) -> int:
        return BYTES_A_CHARACTER * mail.characters + BYTES_A_MAIL

    def entries(self, request: dict[str, Any]) -> list[Entry]:
        raise NotImplementedError

    def leaving(self, request: dict[str, Any]) -> dict[str, Any]:
        return request

    def post(
        self, connection: Any, write: Write, mails: Sequence[Filled], *, key: str
    ) -> list[Result]:
        message = self._message(write, mails)
        payload = self.payload(message, connection.send_defaults, connection)
        response = connection.post_to_esp(payload, message)
        statuses = connection.parse_recipient_status(response, payload, message)
        return [self.result(statuses.get(mail.address)) for mail in mails]

    def result(self, found: Any) -> Result:
        """found: what Anymail says of one, or None."""
        # Those who fill values in take everybody or nobody, and say so of each.
        status = getattr(found, "status", None)
        if status in {"sent", "queued"}:
            return Receipt(str(found.message_id or "")[:200])
        return UNTOLD

    def stencils(self, mail: Filled) -> tuple[Stencil, Stencil, Stencil]:
        """Subject, HTML and text, for all mails of this one's kind."""
        return _stencils(mail.variant, self.dialect)

    def values(
        self, mail: Filled
    ) -> tuple[Sequence[str], Sequence[str], Sequence[str]]:
        """What goes into their slots."""
        return (mail.subject,), mail.html, mail.text

    def _message(self, write: Write, mails: Sequence[Filled]) -> Any:
        """The keys are the very texts in `to`: Anymail finds nobody by another."""
        variant = mails[0].variant
        parts = subject, html, text = self.stencils(mails[0])
        shared = {
            name: value
            for name, value in mails[0].headers.items()
            if name not in OWN_HEADERS
        }
        message = write(
            variant,
            to=[mail.address for mail in mails],
            subject=subject.text,
            html=html.text,
            text=text.text,
            headers=shared,
        )
        message.merge_metadata = {
            mail.address: mail.envelope.metadata for mail in mails
        }
        message.merge_headers = {
            mail.address: {name: mail.headers[name] for name in OWN_HEADERS}
            for mail in mails
        }
        message.merge_data = {
            mail.address: {
                key: value
                for part, values in zip(parts, self.values(mail), strict=True)
                for key, value in zip(part.keys, values, strict=True)
            }
            for mail in mails
        }
        message.merge_global_data = {**html.constants, **text.constants}
        if self.extra is not None:
            message.esp_extra = dict(self.extra)
        return message


@lru_cache(maxsize=64)
def _stencils(variant: CompiledVariant, name: str) -> tuple[Stencil, Stencil, Stencil]:
    """Subject, HTML and text. The subject is one slot: one line, whatever it says."""
    dialect, html, text = DIALECTS[name], variant.html.static, variant.text.static
    mark = mark_for(variant.sha256, [*html, *text])
    return spelled(dialect, mark, ("", ""), html, text)


def spelled(
    dialect: Dialect, mark: str, *static: Sequence[str]
) -> tuple[Stencil, Stencil, Stencil]:
    """static: the texts around the slots of subject, HTML and text."""
    subject, html, text = (
        stencil(texts, dialect, part=part, mark=mark)
        for part, texts in zip((SUBJECT, HTML, TEXT), static, strict=True)
    )
    return subject, html, text


def keys_in(*texts: str) -> set[str]:
    """Of all placeholders of a dialect of braces."""
    return {key for text in texts for key in PLACEHOLDER.findall(text)}
