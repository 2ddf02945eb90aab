"""Mailgun's recipient variables: up to 1,000 people and 25 MB, all or nobody."""

import json
from typing import Any

from campaigns.sending.channels.calls import Call, Entry
from campaigns.sending.channels.calls.merged import Merged


class Mailgun(Merged):
    most, most_bytes = 1_000, 25_000_000
    dialect = "mailgun"

    def entries(self, request: dict[str, Any]) -> list[Entry]:
        data = request["data"]
        variables = json.loads(data["recipient-variables"])
        for name in ("v:d", "h:List-Unsubscribe", "h:List-Unsubscribe-Post"):
            if data[name] != f"%recipient.{name}%":
                raise ValueError(f"{name} is not told by recipient")
        if set(variables) != set(data["to"]):
            raise ValueError("variables and addresses differ")
        return [
            Entry(
                address,
                variables[address]["v:d"],
                variables[address]["h:List-Unsubscribe"],
                variables[address]["h:List-Unsubscribe-Post"],
            )
            for address in data["to"]
        ]


def build() -> Call:
    return Mailgun()
