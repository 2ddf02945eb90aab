"""Brevo's message versions: up to 1,000 in a call, taken or refused together.

Each version has subject, texts, headers and address of its own. What stands above them
is nobody's, so that a version that lost something gets nobody else's words.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

from anymail.backends.brevo import BrevoPayload

from campaigns.sending.channels import Receipt, Result
from campaigns.sending.channels.calls import Call, Entry
from campaigns.sending.channels.calls.stamp import is_marked
from campaigns.sending.channels.calls.whole import DOUBT, Joined, Whole, listed

_OWN: Final = ("to", "subject", "htmlContent", "textContent", "headers")


class _Payload(Joined, BrevoPayload):
    def whole(self) -> Any:
        return {name: self.data[name] for name in _OWN if name in self.data}

    def serialize_data(self) -> Any:
        shared = self.serialize_json(
            {
                **_without_own(self.data),
                "subject": self.data["sender"].get("name") or "News",
                "htmlContent": "<html><body></body></html>",
                "headers": {"idempotencyKey": self.key},
            }
        )
        if is_marked(shared):
            self.unsupported_feature("what differs from mail to mail")
        return f'{shared[:-1]}, "messageVersions": {self.all_written()}}}'


def _without_own(data: dict[str, Any]) -> dict[str, Any]:
    """The sender, and what Anymail's settings add for everyone."""
    return {name: value for name, value in data.items() if name not in _OWN}


class Brevo(Whole):
    most, most_bytes = 1_000, 20_000_000
    payload = _Payload

    def read(self, answer: Any, mails: Sequence[Any], response: Any) -> list[Result]:
        ids = answer.get("messageIds") if isinstance(answer, dict) else None
        found = listed(ids, len(mails))
        # Ids come by order alone: one that is missing leaves them all in doubt.
        if found is None or not all(found):
            return [DOUBT] * len(mails)
        return [Receipt(str(one)[:200]) for one in found]

    def entries(self, request: dict[str, Any]) -> list[Entry]:
        return [_entry(one) for one in json.loads(request["data"])["messageVersions"]]


def _entry(one: Any) -> Entry:
    [to] = one["to"]
    if not {"subject", "htmlContent", "textContent"} <= set(one):
        raise KeyError("a version without its words")
    headers = one["headers"]
    return Entry(
        to["email"],
        json.loads(headers["X-Mailin-custom"])["d"],
        headers["List-Unsubscribe"],
        headers["List-Unsubscribe-Post"],
    )


def build() -> Call:
    return Brevo()
