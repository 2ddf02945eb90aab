"""A provider on this machine that misbehaves as told, and remembers whom it mailed.

It speaks Postmark: one mail a call, reports as a list of events. What it has taken
stands in its ledger before it answers, whatever it then says or does not say.
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


class Provider:
    """mode: of every mail to come, or of each as a function says (the number of the
    call, the address)."""

    def __init__(self, *, delay_seconds: float = 0.0, slow_seconds: float = 1.0):
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
        options = {
            "POSTMARK_SERVER_TOKEN": "k",
            "POSTMARK_API_URL": self.url,
            "REQUESTS_TIMEOUT": timeout_seconds,
        }
        return {
            "ATTUNE_PROVIDER": "postmark",
            "ATTUNE_PROVIDER_OPTIONS": json.dumps(options),
        }

    def take(self, said: dict[str, Any]) -> str:
        """Enter a mail in the ledger unless the mode says no; returns the mode."""
        with self._lock:
            number = len(self.calls)
            mode = self.mode(number, said["To"]) if callable(self.mode) else self.mode
            self.calls.append((time.time(), mode))
            if MODES[mode][0]:
                self.ledger.append(
                    Taken(
                        time.time(),
                        int(said["Metadata"]["d"]),
                        said["To"],
                        said["Subject"] if self.keep_content else "",
                        said["TextBody"] if self.keep_content else "",
                    )
                )
        return mode

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
        mode = provider.take(said)
        time.sleep(provider.delay_seconds)
        with suppress(BrokenPipeError, ConnectionResetError):
            self._answer(MODES[mode][1], said, provider)

    def _answer(self, how: Any, said: dict[str, Any], provider: Provider) -> None:
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
            says = f"Found inactive addresses: {said['To']}. Inactive recipients"
            content = json.dumps({"ErrorCode": 406, "Message": says}).encode()
        elif isinstance(how, tuple):
            code, content, headers = how
        else:
            code, headers = 200, {}
            named = {"MessageID": f"p{said['Metadata']['d']}", "To": said["To"]}
            content = json.dumps({"ErrorCode": 0, "Message": "OK", **named}).encode()
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
