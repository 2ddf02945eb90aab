"""Mailjet's send: up to 50 whole messages, each with an answer of its own.

One that it refuses makes the whole answer a 4xx and stops no other. Template language
stays off, so that no text is code.
"""

import json
from collections.abc import Sequence
from typing import Any

from anymail.backends.mailjet import MailjetPayload

from campaigns.sending.channels import Receipt, Refused, Result
from campaigns.sending.channels.calls import Call, Entry, Filled
from campaigns.sending.channels.calls.whole import (
    DOUBT,
    Joined,
    Whole,
    listed,
    nobody,
)

INVALID_ADDRESS = "mj-0013"


class _Payload(Joined, MailjetPayload):
    def whole(self) -> Any:
        [message] = self.data["Messages"]
        return {**self.data["Globals"], **message}

    def serialize_data(self) -> Any:
        return f'{{"Messages": {self.all_written()}}}'


class Mailjet(Whole):
    most, most_bytes = 50, 15_000_000
    payload = _Payload

    def read(self, answer: Any, mails: Sequence[Filled], response: Any) -> list[Result]:
        told = answer.get("Messages") if isinstance(answer, dict) else None
        if told is None and response.status_code >= 400:
            raise nobody(response)
        entries = listed(told, len(mails))
        if entries is None:
            return [DOUBT] * len(mails)
        return [_one(entry, mail) for entry, mail in zip(entries, mails, strict=True)]

    def entries(self, request: dict[str, Any]) -> list[Entry]:
        return [_entry(one) for one in json.loads(request["data"])["Messages"]]


def _one(entry: Any, mail: Filled) -> Result:
    try:
        if entry["Status"] == "success":
            [to] = entry["To"]
            same = to["Email"].casefold() == mail.address.casefold()
            return Receipt(str(to["MessageID"])[:200]) if same else DOUBT
        if entry["Status"] == "error":
            error = entry["Errors"][0]
            code = str(error["ErrorCode"])[:40]
            if not 400 <= int(error["StatusCode"]) < 500:
                return DOUBT
            if code == INVALID_ADDRESS:
                return Refused("invalid", "Mailjet can't read this address")
            return Refused("not_sent_bad", f"Mailjet's error {code}")
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        pass
    return DOUBT


def _entry(one: Any) -> Entry:
    [to] = one["To"]
    headers = one["Headers"]
    return Entry(
        to["Email"],
        json.loads(one["EventPayload"])["d"],
        headers["List-Unsubscribe"],
        headers["List-Unsubscribe-Post"],
    )


def build() -> Call:
    return Mailjet()
