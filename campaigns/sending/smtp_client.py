"""A kept SMTP connection that answers for every mail.

smtplib connects, greets, encrypts and logs in; the transactions are spoken here,
pipelined where the server offers it (RFC 2920): the envelope of the next mail travels
with the last bytes of this one, so that a mail costs one round trip.

The only doubt SMTP leaves: the final dot was sent and no answer came (RFC 1047).
"""

import re
import smtplib
import socket
import ssl
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from campaigns.errors import ProviderMisconfigured
from campaigns.sending.channels import (
    NOT_REACHED,
    STOPS,
    Busy,
    InDoubt,
    Later,
    Misconfigured,
    Receipt,
    Refused,
    Result,
)

MAILS_A_CONNECTION: Final = 100
# How long an address that asks for patience is left alone (greylisting).
LATER_SECONDS: Final = 300.0
LOG_IN_FIRST: Final = {530, 534, 535, 538}
CLOSING: Final = 421
# RFC 3463 3.2, RFC 7505 4.
NOBODY_THERE: Final = {b"5.1.1", b"5.1.2", b"5.1.6", b"5.1.10"}
_ENHANCED: Final = re.compile(rb"[245]\.\d{1,3}\.\d{1,3}")
ENCRYPTION: Final = ("required", "offered", "never")
MOST_CONNECTIONS: Final = 16
# So long a server has to say goodbye; nothing depends on it.
QUIT_SECONDS: Final = 2.0


class SmtpMail(NamedTuple):
    """What goes over the wire, in ASCII; content is dot-stuffed and ends in CRLF."""

    sender: str
    recipient: str
    message_id: str
    content: bytes


class SmtpServer(NamedTuple):
    host: str
    port: int
    user: str
    password: str
    implicit_tls: bool
    encryption: str
    connections: int = 1


def read_smtp_url(url: str) -> SmtpServer:
    """smtp://user:password@host:587?encryption=required&connections=4, or smtps://host.

    encryption: required (the default with a user), offered (else), never. connections:
    so many side by side, one by default. Raises ProviderMisconfigured.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise ProviderMisconfigured(
            "ATTUNE_SMTP_URL needs an address such as "
            "smtp://user:password@mail.example.com:587."
        )
    secure = parts.scheme == "smtps"
    default = "required" if parts.username else "offered"
    asked = parse_qs(parts.query)
    encryption = asked.get("encryption", [default])[0]
    if encryption not in ENCRYPTION:
        raise ProviderMisconfigured(
            f"ATTUNE_SMTP_URL: encryption needs one of {', '.join(ENCRYPTION)}; "
            f"it is {encryption!r}."
        )
    connections = asked.get("connections", ["1"])[0]
    if not (connections.isdecimal() and 1 <= int(connections) <= MOST_CONNECTIONS):
        raise ProviderMisconfigured(
            f"ATTUNE_SMTP_URL: connections needs a number from 1 to "
            f"{MOST_CONNECTIONS}; it is {connections!r}."
        )
    return SmtpServer(
        host=parts.hostname,
        port=port or (465 if secure else 25),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        implicit_tls=secure,
        encryption=encryption,
        connections=int(connections),
    )


class _Reply(NamedTuple):
    code: int
    text: bytes

    @property
    def good(self) -> bool:
        return 200 <= self.code < 300

    @property
    def detail(self) -> str:
        """The codes only: what servers write may name the address."""
        found = _ENHANCED.match(self.text)
        return f"{self.code} {found.group().decode()}" if found else str(self.code)

    @property
    def is_policy(self) -> bool:
        """5.7.x speaks of us, not of the address."""
        return self.text.startswith(b"5.7.")

    @property
    def knows_nobody(self) -> bool:
        """No such mailbox, no such system, it has moved, it takes no mail at all."""
        found = _ENHANCED.match(self.text)
        return found is not None and found.group() in NOBODY_THERE


class _Dropped(Exception):
    """The connection ended before the mail at hand had left."""


class _Connection(smtplib.SMTP):
    """smtplib's, which stands after so many seconds or not at all.

    By itself smtplib would wait so long for each address of the host, and then for each
    answer: a server that swallows connections would cost a multiple.
    """

    def __init__(self, server: SmtpServer, *, timeout_seconds: float) -> None:
        self._to = server
        self._stands_by: float | None = monotonic() + timeout_seconds
        try:
            super().__init__(server.host, server.port, timeout=timeout_seconds)
            self._introduce()
            assert self.sock is not None
            self.sock.settimeout(timeout_seconds)
        except BaseException:
            self.close()
            raise
        self._stands_by = None

    def _introduce(self) -> None:
        """Greet, encrypt and log in."""
        server = self._to
        self.ehlo_or_helo_if_needed()
        wanted = server.encryption == "required" or (
            server.encryption == "offered" and self.has_extn("starttls")
        )
        if wanted and not server.implicit_tls:
            self.starttls(context=ssl.create_default_context())
            self.ehlo()
        if server.user:
            self.login(server.user, server.password)

    def getreply(self) -> tuple[int, bytes]:
        if self._stands_by is not None and self.sock is not None:
            self.sock.settimeout(self._left())
        return super().getreply()

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        sock = self._reached(host, port)
        sock.settimeout(self._left())
        if not self._to.implicit_tls:
            return sock
        return ssl.create_default_context().wrap_socket(sock, server_hostname=host)

    def _reached(self, host: str, port: int) -> socket.socket:
        """The first of its addresses that answers; one that does not leaves time for
        the others."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        problem: OSError = TimeoutError()
        for tried, (*_, place) in enumerate(found):
            share = self._left() / (len(found) - tried)
            try:
                return socket.create_connection((str(place[0]), port), share)
            except OSError as refused:
                problem = refused
        raise problem

    def _left(self) -> float:
        """Seconds until it has to stand. Raises TimeoutError when they are over."""
        assert self._stands_by is not None
        left = self._stands_by - monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class SmtpClient:
    """One connection at a time; not shared between threads."""

    def __init__(self, server: SmtpServer, *, timeout_seconds: float) -> None:
        self._server, self._timeout = server, timeout_seconds
        self._smtp: smtplib.SMTP | None = None
        self._pipelining = False
        self._mails = 0
        # The final dot of a mail is out, and its answer is not in.
        self._dot_sent = False

    def deliver(
        self,
        mails: Sequence[SmtpMail],
        stopped: Callable[[], bool] = lambda: False,
    ) -> list[Result]:
        """Hand over the mails in order, one result for each. stopped: asked before each
        mail; from then on none is begun."""
        problem = self.open()
        if problem is not None:
            return [problem, *[NOT_REACHED] * (len(mails) - 1)] if mails else []
        results: list[Result] = []
        announced = False
        for position, mail in enumerate(mails):
            if stopped():
                self._end(announced)
                break
            following = mails[position + 1] if position + 1 < len(mails) else None
            result, announced = self._with_one_reconnect(mail, following, announced)
            results.append(result)
            if isinstance(result, STOPS):
                self._end(announced)
                break
        return results + [NOT_REACHED] * (len(mails) - len(results))

    @property
    def stands(self) -> bool:
        return self._smtp is not None

    def open(self) -> Result | None:
        """Be connected within the timeout; what went wrong, if something did."""
        if self._mails >= MAILS_A_CONNECTION:
            self.close()
        return self._open()

    def _end(self, announced: bool) -> None:
        # Where the next envelope is out the server would take QUIT for its mail.
        if announced:
            self.abandon()
        else:
            self.close()

    def close(self) -> None:
        if self._smtp is not None:
            smtp, self._smtp = self._smtp, None
            try:
                if smtp.sock is not None:
                    smtp.sock.settimeout(QUIT_SECONDS)
                smtp.quit()
            except (smtplib.SMTPException, OSError):
                smtp.close()
        self._mails = 0

    def _with_one_reconnect(
        self, mail: SmtpMail, following: SmtpMail | None, announced: bool
    ) -> tuple[Result, bool]:
        """Servers end connections when they like: nothing of this mail had left."""
        for fresh in (False, True):
            problem = self._open()
            if problem is not None:
                return problem, False
            try:
                return self._transact(mail, following, announced and not fresh)
            except _Dropped:
                self.abandon()
            except (smtplib.SMTPException, OSError):
                self.abandon()
                if self._dot_sent:
                    detail = "the connection ended before the server answered"
                    return InDoubt("in_doubt", detail), False
        return Busy("not_sent_net", "the server keeps ending the connection"), False

    def abandon(self) -> None:
        """Hang up without a word: somebody may be in the middle of a mail."""
        smtp, self._smtp = self._smtp, None
        self._mails = 0
        if smtp is not None:
            smtp.close()

    def _transact(
        self, mail: SmtpMail, following: SmtpMail | None, announced: bool
    ) -> tuple[Result, bool]:
        """One mail; announced: its envelope went out with the mail before it."""
        self._dot_sent = False
        refused = self._envelope(mail, announced)
        if refused is not None:
            return refused, False
        ahead = following if self._pipelining else None
        last = mail.content + b".\r\n"
        if ahead is not None:
            last += _commands(ahead)
        self._dot_sent = True
        self._send(last)
        reply = self._reply()
        self._dot_sent = False
        self._mails += 1
        return _final(reply, mail), ahead is not None

    def _envelope(self, mail: SmtpMail, announced: bool) -> Result | None:
        """MAIL, RCPT, DATA; None when the server waits for the content."""
        if self._pipelining:
            if not announced:
                self._send(_commands(mail))
            replies = [self._reply() for _ in range(3)]
        else:
            replies = []
            for command in _commands(mail).splitlines(keepends=True):
                self._send(command)
                replies.append(self._reply())
                if not (replies[-1].good or replies[-1].code == 354):
                    break
        if any(reply.code == CLOSING for reply in replies):
            raise _Dropped
        last = replies[-1]
        if last.code == 354 and all(reply.good for reply in replies[:-1]):
            return None
        if last.code == 354:
            # It took the DATA of a mail for nobody: an empty one ends it.
            self._send(b".\r\n")
            self._reply()
        self._send(b"RSET\r\n")
        self._reply()
        return _refusal(replies)

    def _send(self, content: bytes) -> None:
        assert self._smtp is not None
        assert self._smtp.sock is not None
        self._smtp.sock.sendall(content)

    def _reply(self) -> _Reply:
        assert self._smtp is not None
        return _Reply(*self._smtp.getreply())

    def _open(self) -> Result | None:
        """Connect unless connected; what went wrong, if something did."""
        if self._smtp is not None:
            return None
        try:
            self._smtp = _Connection(self._server, timeout_seconds=self._timeout)
        except ssl.SSLError as problem:
            reason = getattr(problem, "verify_message", "") or problem.reason
            return Misconfigured(
                "not_sent_tls", f"no encryption with the server: {reason}"
            )
        except smtplib.SMTPAuthenticationError as problem:
            return Misconfigured(
                "not_sent_auth",
                f"the server refused the log-in ({problem.smtp_code})",
            )
        except smtplib.SMTPNotSupportedError:
            return Misconfigured(
                "not_sent_tls",
                "the server offers no encryption or no log-in: change ATTUNE_SMTP_URL",
            )
        except (smtplib.SMTPException, OSError) as problem:
            kind = type(problem).__name__
            return Busy("not_sent_net", f"the server could not be reached ({kind})")
        self._pipelining = self._smtp.has_extn("pipelining")
        return None


def _commands(mail: SmtpMail) -> bytes:
    return (
        f"MAIL FROM:<{mail.sender}>\r\nRCPT TO:<{mail.recipient}>\r\nDATA\r\n"
    ).encode("ascii")


def _refusal(replies: Sequence[_Reply]) -> Result:
    """What a refused envelope means: the first command that was not taken decides."""
    position, reply = next(
        (place, one) for place, one in enumerate(replies) if not one.good
    )
    if reply.code in LOG_IN_FIRST:
        why = f"the server refused the log-in ({reply.detail})"
        return Misconfigured("not_sent_auth", why)
    if position == 1:
        if reply.code < 500:
            return Later("later", reply.detail, LATER_SECONDS)
        if reply.is_policy:
            return Refused("not_sent_bad", reply.detail)
        return Refused("invalid", reply.detail, no_mailbox=reply.knows_nobody)
    if reply.code < 500:
        return Busy("not_sent_throttle", reply.detail)
    if position == 0:
        why = f"the server takes no mail from this sender ({reply.detail})"
        return Misconfigured("not_sent_bad", why)
    return Refused("not_sent_bad", reply.detail)


def _final(reply: _Reply, mail: SmtpMail) -> Result:
    """The answer to the final dot."""
    if reply.good:
        return Receipt(mail.message_id)
    if reply.code == CLOSING or 400 <= reply.code < 500:
        return Later("later", reply.detail, LATER_SECONDS)
    if 500 <= reply.code < 600:
        return Refused("not_sent_bad", reply.detail)
    return InDoubt("in_doubt", f"the server answered {reply.code}")
