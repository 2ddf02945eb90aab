"""Postmark's batch: up to 500 whole messages, each with an answer of its own.

Its answer has the order of the messages; a message that it refuses stops no other.
"""

import json
from collections.abc import Sequence
from typing import Any

from anymail.backends.postmark import PostmarkPayload

from campaigns.sending.channels import Receipt, Refused, Result
from campaigns.sending.channels.calls import Call, Entry, Filled
from campaigns.sending.channels.calls.whole import (
    DOUBT,
    Joined,
    Whole,
    listed,
    nobody,
)


class _Payload(Joined, PostmarkPayload):
    def get_api_endpoint(self) -> str:
        return "email/batch"

    def serialize_data(self) -> Any:
        return self.all_written()


class Postmark(Whole):
    # Postmark takes 50 MB, but what leaves is held three times on its way.
    most, most_bytes = 500, 8_000_000
    payload = _Payload

    def read(self, answer: Any, mails: Sequence[Filled], response: Any) -> list[Result]:
        if response.status_code == 422:
            raise nobody(response)
        entries = listed(answer, len(mails))
        if entries is None:
            return [DOUBT] * len(mails)
        return [_one(entry, mail) for entry, mail in zip(entries, mails, strict=True)]

    def entries(self, request: dict[str, Any]) -> list[Entry]:
        return [_entry(one) for one in json.loads(request["data"])]


def _one(entry: Any, mail: Filled) -> Result:
    if not isinstance(entry, dict):
        return DOUBT
    # Postmark leaves it away when it takes a mail and may be late with it.
    code = entry.get("ErrorCode", 0 if entry.get("MessageID") else None)
    if code == 0:
        if str(entry.get("To", mail.address)).casefold() != mail.address.casefold():
            return DOUBT
        if "inactive addresses" in str(entry.get("Message", "")):
            return Refused("rejected", "Postmark does not mail this address any more")
        return Receipt(str(entry.get("MessageID") or "")[:200])
    if code == 406:
        return Refused("rejected", "Postmark does not mail this address any more")
    if code == 300 and "'To'" in str(entry.get("Message", "")):
        return Refused("invalid", "Postmark can't read this address")
    if isinstance(code, int):
        return Refused("not_sent_bad", f"Postmark's error {code}")
    return DOUBT


def _entry(one: Any) -> Entry:
    headers = {header["Name"]: header["Value"] for header in one["Headers"]}
    return Entry(
        one["To"],
        one["Metadata"]["d"],
        headers["List-Unsubscribe"],
        headers["List-Unsubscribe-Post"],
    )


def build() -> Call:
    return Postmark()
