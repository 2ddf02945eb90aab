"""What is logged: ids and states, as lines for people or as JSON for machines.

A library's error may name an address, a row or a whole mail. So nothing that looks like
an address, a secret or a feeling leaves here, whoever logs it, and of the errors that
carry such a thing only their kind is told.
"""

import json
import logging
import re
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from types import TracebackType
from typing import Any, Final

ADDRESS: Final = "[address]"
FEELING: Final = "[feeling]"
SECRET: Final = "[secret]"  # noqa: S105  what stands where one was
WORDS_OF_AN_ERROR: Final = 500
# Whose errors say what was to be written or sent.
_TELL_ROWS: Final = {"django.db", "psycopg", "psycopg2", "sqlite3"}
_TELL_MAIL: Final = {"anymail", "botocore", "boto3"}
_HOUSE: Final = {"customers", "segmentation", "campaigns", "engagement", "demo"}
_AT: Final = r"(?:@|%40|\\u0040)"
_ADDRESS: Final = re.compile(
    rf"(?:\"[^\"\n]{{1,64}}\"|[^\s<>\"'(),;:\[\]{{}}|=@]{{1,128}}){_AT}"
    r"(?:\[[^\]\s]{1,64}\]|(?:[\w-]{1,63}\.)+[\w-]{2,63})"
)
_LOGIN: Final = re.compile(r"(?<=://)[^/\s@]{0,400}@")
# Signed: whoever has one may unsubscribe somebody. In paths and in return paths.
_TOKEN: Final = re.compile(r"(/[ocvup]/)[\w-]{20,}|(\+)[a-z2-7]{37}\b")
_BEARER: Final = re.compile(r"\b(Bearer|Basic) [\w.~+/=-]{8,}")
# As sentences of the house name them: "batch 12 of send 3".
_IDS: Final = re.compile(
    r"\b(send|batch|message|campaign|webhook call|audience count) (\d+)\b",
    re.IGNORECASE,
)
_FIELDS: Final = ("send_id", "batch_id", "message_id", "campaign_id", "lane")


class PlainFormatter(logging.Formatter):
    """A line a record, then what went wrong where something did."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{record.levelname} {record.name}: {_said(record)}"
        return masked("\n".join([line, *_errors(record)]))


class JsonFormatter(logging.Formatter):
    """An object a line: time, level, logger, message, ids, error."""

    def format(self, record: logging.LogRecord) -> str:
        said = masked(_said(record))
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": said,
            "process": record.process,
        }
        for what, number in _IDS.findall(said):
            fields.setdefault(f"{what.lower().replace(' ', '_')}_id", int(number))
        # What was given as a field goes before what stands in the sentence.
        given = {name: record.__dict__.get(name) for name in _FIELDS}
        fields |= {name: value for name, value in given.items() if value is not None}
        errors = "\n".join(_errors(record))
        if errors:
            fields["error"] = masked(errors)
        return json.dumps(fields, default=lambda one: type(one).__name__)


def masked(text: str) -> str:
    """The text without addresses, secrets and feelings."""
    text = _LOGIN.sub(f"{SECRET}@", text)
    text = _BEARER.sub(rf"\1 {SECRET}", text)
    text = _TOKEN.sub(rf"\1\2{SECRET}", text)
    text = _ADDRESS.sub(ADDRESS, text)
    return _feelings().sub(FEELING, text)


def in_words(error: BaseException) -> str:
    """An error as it may be told: its kind, and its words where they tell of nobody."""
    kind = type(error)
    named = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    words = _words(error)
    return f"{named}: {words}" if words else named


def _words(error: BaseException) -> str:
    homes = {one.__module__ for one in type(error).__mro__}
    roots = {home.split(".")[0] for home in homes}
    if roots & _TELL_MAIL:
        code = getattr(error, "status_code", None)
        return f"status {code}" if isinstance(code, int) else ""
    text = str(error)
    if roots & _TELL_ROWS or any(home.startswith("django.db") for home in homes):
        if type(error).__name__ == "DataError":
            return ""  # it quotes what did not fit
        text = text.split("\n", 1)[0]  # the lines below show the row
    return masked(" ".join(text.split()))[:WORDS_OF_AN_ERROR]


def _said(record: logging.LogRecord) -> str:
    """The sentence; an error among its values is told as errors are, our own by their
    words alone."""
    if isinstance(record.args, tuple):
        told = tuple(_told(one) for one in record.args)
        try:
            return str(record.msg) % told if told else str(record.msg)
        except (TypeError, ValueError):
            return str(record.msg)
    return record.getMessage()


def _told(value: object) -> object:
    if not isinstance(value, BaseException):
        return value
    ours = type(value).__module__.split(".")[0] in _HOUSE
    return _words(value) if ours else in_words(value)


def _errors(record: logging.LogRecord) -> Iterator[str]:
    if record.exc_info and record.exc_info[1] is not None:
        yield from _trace(record.exc_info[1])
    if record.stack_info:
        yield record.stack_info


def _trace(error: BaseException) -> Iterator[str]:
    """Where it came from, first causes first: lines of code, no values."""
    seen: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in seen:
        seen.append(one)
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    for one in reversed(seen):
        yield from _frames(one.__traceback__)
        yield in_words(one)


def _frames(trace: TracebackType | None) -> Iterator[str]:
    for line in traceback.format_tb(trace):
        yield line.rstrip("\n")


@cache
def _feelings() -> re.Pattern[str]:
    # Not above: settings name this module before anything else is loaded.
    from campaigns.content.designs import TONES
    from segmentation.emotion.families import FAMILIES, FAMILY_LABELS

    words = {*FAMILIES, *(one for labels in FAMILY_LABELS.values() for one in labels)}
    words |= {one for tone in TONES for one in (tone.key, tone.segment)}
    return re.compile(rf"\b(?:{'|'.join(sorted(words))})\b", re.IGNORECASE)
