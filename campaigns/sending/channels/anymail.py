"""Any Anymail backend: one mail a call, over one connection that is kept open.

Providers that take many in one call are in many.py.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from email.parser import BytesHeaderParser
from email.policy import default as modern
from email.utils import formataddr
from functools import partial, wraps
from typing import Any, Final

from anymail.exceptions import (
    AnymailAPIError,
    AnymailError,
    AnymailRecipientsRefused,
)
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import BadHeaderError, EmailMultiAlternatives, get_connection

from campaigns.content.dialects import refuse_code
from campaigns.content.headers import HeaderProblem, header_safe
from campaigns.content.render import CompiledVariant, RecipientContext, render
from campaigns.errors import ProviderMisconfigured
from campaigns.sending.channels import (
    NOT_REACHED,
    STOPS,
    Channel,
    Envelope,
    InDoubt,
    Misconfigured,
    Outgoing,
    Receipt,
    Refused,
    Result,
)
from campaigns.sending.classify import classify

BATCH_SIZE: Final = 100
OUTBOX: Final = "outbox"
OUTBOX_BACKEND: Final = "campaigns.sending.outbox.EmailBackend"
PROVIDERS: Final = (
    "amazon_ses",
    "brevo",
    "mailersend",
    "mailgun",
    "mailjet",
    "mailtrap",
    "mandrill",
    "postal",
    "postmark",
    "resend",
    "scaleway",
    "sendgrid",
    "sparkpost",
    "unisender_go",
)
# They have no place for metadata; their events are matched by message id and address.
WITHOUT_METADATA: Final = {"mailersend", "postal"}
# Tracking is ours, on our own host; these can be told so mail by mail.
TRACKING_PER_MAIL: Final = {
    "mailersend",
    "mailgun",
    "mailjet",
    "mandrill",
    "postmark",
    "sendgrid",
    "sparkpost",
    "unisender_go",
}
# RFC 5322, 2.1.1.
HEADER_MAX_CHARACTERS: Final = 998
LIST_HEADERS: Final = ("List-Unsubscribe", "List-Unsubscribe-Post")


class Incomplete(ImproperlyConfigured):
    """A payload that lost something on its way through the provider's library."""


class AnymailChannel:
    """One EmailMultiAlternatives per customer, statuses read per customer."""

    batch_size = BATCH_SIZE

    def __init__(self, provider: str, backend: str, *, group_size: int = 1) -> None:
        self.provider = provider
        self.group_size = group_size
        self.timeout_seconds = float(settings.ANYMAIL.get("REQUESTS_TIMEOUT", 20))
        try:
            self._connection: Any = get_connection(backend, **_options(provider))
        except ImproperlyConfigured as problem:
            raise ProviderMisconfigured(
                f"ATTUNE_PROVIDER is {provider}, and its options are not complete: "
                f"{problem}"
            ) from None
        self._expected, self._expected_id = b"", 0
        # Shown every call before it leaves, by who verifies a provider.
        self.shown: Callable[[Mapping[str, Any]], None] = lambda params: None

    def compose(
        self, envelope: Envelope, variant: CompiledVariant, context: RecipientContext
    ) -> Outgoing:
        email = render(variant, context)
        refuse_code(self.provider, email.subject, email.html, email.text)
        message = self.write(
            variant,
            to=[envelope.address],
            subject=email.subject,
            html=email.html,
            text=email.text,
            headers=self._headers(email.headers),
        )
        # A test mail stands for no message and has no id to be known by.
        if envelope.public_id and self.provider not in WITHOUT_METADATA:
            message.metadata = envelope.metadata
        return envelope.holding(
            message,
            unsubscribe=context.links.unsubscribe,
            texts=(email.subject, email.html, email.text),
        )

    def write(
        self,
        variant: CompiledVariant,
        *,
        to: list[str],
        subject: str,
        html: str,
        text: str,
        headers: dict[str, str],
    ) -> Any:
        """The message that Anymail gets, without what it is known by."""
        message: Any = EmailMultiAlternatives(
            subject=subject,
            body=text,
            from_email=from_line(variant),
            to=to,
            reply_to=[variant.sender.reply_to] if variant.sender.reply_to else None,
            headers=headers,
            alternatives=[(html, "text/html")],
        )
        if self.provider in TRACKING_PER_MAIL:
            message.track_opens = False
            message.track_clicks = False
        return message

    def _headers(self, headers: dict[str, str]) -> dict[str, str]:
        """A provider's interface makes the Message-ID itself; some refuse ours."""
        if self.provider == OUTBOX:
            return dict(headers)
        return {name: text for name, text in headers.items() if name != "Message-ID"}

    def check(self, mail: Outgoing) -> str:
        message = mail.body
        if message.to != [mail.address] or message.cc or message.bcc:
            return "it is addressed to somebody else than its customer"
        return heads_problem(
            {
                "Subject": message.subject,
                "From": message.from_email,
                "Reply-To": ", ".join(message.reply_to),
                **message.extra_headers,
            },
            unsubscribe=mail.unsubscribe,
        )

    def hand_over(self, mails: Sequence[Outgoing]) -> list[Result]:
        results: list[Result] = []
        for mail in mails:
            results.append(self._hand_over(mail))
            if isinstance(results[-1], STOPS):
                break
        return results + [NOT_REACHED] * (len(mails) - len(results))

    def _hand_over(self, mail: Outgoing) -> Result:
        message = mail.body
        try:
            self._open()
            self._expected = mail.unsubscribe.encode() if mail.public_id else b""
            self._expected_id = mail.public_id
            sent = self._connection.send_messages([message])
        except AnymailRecipientsRefused:
            return _status(message, mail.address)
        except (AnymailError, ImproperlyConfigured, BadHeaderError) as problem:
            self.close()
            return classify(problem, now_seconds=time.time())
        if not sent:
            return Misconfigured("not_sent_build", "the mail was cancelled before")
        return _status(message, mail.address)

    def _open(self) -> None:
        """Open the connection, and watch what goes through it."""
        if not self._connection.open():
            return
        session = getattr(self._connection, "session", None)
        if session is not None:
            session.request = partial(self._watched, session.request)
        client = getattr(self._connection, "client", None)  # of SES
        if client is not None:
            self._watch(client)

    def _watch(self, client: Any) -> None:
        client.send_email = partial(self._watched_raw, readable(client.send_email))

    def _watched(self, request: Any, **params: Any) -> Any:
        """The last look at a request: the list headers must have survived.

        One of Anymail's backends is known to lose them (sending.md 1.2, T1).
        """
        body = params.get("data")
        content = body if isinstance(body, bytes) else str(body).encode()
        whole = self._expected in content and b"List-Unsubscribe-Post" in content
        if self._expected and not whole:
            raise self._dropped()
        self.shown(params)
        return request(**params)

    def _watched_raw(self, send_email: Any, **params: Any) -> Any:
        """The same look at a mail that leaves as it is, MIME and all."""
        if self._expected:
            raw = params["Content"]["Raw"]["Data"]
            head = BytesHeaderParser(policy=modern).parsebytes(raw)
            # A long value begins on the next line.
            unsubscribe, post, known = (
                str(head.get(name, "")).strip()
                for name in (*LIST_HEADERS, "X-Metadata")
            )
            if (
                unsubscribe != f"<{self._expected.decode()}>"
                or post != "List-Unsubscribe=One-Click"
                or f'"d": "{self._expected_id}"' not in known
                or params["Destination"] != {"ToAddresses": [str(head.get("To"))]}
            ):
                raise self._dropped()
        self.shown(params)
        return send_email(**params)

    def _dropped(self) -> Incomplete:
        return Incomplete(
            f"Anymail's {self.provider} backend dropped List-Unsubscribe from a "
            "mail, so nothing was sent: choose another provider."
        )

    def close(self) -> None:
        self._connection.close()


def readable(send: Callable[..., Any]) -> Callable[..., Any]:
    """The same call of botocore, where an answer that it can't read is an error of
    Anymail's as it is everywhere else (sending.md 1.2, T7)."""

    @wraps(send)
    def send_and_read(**params: Any) -> Any:
        try:
            return send(**params)
        except (AttributeError, LookupError, TypeError, ValueError) as problem:
            # Its parser goes into a JSON text as if it surely were what AWS writes.
            raise AnymailAPIError(f"unreadable: {type(problem).__name__}") from problem

    return send_and_read


def heads_problem(headers: Mapping[str, str], *, unsubscribe: str) -> str:
    """Why these headers must not leave, or nothing.

    Most backends put a line break into a provider's JSON as it is (sending.md 1.2, T6).
    """
    found, post = (headers.get(name) for name in LIST_HEADERS)
    if found is None or f"<{unsubscribe}>" not in found:
        return "it has no List-Unsubscribe header"
    if post != "List-Unsubscribe=One-Click":
        return "it has no List-Unsubscribe-Post header"
    for name, value in headers.items():
        try:
            header_safe(value, name=name, max_length=HEADER_MAX_CHARACTERS)
        except HeaderProblem as problem:
            return str(problem)
    return ""


def from_line(variant: CompiledVariant) -> str:
    """The From header's value, as Django takes it."""
    return formataddr((variant.sender.from_name, variant.sender.from_address))


def build(provider: str) -> Channel:
    if provider == OUTBOX:
        # A folder has no round trip to wait for: some mails share one intent.
        return AnymailChannel(provider, OUTBOX_BACKEND, group_size=10)
    if provider not in PROVIDERS:
        raise ProviderMisconfigured(
            f"ATTUNE_PROVIDER needs one of outbox, smtp, {', '.join(PROVIDERS)}; "
            f"it is {provider!r}."
        )
    return AnymailChannel(provider, f"anymail.backends.{provider}.EmailBackend")


def _options(provider: str) -> dict[str, Any]:
    """What the backend is built with, beyond settings.ANYMAIL."""
    if provider != "amazon_ses":
        return {}
    from botocore.config import Config  # type: ignore[import-untyped]

    # botocore retries by itself: a read timeout became three mails (T5).
    config = Config(
        retries={"total_max_attempts": 1},
        read_timeout=settings.ANYMAIL.get("REQUESTS_TIMEOUT", 20),
        connect_timeout=10,
    )
    given = dict(settings.ANYMAIL.get("AMAZON_SES_CLIENT_PARAMS", {}))
    return {"client_params": {**given, "config": config}}


def _status(message: Any, address: str) -> Result:
    """What the provider said of this one address."""
    recipients = message.anymail_status.recipients
    found = recipients.get(address) or next(iter(recipients.values()), None)
    status = getattr(found, "status", None)
    provider_id = str(getattr(found, "message_id", None) or "")[:200]
    if status in {"sent", "queued"}:
        return Receipt(provider_id)
    if status in {"invalid", "rejected", "failed"}:
        return Refused(status, "the provider does not take mail for this address")
    code = getattr(message.anymail_status.esp_response, "status_code", 200)
    if 400 <= code < 500:
        # Some backends read a 4xx as a list of statuses; this one names nobody.
        return Refused("not_sent_bad", f"the provider answered {code}")
    return InDoubt("accepted_unparsed", "the provider did not say what it did with it")
