"""SendGrid's substitutions: up to 1,000 people, all or nobody.

Anymail supports SendGrid only as long as it works by itself (sending.md 1.2, T9).
"""

import json
from typing import Any, Final

from anymail.backends.sendgrid import SendGridPayload

from campaigns.sending.channels.calls import Call, Entry, Filled
from campaigns.sending.channels.calls.merged import Merged, Plain

# Of one person; half of SendGrid's limit is left for the names of keys.
SUBSTITUTIONS_MAX_BYTES: Final = 5_000


class _Payload(Plain, SendGridPayload):
    pass


class Sendgrid(Merged):
    most, most_bytes = 1_000, 30_000_000
    dialect = "sendgrid"
    payload = _Payload
    extra = {"merge_field_format": "-{}-"}

    def fits(self, mail: Filled) -> bool:
        own = (mail.subject, *mail.html, *mail.text)
        return sum(len(value.encode()) for value in own) <= SUBSTITUTIONS_MAX_BYTES

    def entries(self, request: dict[str, Any]) -> list[Entry]:
        found = []
        for one in json.loads(request["data"])["personalizations"]:
            [to] = one["to"]
            found.append(
                Entry(
                    to["email"],
                    one["custom_args"]["d"],
                    one["headers"]["List-Unsubscribe"],
                    one["headers"]["List-Unsubscribe-Post"],
                )
            )
        return found


def build() -> Call:
    return Sendgrid()
