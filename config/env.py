"""Typed readers of the environment: a bad value stops the start with one sentence."""

import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from environs import Env

from campaigns.content.return_path import ReturnPath, read_return_path
from campaigns.quiet_hours import QuietHours, hours_of
from engagement.mailbox_url import Mailbox, read_mailbox_url

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_LENGTH = 16
TOPIC = re.compile(r"arn:aws(-cn|-us-gov)?:sns:[a-z0-9-]+:\d{12}:[\w.-]{1,256}")

_env = Env()
_env.read_env(str(BASE_DIR / ".env"), recurse=False)


def _refuse(name: str, needed: str, came: object) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{name} needs {needed}; it is {came!r}.")


def text(name: str, default: str = "") -> str:
    return str(_env.str(name, default)).strip()


def name_of_ours(name: str) -> str:
    value = text(name)
    if value and not re.fullmatch(r"[\w.-]{1,60}", value, re.ASCII):
        needed = "at most 60 letters, digits, dots and dashes, or nothing"
        raise _refuse(name, needed, value)
    return value


def flag(name: str, default: bool) -> bool:
    raw = text(name, "yes" if default else "no").lower()
    if raw in {"1", "true", "yes", "on"}:
        return True
    if raw in {"0", "false", "no", "off"}:
        return False
    raise _refuse(name, "yes or no", raw)


def integer(name: str, default: int, *, least: int, most: int) -> int:
    raw = text(name, str(default))
    try:
        value = int(raw)
    except ValueError:
        raise _refuse(name, f"a whole number from {least} to {most}", raw) from None
    if not least <= value <= most:
        raise _refuse(name, f"a whole number from {least} to {most}", raw)
    return value


def words(name: str, default: str = "") -> list[str]:
    return [part.strip() for part in text(name, default).split(",") if part.strip()]


def topics(name: str) -> list[str]:
    """Addresses of Amazon SNS topics."""
    found = words(name)
    for one in found:
        if not TOPIC.fullmatch(one):
            needed = "topics such as arn:aws:sns:eu-west-1:123456789012:mail"
            raise _refuse(name, needed, one)
    return found


def one_of(name: str, default: str, choices: set[str]) -> str:
    value = text(name, default)
    if value not in choices:
        raise _refuse(name, f"one of {', '.join(sorted(choices))}", value)
    return value


def quiet_hours(name: str, default: str) -> QuietHours | None:
    raw = text(name, default)
    try:
        return hours_of(raw)
    except ValueError:
        needed = "hours such as 21:00-08:00, or nothing for none"
        raise _refuse(name, needed, raw) from None


def return_path(name: str) -> ReturnPath | None:
    raw = text(name)
    try:
        return read_return_path(raw) if raw else None
    except ValueError:
        needed = (
            "an address such as bounces@mail.example.com, with at most 26 letters and "
            "no plus before the @, or @bounces.example.com for a whole domain"
        )
        raise _refuse(name, needed, raw) from None


def mailbox(name: str) -> Mailbox | None:
    raw = text(name)
    try:
        return read_mailbox_url(raw) if raw else None
    except ValueError:
        needed = (
            "an address such as imaps://user:password@mail.example.com/INBOX, signs "
            "such as @ and / in name and password as %40 and %2F"
        )
        raise _refuse(
            name, needed, f"{len(raw)} characters of something else"
        ) from None


def http_address(name: str, default: str) -> str:
    value = text(name, default).rstrip("/")
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query:
        raise _refuse(name, "an address such as https://mail.example.com", value)
    return value


def folder(name: str, default: Path) -> Path:
    path = Path(text(name, str(default))).expanduser()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise _refuse(name, f"a folder that can be written ({problem})", path) from None
    if not os.access(path, os.W_OK):
        raise _refuse(name, "a folder that can be written", str(path))
    return path


def secret(name: str) -> str:
    """A secret that is given or not there; short ones could be guessed."""
    value = text(name)
    if value and len(value) < SECRET_LENGTH:
        needed = f"{SECRET_LENGTH} characters or more, or nothing"
        raise _refuse(name, needed, f"{len(value)} characters")
    return value


def mapping(name: str) -> dict[str, Any]:
    raw = text(name)
    if not raw:
        return {}
    try:
        value = json.loads(raw)
    except ValueError:
        raise _refuse(name, "a JSON object", raw[:40]) from None
    if not isinstance(value, dict):
        raise _refuse(name, "a JSON object", raw[:40])
    return value


def kept_secret(name: str, path: Path) -> str:
    """The secret given, or one made at the first start and kept in a private file.

    Keeping it matters: unsubscribe links in mails already sent are signed with it.
    """
    given = text(name)
    if given:
        return given
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        pass
    import secrets

    fresh = secrets.token_urlsafe(48)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:  # another process was first
        return path.read_text().strip()
    with os.fdopen(descriptor, "w") as file:
        file.write(fresh)
    return fresh
