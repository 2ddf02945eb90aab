"""SparkPost's substitution data: up to 2,000 people, counted but never named.

What it answers is how many it took (sending.md 1.2, T10): all or nobody tells of each,
anything between tells of none.
"""

import json
from typing import Any, Final

from anymail.backends.sparkpost import SparkPostPayload

from campaigns.content.dialects import DIALECTS, mark_for
from campaigns.sending.channels import Receipt, Refused, Result
from campaigns.sending.channels.calls import (
    MIXED,
    Call,
    Entry,
    Filled,
    Write,
    whole_message,
)
from campaigns.sending.channels.calls.merged import (
    OWN_HEADERS,
    Merged,
    Plain,
    keys_in,
    spelled,
)

# Where Anymail puts a header that is each recipient's own.
_VARIABLES: Final = {name: f"Header__{name.replace('-', '_')}" for name in OWN_HEADERS}


class _Payload(Plain, SparkPostPayload):
    pass


class Sparkpost(Merged):
    most, most_bytes = 2_000, 20_000_000
    dialect = "sparkpost"
    payload = _Payload

    def result(self, found: Any) -> Result:
        status = getattr(found, "status", None)
        if status == "queued":
            return Receipt(str(found.message_id or "")[:200])
        if status == "rejected":
            return Refused("rejected", "SparkPost took nobody of this call")
        return MIXED

    def alone(self, write: Write, mail: Filled) -> Any:
        """The same dialect is read in a mail that travels alone."""
        html = mail.variant.html.filled(mail.html)
        text = mail.variant.text.filled(mail.text)
        mark = mark_for(mail.variant.sha256, [mail.subject, html, text])
        message = whole_message(write, mail)
        parts = spelled(DIALECTS[self.dialect], mark, (mail.subject,), (html,), (text,))
        constants = {key: one for part in parts for key, one in part.constants.items()}
        if constants:
            message.subject, html, message.body = (part.text for part in parts)
            message.alternatives = [(html, "text/html")]
            message.merge_global_data = constants
        return message

    def entries(self, request: dict[str, Any]) -> list[Entry]:
        data = json.loads(request["data"])
        content = data["content"]
        for name, variable in _VARIABLES.items():
            if content["headers"][name] != f"{{{{{variable}}}}}":
                raise ValueError(f"{name} is not told by recipient")
        shared = data.get("substitution_data", {})
        keys = keys_in(content["subject"], content["html"], content["text"])
        return [_entry(one, keys - set(shared)) for one in data["recipients"]]


def _entry(one: Any, keys: set[str]) -> Entry:
    values, address = one["substitution_data"], one["address"]
    if address["header_to"] != address["email"]:
        raise ValueError("others would be named in it")
    if not keys <= set(values):
        raise ValueError("a value is missing")
    unsubscribe, post = (values[_VARIABLES[name]] for name in OWN_HEADERS)
    return Entry(address["email"], one["metadata"]["d"], unsubscribe, post)


def build() -> Call:
    return Sparkpost()
