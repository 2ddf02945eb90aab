"""A provider on this machine that misbehaves as told, and remembers whom it mailed.

It speaks Postmark: one mail or many a call, reports as a list of events. Or Resend,
where a call made twice under one key is one. What it has taken stands in its
ledger before it answers, whatever it then says or does not say.
"""

import json
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

# mode: (is the mail taken?, what is answered: a status and a body, or what is done)
MODES: dict[str, tuple[bool, Any]] = {
    "ok": (True, 200),
    "junk": (True, (200, b"<html>not json", {})),
    "empty": (True, (200, b"", {})),
    # An answer for fewer than were asked for.
    "short": (True, (200, b"[]", {})),
    "slow": (True, "slow"),
    "reset": (True, "reset"),
    "cut": (True, "cut"),
    # The worst a 5xx can mean: it was taken all the same.
    "error": (True, (500, b"{}", {})),
    "refused": (False, "refused"),
    "throttled": (False, (429, b"{}", {"Retry-After": "1"})),
    "unavailable": (False, (503, b"{}", {"Retry-After": "1"})),
    "not taken": (False, (500, b"{}", {})),
}
# None of these says for sure that a mail was not taken.
DOUBTFUL = (
    "junk", "empty", "short", "slow", "reset", "cut", "error", "not taken",
)  # fmt: skip


class Taken(NamedTuple):
    """When (Unix time) which message went to whom, in which words."""

    at: float
    public_id: int
    address: str
    subject: str
    content: str


class Mail(NamedTuple):
    """One mail of a call."""

    public_id: int
    address: str
    subject: str
    content: str


def _of_postmark(said: Any) -> list[Mail]:
    return [
        Mail(int(one["Metadata"]["d"]), one["To"], one["Subject"], one["TextBody"])
        for one in (said if isinstance(said, list) else [said])
    ]


def _of_resend(said: Any) -> list[Mail]:
    return [
        Mail(
            int(json.loads(one["headers"]["X-Metadata"])["d"]),
            one["to"][0],
            one["subject"],
            one["text"],
        )
        for one in (said if isinstance(said, list) else [said])
    ]


READ = {"postmark": _of_postmark, "resend": _of_resend}


class Provider:
    """mode: of every mail to come, or of each as a function says (the number of the
    call, the address)."""

    def __init__(
        self,
        *,
        speaks: str = "postmark",
        delay_seconds: float = 0.0,
        slow_seconds: float = 1.0,
    ) -> None:
        self.speaks = speaks
        # Keys of what was taken.
        self.keys: set[str] = set()
        self.repeated = 0
        # Calls that told nothing and had no key.
        self.riddles = 0
        self.delay_seconds, self.slow_seconds = delay_seconds, slow_seconds
        self.mode: str | Callable[[int, str], str] = "ok"
        self.ledger: list[Taken] = []
        self.calls: list[tuple[float, str]] = []
        self.keep_content = True
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None
        self._address = ("127.0.0.1", 0)
        self.open()

    def open(self) -> None:
        """Answer on the same port as ever."""
        provider = self

        class Handler(_Handler):
            def do_POST(self) -> None:
                self.serve(provider)

        class Server(ThreadingHTTPServer):
            daemon_threads = allow_reuse_address = True
            request_queue_size = 100

        self._server = Server(self._address, Handler)
        self._address = self._server.server_address[:2]
        self.url = f"http://127.0.0.1:{self._address[1]}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def taken(self) -> list[Taken]:
        return self.ledger

    @property
    def closed(self) -> bool:
        return self._server is None

    def close(self) -> None:
        """Refuse every connection from now on."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def settings(self, *, timeout_seconds: float = 0.5) -> dict[str, str]:
        """What a shop needs to mail through it."""
        token = {"postmark": "SERVER_TOKEN", "resend": "API_KEY"}[self.speaks]
        name = self.speaks.upper()
        options = {
            f"{name}_{token}": "k",
            f"{name}_API_URL": self.url,
            "REQUESTS_TIMEOUT": timeout_seconds,
        }
        return {
            "ATTUNE_PROVIDER": self.speaks,
            "ATTUNE_PROVIDER_OPTIONS": json.dumps(options),
        }

    def take(self, mails: list[Mail], key: str = "") -> str:
        """Enter a call in the ledger unless the mode says no; returns the mode."""
        with self._lock:
            number, address = len(self.calls), mails[0].address
            mode = self.mode(number, address) if callable(self.mode) else self.mode
            self.calls.append((time.time(), mode))
            self.riddles += not key and mode in DOUBTFUL
            if key and key in self.keys:
                self.repeated += 1
            elif MODES[mode][0]:
                self.keys.add(key)
                self.ledger += [self._taken(mail) for mail in mails]
        return mode

    def _taken(self, mail: Mail) -> Taken:
        words = (mail.subject, mail.content) if self.keep_content else ("", "")
        return Taken(time.time(), mail.public_id, mail.address, *words)

    def reports(self, *, seed: int = 0, order: str = "sorted") -> list[str]:
        """What it posts of every mail it took: sorted, doubled, reversed, shuffled."""
        events = [
            json.dumps(
                {
                    "RecordType": "Delivery",
                    "MessageID": f"p{one.public_id}",
                    "Recipient": one.address,
                    "DeliveredAt": datetime.fromtimestamp(one.at, UTC).isoformat(),
                    "Metadata": {"d": str(one.public_id)},
                }
            )
            for one in sorted(self.ledger)
        ]
        if order == "doubled":
            return [event for event in events for _ in range(2)]
        if order == "reversed":
            return events[::-1]
        if order == "shuffled":
            random.Random(seed).shuffle(events)
        return events


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # A mail is answered at once: no waiting for more to send together.
    disable_nagle_algorithm = True

    def serve(self, provider: Provider) -> None:
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:
            # Its sender died on the way: no provider takes half a mail.
            self.close_connection = True
            return
        if provider.closed:
            # A kept connection ends with its server.
            self.close_connection = True
            return
        said = json.loads(body)
        mails = READ[provider.speaks](said)
        mode = provider.take(mails, self.headers.get("Idempotency-Key", ""))
        time.sleep(provider.delay_seconds)
        with suppress(BrokenPipeError, ConnectionResetError):
            self._answer(MODES[mode][1], mails, provider, many=isinstance(said, list))

    def _answer(
        self, how: Any, mails: list[Mail], provider: Provider, *, many: bool
    ) -> None:
        if how == "reset":
            self.close_connection = True
            self.connection.close()
            return
        if how == "slow":
            time.sleep(provider.slow_seconds)
            self.close_connection = True
            return
        if how == "refused":
            code, headers = 422, {}
            says = f"Found inactive addresses: {mails[0].address}. Inactive recipients"
            refusal: Any = {"ErrorCode": 406, "Message": says}
            if many and provider.speaks == "postmark":
                code, refusal = 200, [refusal] * len(mails)
            content = json.dumps(refusal).encode()
        elif isinstance(how, tuple):
            code, content, headers = how
        else:
            code, headers = 200, {}
            content = json.dumps(_receipt(provider.speaks, mails, many=many)).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, text in headers.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if how == "cut" else content)
        self.close_connection = how == "cut"

    def log_message(self, *_: object) -> None:
        pass


def _receipt(speaks: str, mails: list[Mail], *, many: bool) -> Any:
    if speaks == "postmark":
        named = [{"MessageID": f"p{one.public_id}", "To": one.address} for one in mails]
        said = [{"ErrorCode": 0, "Message": "OK", **one} for one in named]
        return said if many else said[0]
    ids = [{"id": f"r{one.public_id}"} for one in mails]
    return {"data": ids} if many else ids[0]
