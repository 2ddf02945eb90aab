"""What an error of a provider means for the mail: by code and phase, not by class.

Anymail raises the same class for "never left this machine" and "cut after the request
was sent", and an error for an accepted mail whose answer it can't read. So the status
code decides where there is one, else the chain of causes. Measured: sending.md 1.3.
"""

import ssl
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any, Final

import requests
import urllib3
from anymail.exceptions import AnymailAPIError, AnymailError, AnymailInvalidAddress

from campaigns.sending.channels import Busy, InDoubt, Misconfigured, Refused, Result

# Raised before a byte of the request left: nobody answered the door.
NEVER_CONNECTED: Final = (
    requests.ConnectTimeout,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.NameResolutionError,
    ssl.SSLCertVerificationError,
    ConnectionRefusedError,
)
# The same from botocore, by name: boto3 is an extra.
NEVER_CONNECTED_NAMES: Final = {"EndpointConnectionError", "ConnectTimeoutError"}
# The longest wait we take from a header, in seconds.
LONGEST_WAIT: Final = 3600.0
AUTH: Final = {401, 403}
# About the account or the address of the API, never about one mail: payment required,
# not found, not allowed, gone.
ACCOUNT: Final = {402, 404, 405, 410}
# A request that may have been taken already, or have got there in part.
MAYBE_TAKEN: Final = {408, 409, 499}
MISSING_CREDENTIALS: Final = {"NoCredentialsError", "PartialCredentialsError"}


def classify(error: Exception, *, now_seconds: float) -> Result:
    """The result of one mail whose hand-over raised this error.

    now_seconds: Unix time, to read a Retry-After that names a date.
    """
    if isinstance(error, AnymailInvalidAddress):
        return Refused("invalid", "the provider's library can't read the address")
    if not isinstance(error, AnymailAPIError):
        # Everything else Anymail and Django raise, they raise before the request.
        return Misconfigured("not_sent_build", _first_line(error))
    code = status_code(error)
    if code is None:
        return _without_answer(error)
    if 200 <= code < 300:
        return InDoubt("accepted_unparsed", f"{code}, and an answer nobody can read")
    wait = retry_after(error, now_seconds=now_seconds)
    if code == 429 or (code == 503 and wait is not None):
        return Busy("not_sent_throttle", str(code), wait or 0.0)
    if code in AUTH:
        return Misconfigured(
            "not_sent_auth", f"the provider refused the log-in ({code})"
        )
    if code in ACCOUNT:
        return Misconfigured("not_sent_bad", f"the provider answered {code}")
    if 400 <= code < 500 and code not in MAYBE_TAKEN:
        return Refused("not_sent_bad", f"the provider answered {code}")
    return InDoubt("in_doubt", f"the provider answered {code}")


def status_code(error: AnymailError) -> int | None:
    """The HTTP status of the answer, also where only botocore's dict has it."""
    code = getattr(error, "status_code", None)
    if isinstance(code, int):
        return code
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        code = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return code if isinstance(code, int) else None
    return None


def retry_after(error: AnymailError, *, now_seconds: float) -> float | None:
    """Seconds the provider asked to wait, 0 to an hour; None when it did not."""
    response = getattr(error, "response", None)
    headers = getattr(response, "headers", None) or {}
    if isinstance(response, dict):  # botocore's, whose names are in small letters
        told = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        headers = {"Retry-After": told.get("retry-after", "")}
    value = str(headers.get("Retry-After", "")).strip()
    if not value:
        return None
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), LONGEST_WAIT)
    try:
        seconds = parsedate_to_datetime(value).timestamp() - now_seconds
    except ValueError:
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT)


def _without_answer(error: AnymailError) -> Result:
    causes = list(chain(error))
    names = {type(cause).__name__ for cause in causes}
    if any(isinstance(cause, NEVER_CONNECTED) for cause in causes) or (
        names & NEVER_CONNECTED_NAMES
    ):
        return Busy("not_sent_net", "the provider could not be reached")
    if names & MISSING_CREDENTIALS:
        return Misconfigured("not_sent_auth", "the provider's credentials are missing")
    if any(isinstance(cause, OSError) and cause.filename for cause in causes):
        return Busy("not_sent_net", "the outbox folder can't be written")
    return InDoubt("in_doubt", f"no answer ({type(causes[-1]).__name__})")


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and everything it says it was caused by, outermost first."""
    waiting: list[Any] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__, getattr(one, "reason", None)]
        waiting += list(one.args)


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}"[:200] if text else type(error).__name__
