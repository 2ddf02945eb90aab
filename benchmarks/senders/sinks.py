"""Where mails end: smtp-sink of Debian, and a provider that takes everything."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from measure import free_port

PROVIDER: Final = "from senders.sinks import provide; provide({})"


@contextmanager
def sinks(folder: Path) -> Iterator[dict[str, int] | None]:
    """Both sinks and their ports, {"smtp": , "http": }; None without smtp-sink."""
    command = _smtp_sink(folder)
    if command is None:
        if os.environ.get("CI"):
            raise SystemExit("CI needs smtp-sink, of Debian's package postfix.")
        yield None
        return
    ports = {"smtp": free_port(), "http": free_port()}
    commands = [
        [*command, "-u", "nobody", f"127.0.0.1:{ports['smtp']}", "1000"],
        [sys.executable, "-c", PROVIDER.format(ports["http"])],
    ]
    running = []
    try:
        for one in commands:
            running.append(
                subprocess.Popen(
                    one,
                    cwd=Path(__file__).parent.parent,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
        for port in ports.values():
            _wait_for(port)
        yield ports
    finally:
        for process in running:
            process.terminate()
            process.wait(10)


def _smtp_sink(folder: Path) -> list[str] | None:
    """smtp-sink from the PATH, or from Debian's package, unpacked and not installed."""
    found = shutil.which("smtp-sink") or shutil.which("smtp-sink", path="/usr/sbin")
    if found:
        return [found]
    if shutil.which("apt-get") is None:
        return None
    unpacked = folder / "postfix"
    unpacked.mkdir()
    unpacked.chmod(0o755)
    download = subprocess.run(
        ["apt-get", "download", "-q", "postfix"], cwd=unpacked, capture_output=True
    )
    packages = list(unpacked.glob("postfix_*.deb"))
    if download.returncode or not packages:
        return None
    subprocess.run(["dpkg-deb", "-x", str(packages[0]), str(unpacked)], check=True)
    os.environ["LD_LIBRARY_PATH"] = str(unpacked / "usr/lib/postfix")
    return [str(unpacked / "usr/sbin/smtp-sink")]


def _wait_for(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit("a sink did not start")


class _Provider(BaseHTTPRequestHandler):
    """Takes everything, as Mailgun and Postmark say that they did."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer: Any = {"id": "<one@mailgun>", "message": "Queued. Thank you."}
        if self.path.startswith("/email"):
            data = json.loads(body)
            many = data if isinstance(data, list) else [data]
            took = [
                {"ErrorCode": 0, "Message": "OK", "MessageID": "p", "To": one["To"]}
                for one in many
            ]
            answer = took if isinstance(data, list) else took[0]
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def provide(port: int) -> None:
    ThreadingHTTPServer(("127.0.0.1", port), _Provider).serve_forever()
