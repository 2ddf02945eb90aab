"""Resend's batch: up to 100 whole messages, taken or refused together."""

import json
from collections.abc import Sequence
from typing import Any

from anymail.backends.resend import ResendPayload

from campaigns.sending.channels import Receipt, Result
from campaigns.sending.channels.calls import Call, Entry
from campaigns.sending.channels.calls.whole import DOUBT, Joined, Whole, listed


class _Payload(Joined, ResendPayload):
    key_header = "Idempotency-Key"

    def get_api_endpoint(self) -> str:
        return "emails/batch"

    def serialize_data(self) -> Any:
        self.headers[self.key_header] = self.key
        return self.all_written()


class Resend(Whole):
    most, most_bytes = 100, 20_000_000
    payload = _Payload

    def read(self, answer: Any, mails: Sequence[Any], response: Any) -> list[Result]:
        data = answer.get("data") if isinstance(answer, dict) else None
        entries = listed(data, len(mails))
        ids = [one.get("id") for one in entries or () if isinstance(one, dict)]
        # Ids come by order alone: one that is missing leaves them all in doubt.
        if len(ids) != len(mails) or not all(ids):
            return [DOUBT] * len(mails)
        return [Receipt(str(one)[:200]) for one in ids]

    def entries(self, request: dict[str, Any]) -> list[Entry]:
        return [_entry(one) for one in json.loads(request["data"])]


def _entry(one: Any) -> Entry:
    [address] = one["to"]
    return Entry.of_headers(address, one["headers"])


def build() -> Call:
    return Resend()
