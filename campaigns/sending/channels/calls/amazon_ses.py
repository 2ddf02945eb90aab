"""Amazon SES's bulk mail: up to 50 people, each with an answer of their own.

The template comes with the call. AWS says that values are not escaped, of a template
language that escapes them by itself; so that both readings give the same bytes, no
value holds a sign that is ever escaped: such signs stand in the template, and mails
that have them in the same places share a call.
"""

import json
import re
from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import Any, Final

from anymail.backends.amazon_ses import AmazonSESV2SendBulkEmailPayload

from campaigns.content.dialects import DIALECTS, Stencil, mark_for
from campaigns.content.render import CompiledVariant
from campaigns.sending.channels import (
    Busy,
    Later,
    Misconfigured,
    Receipt,
    Refused,
    Result,
)
from campaigns.sending.channels.calls import Call, Entry, Filled, Write
from campaigns.sending.channels.calls.merged import Merged, Plain, keys_in, spelled
from campaigns.sending.channels.calls.whole import DOUBT, listed

# Of Handlebars, which the template language is.
ESCAPED: Final = re.compile(r"""[&<>"'`=]+""")
# With the template they stay below the megabyte that a call may have.
TEMPLATE_MAX_BYTES: Final = 400_000
# SES's own limit is 262,144 characters.
VALUES_MAX_CHARACTERS: Final = 250_000
KEY_CHARACTERS: Final = 24
BYTES_A_MAIL: Final = 2_000
# One more is the metadata's, and SES takes fifteen.
HEADERS_MOST: Final = 14
_PLAIN_HEADER: Final = re.compile(r"(?:(?!\{\{|\}\})[ -~]){1,800}")
_BRACES: Final = re.compile(r"\{\{|\}\}|\A[{}]|[{}]\Z")

Seams = tuple[str, ...]
# Of each slot: subject, HTML, text.
Shape = tuple[tuple[Seams, ...], tuple[Seams, ...], tuple[Seams, ...]]

# What SES says of an entry that it did not take.
_ACCOUNT: Final = {
    "ACCOUNT_SENDING_PAUSED",
    "ACCOUNT_SUSPENDED",
    "CONFIGURATION_SET_NOT_FOUND",
    "CONFIGURATION_SET_SENDING_PAUSED",
    "INVALID_SENDING_POOL_NAME",
    "MAIL_FROM_DOMAIN_NOT_VERIFIED",
    "TEMPLATE_NOT_FOUND",
}
_THROTTLED: Final = {"ACCOUNT_THROTTLED", "ACCOUNT_DAILY_QUOTA_EXCEEDED"}
_THIS_MAIL: Final = {"FAILED", "INVALID_PARAMETER", "MESSAGE_REJECTED"}
_TRANSIENT: Final = "TRANSIENT_FAILURE"
LATER_SECONDS: Final = 300.0


class _Payload(Plain, AmazonSESV2SendBulkEmailPayload):
    """Anymail's, with the template's words instead of its name."""

    def init_payload(self) -> None:
        super().init_payload()
        self.words: dict[str, str] = {}
        self.shared: dict[str, str] = {}

    def set_subject(self, subject: str) -> None:
        self.words["Subject"] = subject

    def set_html_body(self, body: str) -> None:
        self.words["Html"] = body

    def set_text_body(self, body: str) -> None:
        self.words["Text"] = body

    def set_merge_global_data(self, merge_global_data: dict[str, str]) -> None:
        # AWS does not say that values of all and of one are put together.
        self.shared = merge_global_data

    def finalize_payload(self) -> None:
        self.merge_data = {
            address: {**self.shared, **own} for address, own in self.merge_data.items()
        }
        super().finalize_payload()
        template = {"TemplateContent": self.words, "TemplateData": "{}"}
        self.params["DefaultContent"] = {"Template": template}


class AmazonSes(Merged):
    most, most_bytes = 50, 500_000
    dialect = "amazon_ses"
    payload = _Payload

    def bytes_of(self, mail: Filled) -> int:
        values = len(json.dumps(json.dumps(_own(mail))))
        return values + KEY_CHARACTERS * _pieces(mail) + BYTES_A_MAIL

    def fits(self, mail: Filled) -> bool:
        own = _own(mail)
        characters = len(json.dumps(own)) + KEY_CHARACTERS * _pieces(mail)
        return (
            characters <= VALUES_MAX_CHARACTERS
            and _template_bytes(mail.variant) <= TEMPLATE_MAX_BYTES
            and len(mail.headers) <= HEADERS_MOST
            and all(map(_PLAIN_HEADER.fullmatch, mail.headers.values()))
            and not any(map(_BRACES.search, own))
        )

    def kind(self, mail: Filled) -> Hashable:
        return _shape(mail)

    def stencils(self, mail: Filled) -> tuple[Stencil, Stencil, Stencil]:
        return _stencils(mail.variant, _shape(mail))

    def values(
        self, mail: Filled
    ) -> tuple[Sequence[str], Sequence[str], Sequence[str]]:
        return _pieces_of([mail.subject]), _pieces_of(mail.html), _pieces_of(mail.text)

    def post(
        self, connection: Any, write: Write, mails: Sequence[Filled], *, key: str
    ) -> list[Result]:
        message = self._message(write, mails)
        payload = self.payload(message, connection.send_defaults, connection)
        # Anymail would read one answer that all have in common as the whole call's.
        answer = connection.post_to_esp(payload, message)
        told = answer.get("BulkEmailEntryResults") if isinstance(answer, dict) else None
        entries = listed(told, len(mails))
        return [DOUBT] * len(mails) if entries is None else [*map(_one, entries)]

    def entries(self, request: dict[str, Any]) -> list[Entry]:
        words = request["DefaultContent"]["Template"]["TemplateContent"]
        keys = keys_in(words["Subject"], words["Html"], words["Text"])
        return [_entry(one, keys) for one in request["BulkEmailEntries"]]


def _own(mail: Filled) -> list[str]:
    return [mail.subject, *mail.html, *mail.text]


def _pieces(mail: Filled) -> int:
    return sum(len(ESCAPED.findall(value)) + 1 for value in _own(mail))


def _pieces_of(values: Sequence[str]) -> list[str]:
    return [piece for value in values for piece in ESCAPED.split(value)]


def _shape(mail: Filled) -> Shape:
    """The signs that may be escaped, slot by slot."""
    return _seams([mail.subject]), _seams(mail.html), _seams(mail.text)


def _seams(values: Sequence[str]) -> tuple[Seams, ...]:
    return tuple(tuple(ESCAPED.findall(value)) for value in values)


def _opened(static: Sequence[str], shape: tuple[Seams, ...]) -> list[str]:
    """Static text with the signs of a slot in it; more slots, of less each."""
    opened = [static[0]]
    for seams, text in zip(shape, static[1:], strict=True):
        opened += [*seams, text]
    return opened


@lru_cache(maxsize=256)
def _stencils(
    variant: CompiledVariant, shape: Shape
) -> tuple[Stencil, Stencil, Stencil]:
    dialect = DIALECTS["amazon_ses"]
    html, text = variant.html.static, variant.text.static
    mark = mark_for(variant.sha256, [*html, *text])
    of_subject, of_html, of_text = shape
    return spelled(
        dialect,
        mark,
        _opened(("", ""), of_subject),
        _opened(html, of_html),
        _opened(text, of_text),
    )


@lru_cache(maxsize=64)
def _template_bytes(variant: CompiledVariant) -> int:
    return len(json.dumps([*variant.html.static, *variant.text.static]))


def _one(entry: Any) -> Result:
    status = entry.get("Status") if isinstance(entry, dict) else None
    if status == "SUCCESS":
        return Receipt(str(entry.get("MessageId") or "")[:200])
    says = f"SES says {status}"
    if status in _THIS_MAIL:
        return Refused("not_sent_bad", says)
    if status in _ACCOUNT:
        return Misconfigured("not_sent_bad", says)
    if status in _THROTTLED:
        return Busy("not_sent_throttle", says)
    if status == _TRANSIENT:
        return Later("later", says, LATER_SECONDS)
    return DOUBT


def _entry(one: Any, keys: set[str]) -> Entry:
    if set(one["Destination"]) != {"ToAddresses"}:
        raise ValueError("somebody else gets it, too")
    [address] = one["Destination"]["ToAddresses"]
    template = one["ReplacementEmailContent"]["ReplacementTemplate"]
    if not keys <= set(json.loads(template["ReplacementTemplateData"])):
        raise ValueError("a value is missing")
    headers = {header["Name"]: header["Value"] for header in one["ReplacementHeaders"]}
    return Entry.of_headers(address, headers)


def build() -> Call:
    return AmazonSes()
