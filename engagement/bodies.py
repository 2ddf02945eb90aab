"""What a provider posted, before Anymail reads it: cut into its events, and put right
where Anymail would stumble. Pure.

Anymail takes fields to be there and to be of one type. Some providers leave one out,
say null, write a time as text or in milliseconds, or hand back, in the place of what
Attune gave them, what other programs of the same account put there: "spam" from a mail
of the till is a no all the same. What nobody can make sense of is left as it is.
Source: the providers' own descriptions of what they post; anymail.webhooks.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs, urlencode

Said = dict[str, Any]
FORM: Final = "application/x-www-form-urlencoded"
FORM_FIELD: Final = "mandrill_events"
# Where providers that post several events at once keep them.
EVENTS: Final = "events"
BY_USER: Final = "events_by_user"
# Seconds since 1970 have eleven digits from the year 5138 on.
MILLISECONDS_FROM: Final = 1e11


def pieces(body: bytes, content_type: str) -> Iterator[bytes]:
    """The same call, an event at a time; nothing where it is no list of events."""
    try:
        field, said = _opened(body, content_type)
    except ValueError:
        return
    alone: list[Any] = []
    if isinstance(said, list):
        alone = [[one] for one in said]
    elif isinstance(said, dict) and isinstance(said.get(EVENTS), list):
        alone = [said | {EVENTS: [one]} for one in said[EVENTS]]
    elif isinstance(said, dict) and isinstance(said.get(BY_USER), list):
        alone = [
            said | {BY_USER: [user | {EVENTS: [one]}]}
            for user in said[BY_USER]
            for one in user[EVENTS]
        ]
    for one in alone:
        yield _closed(field, one)


def mended(provider: str, body: bytes, content_type: str, *, at: datetime) -> bytes:
    """The same call as Anymail can read it; the body itself where nothing was wrong.

    provider: its name in paths, "amazon_ses". at: when it came, for a provider whose
    reports Anymail can't read without a time.
    """
    try:
        field, said = _opened(body, content_type)
        better = _without_nulls(said)
        mend = _MEND.get(provider)
        if provider == "amazon_ses":
            better = _inside_a_notification(better)
        elif mend is not None:
            for event in _events(provider, better):
                if isinstance(event, dict):
                    mend(event, at)
    except (ValueError, LookupError, TypeError, AttributeError):
        return body  # of another form: Anymail says in which place
    return body if better == said else _closed(field, better)


def _opened(body: bytes, content_type: str) -> tuple[str, Any]:
    """The field of a form that holds the events, or "", and what was said in JSON.

    Raises ValueError if there is no JSON.
    """
    if not content_type.startswith(FORM):
        return "", json.loads(body.decode())
    fields = parse_qs(body.decode())
    if FORM_FIELD not in fields:
        raise ValueError("Of forms only Mandrill's have JSON in them.")
    return FORM_FIELD, json.loads(fields[FORM_FIELD][0])


def _closed(field: str, said: Any) -> bytes:
    text = json.dumps(said)
    return (urlencode({field: text}) if field else text).encode()


def _without_nulls(said: Any) -> Any:
    """A field of nothing is a field that is not there, which Anymail looks for."""
    if isinstance(said, dict):
        return {
            name: _without_nulls(value)
            for name, value in said.items()
            if value is not None
        }
    return [_without_nulls(one) for one in said] if isinstance(said, list) else said


def _events(provider: str, said: Any) -> Iterator[Any]:
    if isinstance(said, list):
        for one in said:
            # SparkPost keeps each under the name of its class.
            yield from one["msys"].values() if provider == "sparkpost" else (one,)
    elif BY_USER in said:
        for user in said[BY_USER]:
            yield from (one.get("event_data") for one in user[EVENTS])
    else:
        yield from said.get(EVENTS, (said,))


def _inside_a_notification(said: Said) -> Said:
    """SNS carries what SES says as text. A null in there is none, either."""
    try:
        inner = json.loads(said["Message"])
    except ValueError:
        return said  # a topic says in a sentence that it is ready
    better = _without_nulls(inner)
    if isinstance(bounce := better.get("bounce"), dict):
        bounce.setdefault("bounceSubType", "Undetermined")
    return said if better == inner else said | {"Message": json.dumps(better)}


def _brevo(event: Said, at: datetime) -> None:
    _object_as_text(event, "X-Mailin-custom")
    when = event.get("ts_epoch")
    when = _number(when) if isinstance(when, str) else when
    if isinstance(when, (int, float)):
        event["ts_epoch"] = when if when >= MILLISECONDS_FROM else when * 1000


def _mailgun(event: Said, at: datetime) -> None:
    _time(event["event-data"], "timestamp")


def _mailjet(event: Said, at: datetime) -> None:
    _object_as_text(event, "Payload")
    _time(event, "time")


def _mailersend(event: Said, at: datetime) -> None:
    # Reports on something else than a mail have no kind of their own.
    event["data"].setdefault("type", event.get("type", ""))


def _mailtrap(event: Said, at: datetime) -> None:
    event.setdefault("message_id", "")
    event.setdefault("timestamp", at.timestamp())
    _time(event, "timestamp")


def _mandrill(event: Said, at: datetime) -> None:
    _time(event, "ts")


def _postal(event: Said, at: datetime) -> None:
    _time(event, "timestamp")


def _postmark(event: Said, at: datetime) -> None:
    _object(event, "Metadata")


def _resend(event: Said, at: datetime) -> None:
    if isinstance(to := event["data"].get("to"), str):
        event["data"]["to"] = [to]


def _sendgrid(event: Said, at: datetime) -> None:
    _time(event, "timestamp")


def _sparkpost(event: Said, at: datetime) -> None:
    _time(event, "timestamp")
    if "rcpt_to" in event:
        event.setdefault("raw_rcpt_to", event["rcpt_to"])
    if "bounce_class" in event:
        event["bounce_class"] = str(event["bounce_class"])


def _unisender_go(event: Said, at: datetime) -> None:
    _object(event, "metadata")
    _object(event, "delivery_info")


_MEND: Final[dict[str, Callable[[Said, datetime], None]]] = {
    "brevo": _brevo,
    "mailersend": _mailersend,
    "mailgun": _mailgun,
    "mailjet": _mailjet,
    "mailtrap": _mailtrap,
    "mandrill": _mandrill,
    "postal": _postal,
    "postmark": _postmark,
    "resend": _resend,
    "sendgrid": _sendgrid,
    # Brevo under its old name.
    "sendinblue": _brevo,
    "sparkpost": _sparkpost,
    "unisender_go": _unisender_go,
}


def _time(event: Said, name: str) -> None:
    when = _seconds(event.get(name))
    if when is not None:
        event[name] = when


def _seconds(when: object) -> float | None:
    """Seconds since 1970, where they were written as text, as a date, or in
    milliseconds; None where they are as they should be, or can't be understood."""
    if isinstance(when, str):
        number = _number(when)
    elif isinstance(when, (int, float)):
        number = float(when)
        if number < MILLISECONDS_FROM:
            return None
    else:
        return None
    if number is None:
        return None
    return number / 1000 if number >= MILLISECONDS_FROM else number


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _object(event: Said, name: str) -> None:
    """Some write an empty object as an empty list."""
    if not isinstance(event.get(name, {}), dict):
        del event[name]


def _object_as_text(event: Said, name: str) -> None:
    """What is no object in JSON is none of ours, and is left out."""
    said = event.get(name)
    if isinstance(said, str):
        try:
            said = json.loads(said)
        except ValueError:
            said = None
        if isinstance(said, dict):
            return
    event.pop(name, None)
    if isinstance(said, dict):
        event[name] = json.dumps(said)
