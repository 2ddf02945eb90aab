"""A provider on this machine that takes many mails in one call, as Mailgun does.

Answers after some milliseconds. Whom it took stands in its ledger, a file with a line
for each mail, before it answers.
"""

import re
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any

# Of each recipient the message's own name, in the form as it is posted.
_NAMED = re.compile(rb"%22v%3Ad%22%3A\+?%22(\d+)%22")
_ALONE = re.compile(rb"(?:^|&)v%3Ad=(\d+)")
_TO = re.compile(rb"(?:^|&)to=")
ANSWER = b'{"id": "<one@mailgun>", "message": "Queued. Thank you."}'


def serve(port: int, *, ledger: Path, calls: Path, seconds: float) -> None:
    """Take calls until this process ends. calls: a file with a line for each."""
    lock = Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle(self) -> None:
            with suppress(ConnectionError):  # a worker that was killed
                super().handle()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            names = _NAMED.findall(body) or _ALONE.findall(body)
            if len(names) != len(_TO.findall(body)):
                self.send_error(400, "not as many names as addresses")
                return
            with lock, ledger.open("ab") as taken, calls.open("a") as asked:
                taken.write(b"".join(name + b"\n" for name in names))
                asked.write(f"{len(names)}\n")
            time.sleep(seconds)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(ANSWER)))
            self.end_headers()
            self.wfile.write(ANSWER)

        def log_message(self, *_: Any) -> None:
            pass

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
