"""What a provider is reached by: is it somebody else's, and by which settings?"""

import hashlib
import json
import re
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings

from campaigns.sending.channels.anymail import OUTBOX, OUTBOX_BACKEND, PROVIDERS
from campaigns.sending.smtp_client import read_smtp_url

SMTP: Final = "smtp"
# They take every mail and hand it to nobody.
_TO_NOBODY: Final = {
    OUTBOX_BACKEND,
    *(
        f"django.core.mail.backends.{name}.EmailBackend"
        for name in ("console", "dummy", "filebased", "locmem")
    ),
    *(f"anymail.backends.{name}.EmailBackend" for name in ("console", "test")),
}
# What opens an account is none of what it is; a new key is no other provider.
_SECRET: Final = re.compile("key|token|secret|password|credential", re.IGNORECASE)
# Of no consequence to what a mail looks like, or to who gets it.
_BESIDE: Final = {"REQUESTS_TIMEOUT", "DEBUG_API_REQUESTS"}
_OPTIONS_OF_SES: Final = ("AMAZON_SES_CLIENT_PARAMS", "AMAZON_SES_SESSION_PARAMS")


def delivers_nothing(backend: str) -> bool:
    """Whether what this backend of Django's takes leaves for nobody's mailbox."""
    return backend in _TO_NOBODY


def backend_of(provider: str) -> str:
    """The backend that its mails leave by; SMTP is spoken without one."""
    if provider in (OUTBOX, SMTP):
        return {OUTBOX: OUTBOX_BACKEND, SMTP: SMTP}[provider]
    return f"anymail.backends.{provider}.EmailBackend"


def stays_here(provider: str) -> str:
    """Why none of its mail leaves this machine, in words; "" where it does leave.

    Raises ProviderMisconfigured.
    """
    if delivers_nothing(backend_of(provider)):
        return f"{provider} delivers nothing"
    host = _host(provider)
    if _is_this_machine(host):
        return f"{provider} is on this machine, at {host}"
    return ""


def fingerprint(provider: str) -> str:
    """SHA-256 of the settings that it is reached by, without what is secret.

    Raises ProviderMisconfigured.
    """
    known = {"backend": backend_of(provider), "options": _options(provider)}
    written = json.dumps(known, sort_keys=True, default=str)
    return hashlib.sha256(written.encode()).hexdigest()


def _host(provider: str) -> str:
    """Where it is, as far as the settings name a place of their own."""
    if provider == SMTP:
        return read_smtp_url(settings.SMTP_URL).host
    options = settings.ANYMAIL
    url = options.get(f"{provider.upper()}_API_URL", "")
    if provider == "amazon_ses":
        url = options.get(_OPTIONS_OF_SES[0], {}).get("endpoint_url", "")
    try:
        return urlsplit(str(url)).hostname or ""
    except ValueError:
        return ""


def _is_this_machine(host: str) -> bool:
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _options(provider: str) -> dict[str, Any]:
    if provider == SMTP:
        server = read_smtp_url(settings.SMTP_URL)
        known = server._replace(password="", connections=1)._asdict()
        return {**known, "return_path": str(settings.BOUNCE_ADDRESS or "")}
    others = tuple(f"{one.upper()}_" for one in PROVIDERS if one != provider)
    return {
        name: _told(value)
        for name, value in settings.ANYMAIL.items()
        if not (name in _BESIDE or name.startswith(others) or _SECRET.search(name))
    }


def _told(value: Any) -> Any:
    """The same without what is secret within it."""
    if isinstance(value, dict):
        named = {str(name): one for name, one in value.items()}
        return {
            name: _told(one) for name, one in named.items() if not _SECRET.search(name)
        }
    if isinstance(value, list | tuple):
        return [_told(one) for one in value]
    if isinstance(value, str) and "@" in value and "://" in value:
        scheme, _, rest = value.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}"
    return value
