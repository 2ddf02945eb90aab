"""Mails a second through a provider that takes many in one call, with all bookkeeping.

Against Anymail one by one: bare (mails rendered for free, nothing written down) and
with our bookkeeping. Same sink, same mails of about 30 KB, same run, rounds in turn,
each sender in a process of its own. Ours claims, re-checks, writes intents, outcomes.

    python benchmarks/calls.py [--mails 5000] [--single 500] [--rounds 3]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from measure import free_port, peak_megabytes
from sending import NOW, ROOT, _build, _Filled, _Measured, _medians, _wait_for

OPTIONS = {
    "mailgun": {"MAILGUN_API_KEY": "k", "MAILGUN_SENDER_DOMAIN": "shop.example"},
    "postmark": {"POSTMARK_SERVER_TOKEN": "k"},
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mails", type=int, default=5000)
    parser.add_argument("--single", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child")
    parser.add_argument("--port", type=int)
    options = parser.parse_args()
    if options.child == "sink":
        ThreadingHTTPServer(("127.0.0.1", options.port), _Sink).serve_forever()
    elif options.child:
        sys.path.insert(0, str(ROOT))
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
        import django

        django.setup()
        work = {"build": _build, "many": _ours, "one": _one, "bare": _bare}
        result = work[options.child](options.mails)
        print(json.dumps({**result, "peak_rss_mb": peak_megabytes()}))
    else:
        with tempfile.TemporaryDirectory() as folder:
            compared = _compare(
                Path(folder), options.mails, options.single, options.rounds
            )
            print(json.dumps(compared))


class _Sink(BaseHTTPRequestHandler):
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


def _compare(folder: Path, mails: int, single: int, rounds: int) -> dict[str, Any]:
    port = free_port()
    command = [sys.executable, __file__, "--child", "sink", "--port", str(port)]
    sink = subprocess.Popen(command)
    counts = {"many": mails, "one": single, "bare": single}
    runs: dict[str, list[dict[str, float]]] = {}
    try:
        _wait_for(port)
        built = {}
        for count in set(counts.values()):
            base = folder / f"base{count}"
            base.mkdir()
            built = _child("build", "mailgun", base, port, count)
        for number in range(rounds):
            for provider in OPTIONS:
                for name, count in counts.items():
                    work = folder / f"{provider}{name}{number}"
                    shutil.copytree(folder / f"base{count}", work)
                    found = _child(name, provider, work, port, count)
                    runs.setdefault(f"{provider}_{name}", []).append(found)
                    shutil.rmtree(work)
    finally:
        sink.terminate()
        sink.wait(10)
    taken = {name: _medians(some) for name, some in runs.items()}
    ratios = {
        f"{provider}_ratio_to_{name}_{unit}": round(
            taken[f"{provider}_many"][unit] / taken[f"{provider}_{name}"][unit], 1
        )
        for provider in OPTIONS
        for name in ("one", "bare")
        for unit in ("per_s", "per_cpu_s")
    }
    return {
        "benchmark": "calls",
        "mails": mails,
        "single": single,
        "rounds": rounds,
        "mail_bytes": built["mail_bytes"],
        **taken,
        **ratios,
        "target_ratio": 10,
    }


def _child(
    name: str, provider: str, folder: Path, port: int, mails: int
) -> dict[str, float]:
    env = {key: value for key, value in os.environ.items() if "ATTUNE" not in key}
    url = {f"{provider.upper()}_API_URL": f"http://127.0.0.1:{port}/"}
    env |= {
        "ATTUNE_DATA_DIR": str(folder),
        "ATTUNE_PROVIDER": provider,
        "ATTUNE_PROVIDER_OPTIONS": json.dumps({**OPTIONS[provider], **url}),
        "ATTUNE_BASE_URL": "https://mail.shop.example",
    }
    answer = subprocess.run(
        [sys.executable, __file__, "--child", name, "--mails", str(mails)],
        env=env,
        check=True,
        capture_output=True,
        text=True,
    )
    result: dict[str, float] = json.loads(answer.stdout)
    return result


def _ours(mails: int) -> dict[str, float]:
    from campaigns.models import Message
    from campaigns.sending.engine import run_once

    with _Measured() as measured:
        run_once(at=NOW)
    accepted = Message.objects.filter(state="accepted").count()
    assert accepted == mails, f"{accepted} of {mails} accepted"
    return measured.result(mails)


def _one(mails: int) -> dict[str, float]:
    """The same, as it was before: a call a mail."""
    from django.conf import settings

    from campaigns.sending.channels import CHANNELS

    CHANNELS[settings.PROVIDER] = CHANNELS["anymail"]
    return _ours(mails)


def _bare(mails: int) -> dict[str, float]:
    """Anymail over one kept connection: nothing rendered, nothing written down."""
    from django.conf import settings
    from django.core.mail import get_connection

    from campaigns.models import Message

    connection = get_connection(f"anymail.backends.{settings.PROVIDER}.EmailBackend")
    messages = list(Message.objects.select_related("customer").order_by("pk"))
    assert _Filled.mail(messages[0])
    sent = 0
    with _Measured() as measured:
        connection.open()
        for message in messages:
            mail = _Filled.mail(message)
            mail.metadata = {"d": str(message.public_id), "c": "1", "b": "1"}
            sent += connection.send_messages([mail])
        connection.close()
    assert sent == mails, f"{sent} of {mails} sent"
    return measured.result(mails)


if __name__ == "__main__":
    main()
