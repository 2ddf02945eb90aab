"""A send to a whole shop, a million customers if asked: written down, then sent.

python benchmarks/million_send.py [--customers 1000] [--database URL] [--workers 1]

The database must be empty; by default it is a SQLite file that is gone afterwards. Each
step is a process of its own. A provider on this machine answers each call of up to 500
mails after 5 ms; one worker is killed half way. Goals for a million on two cores: the
audience is written in 60 s (PostgreSQL) or 180 s (SQLite), it leaves in 1,000 to 2,000
calls, no worker holds more than 400 MB, nobody is lost or mailed twice.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from measure import free_port, peak_megabytes, take

ROOT = Path(__file__).resolve().parent.parent
SMALL = 1000
STEPS = ("fill", "fit", "publish", "materialise", "send")
ANSWERS_AFTER_SECONDS = 0.005
PROVIDER = {"MAILGUN_API_KEY": "k", "MAILGUN_SENDER_DOMAIN": "shop.example"}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--customers", type=int, default=SMALL)
    parser.add_argument("--database", help="such as postgresql://user@host/name")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS)
    parser.add_argument("--child", choices=[*STEPS, "provider"])
    parser.add_argument("--at", type=datetime.fromisoformat)
    parser.add_argument("--port", type=int)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(_step(options)))
        return
    with tempfile.TemporaryDirectory() as folder:
        url = options.database or f"sqlite:///{folder}/shop.sqlite3"
        port = free_port()
        at = {**PROVIDER, "MAILGUN_API_URL": f"http://127.0.0.1:{port}/"}
        os.environ |= {
            "ATTUNE_DATABASE_URL": url,
            "ATTUNE_DATA_DIR": folder,
            "ATTUNE_PROVIDER": "mailgun",
            "ATTUNE_PROVIDER_OPTIONS": json.dumps(at),
            "ATTUNE_BASE_URL": "https://mail.shop.example",
            # The rest of a large send would wait ten minutes for the first few.
            "ATTUNE_CANARY": "0",
            "DJANGO_SETTINGS_MODULE": "config.settings",
        }
        now = options.at or datetime.now(UTC).replace(microsecond=0)
        found = {"benchmark": "million_send", "database": url.partition(":")[0]}
        for step in options.steps:
            found[step] = _wait_for(step, options, now, port)
        print(json.dumps(found), flush=True)


def _command(step: str, options: argparse.Namespace, at: datetime, port: int) -> Any:
    return [
        sys.executable, __file__, "--child", step, "--at", at.isoformat(),
        "--customers", str(options.customers), "--workers", str(options.workers),
        "--port", str(port),
    ]  # fmt: skip


def _wait_for(
    step: str, options: argparse.Namespace, at: datetime, port: int
) -> dict[str, Any]:
    done = subprocess.run(
        _command(step, options, at, port), stdout=subprocess.PIPE, text=True, check=True
    )
    print(f"{step}: {done.stdout.strip()}", file=sys.stderr, flush=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _step(options: argparse.Namespace) -> dict[str, Any]:
    sys.path.insert(0, str(ROOT))
    if options.child == "provider":
        from large_shop.loopback import serve

        ledger, calls = _books()
        serve(options.port, ledger=ledger, calls=calls, seconds=ANSWERS_AFTER_SECONDS)
    import django

    django.setup()
    if options.child == "fill":
        return _fill(options)
    from large_shop import mailing, steps

    if options.child in ("fit", "publish"):
        step = steps.refit if options.child == "fit" else steps.publish
        return step(at=options.at)
    if options.child == "materialise":
        return mailing.write_audience()
    return _send(options)


def _fill(options: argparse.Namespace) -> dict[str, Any]:
    from large_shop.filling import fill
    from million import _make_empty_tables

    _make_empty_tables()
    filled = take(lambda: fill(options.customers, at=options.at))
    peak = round(peak_megabytes())
    return {**filled.result, "s": round(filled.seconds, 1), "peak_mb": peak}


def _send(options: argparse.Namespace) -> dict[str, Any]:
    from large_shop.mailing import mail, wrong_with

    ledger, calls = _books()

    def start() -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, ROOT / "manage.py", "run_engine", "--single"]
        )

    provider = subprocess.Popen(_command("provider", options, options.at, options.port))
    try:
        time.sleep(1)
        found = mail(start, workers=options.workers, ledger=ledger, calls=calls)
        if wrong := wrong_with(found):
            raise SystemExit(f"It does not add up: {wrong} of {json.dumps(found)}")
        return found
    finally:
        provider.terminate()
        provider.wait(10)


def _books() -> tuple[Path, Path]:
    folder = Path(os.environ["ATTUNE_DATA_DIR"])
    return folder / "ledger", folder / "calls"


if __name__ == "__main__":
    main()
