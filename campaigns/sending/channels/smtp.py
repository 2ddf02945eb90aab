"""The SMTP fast lane: a variant's mail is encoded once, its slots per customer."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from email.utils import make_msgid
from threading import Event
from time import monotonic
from typing import Final, NamedTuple, TypeVar

from django.conf import settings
from django.utils import timezone

from campaigns.content.data import plain_data
from campaigns.content.headers import (
    SUBJECT_MAX_CHARACTERS,
    HeaderProblem,
    header_safe,
    mail_headers,
)
from campaigns.content.problems import TemplateError, TemplateProblem
from campaigns.content.render import CompiledVariant, RecipientContext
from campaigns.content.return_path import ReturnPath, message_of
from campaigns.sending.channels import (
    NOT_REACHED,
    STOPS,
    Channel,
    Envelope,
    Misconfigured,
    Outgoing,
    Result,
)
from campaigns.sending.mime import (
    PreparedPart,
    address_header,
    alternative,
    boundary_of,
    date_header,
    header,
)
from campaigns.sending.smtp_client import SmtpClient, SmtpMail, read_smtp_url
from customers.addresses import address_wire

BATCH_SIZE: Final = 200
# One commit for so many: the most that one crash leaves in doubt.
GROUP_SIZE: Final = 20
TIMEOUT_SECONDS: Final = 20.0
VARIANTS_KEPT: Final = 64
# So long a connection that the server did not take is not tried again.
REST_SECONDS: Final = 300.0

log = logging.getLogger(__name__)

_Done = TypeVar("_Done")


class _Prepared(NamedTuple):
    """What is the same for everyone who gets this variant."""

    sender: str
    head: bytes
    boundary: str
    html: PreparedPart
    text: PreparedPart


class _Body(NamedTuple):
    """head: the headers alone, for the last look."""

    head: bytes
    mail: SmtpMail


class SmtpChannel:
    """Kept connections; each mail is one join of bytes that were encoded before."""

    batch_size = BATCH_SIZE
    group_size = GROUP_SIZE
    # One more: the connections have to stand first.
    group_answers = GROUP_SIZE + 1
    timeout_seconds = TIMEOUT_SECONDS

    def __init__(
        self,
        url: str,
        *,
        return_path: ReturnPath | None = None,
        keys: Sequence[str] = (),
    ) -> None:
        """return_path: where bounces come to, and the keys that sign it; without it
        to the sender's own address."""
        self._return_path, self._keys = return_path, keys
        server = read_smtp_url(url)
        self._clients = [
            SmtpClient(server, timeout_seconds=self.timeout_seconds)
            for _ in range(server.connections)
        ]
        # Waiting for a server is all that is done side by side.
        self._threads = ThreadPoolExecutor(server.connections, "smtp")
        # Those that the server does not take rest until then, time.monotonic().
        self._rest_until: dict[SmtpClient, float] = {}
        self._prepared: dict[str, _Prepared] = {}

    def compose(
        self, envelope: Envelope, variant: CompiledVariant, context: RecipientContext
    ) -> Outgoing:
        prepared = self._prepare(variant)
        data = plain_data(context.data)
        data["shop"] = {"name": variant.sender.shop_name}
        subject = _subject(
            " ".join(variant.subject.render(data, context.links).split())
        )
        html = variant.html.slot_values(data, context.links)
        text = variant.text.slot_values(data, context.links)
        headers = mail_headers(context.links, domain=variant.domain)
        if "Message-ID" not in headers:
            headers["Message-ID"] = make_msgid(domain=variant.domain)
        head = b"".join(
            (
                prepared.head,
                header("To", envelope.address),
                header("Subject", subject),
                date_header(timezone.now()),
                *(header(name, value) for name, value in headers.items()),
            )
        )
        content = alternative(
            prepared.text.filled(text), prepared.html.filled(html), prepared.boundary
        )
        back_to = prepared.sender
        if self._return_path is not None:
            back_to = self._return_path.of(envelope.public_id, self._keys)
        mail = SmtpMail(
            sender=back_to,
            recipient=envelope.address,
            message_id=headers["Message-ID"].strip("<>"),
            content=b"".join((head, b"\r\n", content)),
        )
        return envelope.holding(
            _Body(head, mail),
            unsubscribe=context.links.unsubscribe,
            texts=(variant.sha256, subject, *html, *text),
        )

    def _prepare(self, variant: CompiledVariant) -> _Prepared:
        found = self._prepared.get(variant.sha256)
        if found is not None:
            return found
        sender, boundary = variant.sender, boundary_of(variant.sha256)
        address = address_wire(sender.from_address)
        head = address_header("From", sender.from_name, address)
        if sender.reply_to:
            head += header("Reply-To", address_wire(sender.reply_to))
        head += b"MIME-Version: 1.0\r\n"
        head += header("Content-Type", f'multipart/alternative; boundary="{boundary}"')
        prepared = _Prepared(
            sender=address,
            head=head,
            boundary=boundary,
            html=PreparedPart(variant.html.static),
            text=PreparedPart(variant.text.static),
        )
        if len(self._prepared) >= VARIANTS_KEPT:
            self._prepared.clear()
        self._prepared[variant.sha256] = prepared
        return prepared

    def check(self, mail: Outgoing) -> str:
        head = b"\r\n" + mail.body.head
        to = b"\r\n" + header("To", mail.address)  # a long one is folded
        one = head.count(b"\r\nTo:") == 1 and to in head
        if not one or mail.body.mail.recipient != mail.address:
            return "it is addressed to somebody else than its customer"
        if b"\r\nCc:" in head or b"\r\nBcc:" in head:
            return "it is addressed to more than one"
        unsubscribe = f"<{mail.unsubscribe}>\r\n".encode("ascii")
        if head.count(b"\r\nList-Unsubscribe:") != 1 or unsubscribe not in head:
            return "it has no List-Unsubscribe header"
        if b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" not in head:
            return "it has no List-Unsubscribe-Post header"
        if self._return_path is not None:
            back_to = mail.body.mail.sender
            if message_of(back_to, self._keys) != mail.public_id:
                return "its bounce would be taken for another message's"
        return ""

    def hand_over(self, mails: Sequence[Outgoing]) -> list[Result]:
        ours = [mail.body.mail for mail in mails]
        if len(self._clients) == 1:
            return self._clients[0].deliver(ours)
        return self._side_by_side(ours)

    def _side_by_side(self, mails: list[SmtpMail]) -> list[Result]:
        """Each open connection takes every n-th mail; what stops one stops all."""
        clients, problem = self._opened(most=len(mails))
        if not clients:
            return [problem or NOT_REACHED, *[NOT_REACHED] * (len(mails) - 1)]
        number, stop = len(clients), Event()

        def deliver(place: int, client: SmtpClient) -> list[Result]:
            found = client.deliver(mails[place::number], stop.is_set)
            if any(isinstance(result, STOPS) for result in found):
                stop.set()
            return found

        results: list[Result] = [NOT_REACHED] * len(mails)
        for place, found in enumerate(self._at_once(clients, deliver, stop.set)):
            results[place::number] = found
        return results

    def _opened(self, *, most: int) -> tuple[list[SmtpClient], Result | None]:
        """The connections that stand, at most so many; a server may allow fewer than
        are asked for.

        They are opened side by side: one that accepts and says nothing costs one
        timeout, however many they are. Without any: what is wrong.
        """
        now = monotonic()
        # Somebody always tries: only beside one that stood does another rest.
        may = [one for one in self._clients if one.stands or now >= self._rests(one)]
        tried = sorted(may, key=lambda one: not one.stands)[:most]
        said = self._at_once(tried, lambda _, client: client.open())
        problems = {
            one: problem
            for one, problem in zip(tried, said, strict=True)
            if problem is not None
        }
        found = [one for one in tried if one not in problems]
        if found and problems:
            self._rest_until |= dict.fromkeys(problems, now + REST_SECONDS)
            log.warning(
                "the mail server takes %s connections at once, not %s",
                len(found),
                len(tried),
            )
        # That a person has to change something says more than that nobody was reached.
        told = sorted(
            problems.values(), key=lambda one: not isinstance(one, Misconfigured)
        )
        return found, told[0] if told else None

    def _rests(self, client: SmtpClient) -> float:
        return self._rest_until.get(client, float("-inf"))

    def _at_once(
        self,
        clients: Sequence[SmtpClient],
        work: Callable[[int, SmtpClient], _Done],
        stop: Callable[[], None] = lambda: None,
    ) -> list[_Done]:
        """What work gives for each, done side by side; stop: where it ends early."""
        parts: list[Future[_Done]] = []
        try:
            for place, client in enumerate(clients):
                parts.append(self._threads.submit(work, place, client))
            return [part.result() for part in parts]
        except BaseException:
            # The next group must not meet a thread that is still at this one.
            stop()
            wait(parts)
            for client in clients:
                client.abandon()
            raise

    def close(self) -> None:
        self._at_once(self._clients, lambda _, client: client.close())


def _subject(subject: str) -> str:
    """The same rule as content.render.render(), which this lane does not call."""
    try:
        return header_safe(subject, name="Subject", max_length=SUBJECT_MAX_CHARACTERS)
    except HeaderProblem as problem:
        raise TemplateError(
            [TemplateProblem(1, 1, str(problem), "", "subject")]
        ) from None


def build(provider: str) -> Channel:
    return SmtpChannel(
        settings.SMTP_URL,
        return_path=settings.BOUNCE_ADDRESS,
        keys=settings.TRACKING_KEYS,
    )
