"""Mails that each say everything, side by side in one request.

Anymail's payload builds one as if it left alone, and the others are stamped after it
(stamp.py): nothing of one can get into another, and the provider fills nothing in.
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from anymail.exceptions import AnymailRequestsAPIError
from django.core.mail import EmailMultiAlternatives

from campaigns.content.render import CompiledVariant
from campaigns.sending.channels import InDoubt, Result
from campaigns.sending.channels.calls import Entry, Filled, Usual, Write
from campaigns.sending.channels.calls.stamp import Stamp, pattern

# A character beyond the first plane is two escapes of six bytes in JSON.
BYTES_A_CHARACTER: Final = 12
# Addresses, headers and names of fields.
BYTES_A_MAIL: Final = 2_000
DOUBT: Final = InDoubt("accepted_unparsed", "the answer does not tell who was taken")


class Joined:
    """Anymail's payload of one mail, which writes all mails of a call."""

    # Set by what this is mixed into.
    data: Any
    headers: Any
    serialize_json: Any
    unsupported_feature: Any

    mails: Sequence[Filled] = ()
    key: str = ""
    # The header the key goes in, where it is one of the request.
    key_header: str = ""

    def whole(self) -> Any:
        """What the provider is told of this one mail."""
        return self.data

    def all_written(self) -> str:
        """All mails of the call, as a list in JSON."""
        try:
            stamp = Stamp(self.serialize_json(self.whole()), self.mails[0])
        except ValueError as problem:
            self.unsupported_feature(str(problem))
            raise
        return f"[{', '.join(map(stamp.of, self.mails))}]"


class Whole(Usual):
    """What the providers of whole messages have in common."""

    most: int
    most_bytes: int
    payload: type[Any]

    def bytes_of(self, mail: Filled) -> int:
        own = BYTES_A_CHARACTER * mail.characters
        return _static_bytes(mail.variant) + own + BYTES_A_MAIL

    def post(
        self, connection: Any, write: Write, mails: Sequence[Filled], *, key: str
    ) -> list[Result]:
        message = pattern(write, mails[0])
        payload = self.payload(message, connection.send_defaults, connection)
        payload.key, payload.mails = key, mails
        response = connection.post_to_esp(payload, message)
        answer = connection.deserialize_json_response(response, payload, message)
        return self.read(answer, mails, response)

    def again(
        self, connection: Any, body: bytes, *, key: str, mails: int
    ) -> list[Result]:
        message = EmailMultiAlternatives(from_email="", to=[])
        payload = _again(self.payload)(message, connection.send_defaults, connection)
        payload.key, payload.body = key, body
        response = connection.post_to_esp(payload, message)
        answer = connection.deserialize_json_response(response, payload, message)
        return self.read(answer, [None] * mails, response)

    def read(self, answer: Any, mails: Sequence[Any], response: Any) -> list[Result]:
        """mails: as they were written; of a call made again only how many."""
        raise NotImplementedError

    def entries(self, request: dict[str, Any]) -> list[Entry]:
        raise NotImplementedError

    def leaving(self, request: dict[str, Any]) -> dict[str, Any]:
        return request


def _again(payload: Any) -> Any:
    """A payload that says what was written when the call left the first time."""

    class Again(payload):
        body: bytes = b""

        def serialize_data(self) -> bytes:
            if self.key_header:
                self.headers[self.key_header] = self.key
            return self.body

    return Again


def nobody(response: Any) -> AnymailRequestsAPIError:
    """The error of an answer that speaks of the whole call."""
    return AnymailRequestsAPIError(response=response)


def listed(answer: Any, count: int) -> list[Any] | None:
    """The answer's entries, if there is one for each mail."""
    if isinstance(answer, list) and len(answer) == count:
        return answer
    return None


@lru_cache(maxsize=64)
def _static_bytes(variant: CompiledVariant) -> int:
    parts = (*variant.html.static, *variant.text.static)
    return sum(len(json.dumps(part)) for part in parts)
