"""Pictures of mails answered a second: ours, and one insert each under gunicorn.

python benchmarks/pixel.py [--requests 4000] [--rounds 3] [--messages 400]

Ours is the whole product as docs/operations.md starts it (two workers of 4 threads; see
--workers): every middleware, a signature checked, a verdict, an event and a rollup of
the message, stored together every half second or 200 hits, which a crash can lose. The
usual way is a view of four lines that inserts one row before it answers, under gunicorn
with 2 workers of 8 threads. Both have SQLite with the same settings, both are up while
the rounds go in turn, and the clients share the machine with them, so a second of the
servers' CPU says more than a second on the clock. No row may be missing afterwards.
"""

import argparse
import json
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from itertools import cycle, islice
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from measure import add_campaign, add_customers, free_port, fresh_django, say

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CLIENTS, CONNECTIONS = 2, 8
WARM_UP_REQUESTS = 320
ANSWER_SECONDS, ROUND_SECONDS, START_SECONDS, STORED_SECONDS = 10, 120, 30, 20
USER_AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.0"
)
HERE = Path(__file__).resolve().parent
# Tells the usual way's workers where their database is.
DATABASE = "PIXEL_BENCHMARK_DATABASE"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--messages", type=int, default=400)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    for name in [name for name in os.environ if name.startswith("ATTUNE_")]:
        del os.environ[name]
    os.environ["ATTUNE_PROVIDER"] = "outbox"
    with fresh_django() as folder:
        say("pixel", **_compare(folder, options))


@dataclass(frozen=True)
class Server:
    """stored(): how many rows, and of how many messages."""

    port: int
    pid: int
    stored: Callable[[], tuple[int, int]]


@dataclass(frozen=True)
class Round:
    requests_per_s: float
    p99_ms: float
    cpu_s: float


def _compare(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    tokens = _accepted(options.messages)
    paths = [f"/o/{token}.gif" for token in tokens]
    each = max(1, options.requests // (CLIENTS * CONNECTIONS))
    warm_up = WARM_UP_REQUESTS // (CLIENTS * CONNECTIONS)
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(CLIENTS)
    with (
        _attune(options.workers) as ours,
        _usual(folder) as usual,
        context.Pool(CLIENTS, initializer=_wait_at, initargs=(together,)) as clients,
    ):
        rounds: dict[Server, list[Round]] = {usual: [], ours: []}
        for server in rounds:
            _ask(clients, server, paths, warm_up)
        expected = warm_up * CLIENTS * CONNECTIONS
        for _ in range(options.rounds):
            expected += each * CLIENTS * CONNECTIONS
            for server, taken in rounds.items():
                taken.append(_round(clients, server, paths, each, expected))
        lanes = [
            paths[lane :: CLIENTS * CONNECTIONS]
            for lane in range(CLIENTS * CONNECTIONS)
        ]
        asked = sum(min(len(lane), max(each, warm_up)) for lane in lanes)
        for server in rounds:
            rows, messages = server.stored()
            assert rows == expected, f"{rows} rows of {expected} requests"
            assert messages == asked, f"{messages} of {asked} messages opened"
        return _figures(options, rounds[ours], rounds[usual]) | {
            "events_stored": ours.stored()[0],
            "messages_opened": ours.stored()[1],
            "gunicorn_rows_stored": usual.stored()[0],
        }


def _figures(
    options: argparse.Namespace, ours: list[Round], usual: list[Round]
) -> dict[str, Any]:
    requests = options.requests // (CLIENTS * CONNECTIONS) * CLIENTS * CONNECTIONS

    def typical(rounds: list[Round], name: str) -> float:
        return median(getattr(one, name) for one in rounds)

    def per_cpu_s(rounds: list[Round]) -> float:
        return requests / max(typical(rounds, "cpu_s"), 1e-9)

    per_s = [typical(rounds, "requests_per_s") for rounds in (ours, usual)]
    return {
        "requests": requests,
        "rounds": options.rounds,
        "connections": CLIENTS * CONNECTIONS,
        "granian_workers": options.workers,
        "requests_per_s": round(per_s[0]),
        "gunicorn_requests_per_s": round(per_s[1]),
        "ratio": per_s[0] / per_s[1],
        "target_ratio": 1.5,
        "server_cpu_s": typical(ours, "cpu_s"),
        "gunicorn_server_cpu_s": typical(usual, "cpu_s"),
        "ratio_per_server_cpu_s": per_cpu_s(ours) / per_cpu_s(usual),
        "p99_ms": typical(ours, "p99_ms"),
        "gunicorn_p99_ms": typical(usual, "p99_ms"),
    }


def _round(
    clients: Any, server: Server, paths: list[str], each: int, expected: int
) -> Round:
    cpu = _cpu_seconds(server.pid)
    seconds, waits = _ask(clients, server, paths, each)
    patience = time.monotonic() + STORED_SECONDS
    while server.stored()[0] < expected and time.monotonic() < patience:
        time.sleep(0.1)
    return Round(
        requests_per_s=len(waits) / seconds,
        p99_ms=quantiles(waits, n=100)[-1] * 1000,
        cpu_s=_cpu_seconds(server.pid) - cpu,
    )


# The clients: processes of threads, each with one connection that is kept alive.

_together: Any = None


def _wait_at(barrier: Any) -> None:
    global _together
    _together = barrier


def _ask(
    clients: Any, server: Server, paths: list[str], each: int
) -> tuple[float, list[float]]:
    """Seconds from the first request to the last answer; seconds of every request.

    A message is asked for by one connection only: two opens are never simultaneous.
    """
    lanes = [
        list(islice(cycle(paths[lane :: CLIENTS * CONNECTIONS]), each))
        for lane in range(CLIENTS * CONNECTIONS)
    ]
    work = [(server.port, lanes[client::CLIENTS]) for client in range(CLIENTS)]
    done = clients.starmap_async(_client, work, chunksize=1).get(ROUND_SECONDS + 60)
    began, ended, waits = zip(*done, strict=True)
    return max(ended) - min(began), [one for some in waits for one in some]


def _client(port: int, lanes: list[list[str]]) -> tuple[float, float, list[float]]:
    waits: list[list[float]] = [[] for _ in lanes]
    threads = [
        threading.Thread(target=_one_connection, args=(port, lane, kept), daemon=True)
        for lane, kept in zip(lanes, waits, strict=True)
    ]
    _together.wait(START_SECONDS)
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0, began + ROUND_SECONDS - time.monotonic()))
    ended = time.monotonic()
    for lane, kept in zip(lanes, waits, strict=True):
        assert len(kept) == len(lane), f"{len(kept)} of {len(lane)} were answered"
    return began, ended, [one for kept in waits for one in kept]


def _one_connection(port: int, paths: list[str], waits: list[float]) -> None:
    headers = {"User-Agent": USER_AGENT}
    with closing(HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)) as server:
        for path in paths:
            began = time.perf_counter()
            server.request("GET", path, headers=headers)
            answer = server.getresponse()
            body = answer.read()
            waits.append(time.perf_counter() - began)
            assert answer.status == 200, f"{answer.status} for a picture"
            assert body.startswith(b"GIF89a"), "not a picture"


# Ours: a send that has gone out, and the server of docs/operations.md.


def _accepted(messages: int) -> list[str]:
    """Tokens of messages that the outbox has really taken."""
    from django.conf import settings

    from campaigns.content.links import track_token
    from campaigns.models import Message
    from campaigns.sending.engine import run_once
    from campaigns.services import schedule_send

    add_customers(messages, at=NOW)
    campaign = add_campaign()
    schedule_send(campaign, scheduled_at=NOW, at=NOW)
    run_once(at=NOW)
    accepted = Message.objects.filter(state=Message.State.ACCEPTED).order_by("pk")
    tokens = [
        track_token(public_id, settings.TRACKING_KEYS)
        for public_id in accepted.values_list("public_id", flat=True)
    ]
    assert len(tokens) >= CLIENTS * CONNECTIONS, f"only {len(tokens)} were accepted"
    return tokens


@contextmanager
def _attune(workers: int) -> Iterator[Server]:
    from engagement.models import TrackingEvent

    def stored() -> tuple[int, int]:
        opens = TrackingEvent.objects.filter(
            event_type="opened", message__state="accepted"
        )
        messages = opens.order_by().values("message").distinct().count()
        return opens.count(), messages

    port = free_port()
    command = (
        f"granian --interface wsgi --host 127.0.0.1 --port {port} --workers {workers} "
        "--blocking-threads 4 --log-level warning config.wsgi:application"
    )
    with _running(command, port, folder=HERE.parent) as pid:
        yield Server(port, pid, stored)


# The usual way: a minimal Django, one insert a request.


def usual_way() -> Any:
    """The application that gunicorn serves."""
    from django.conf import settings

    settings.configure(
        ALLOWED_HOSTS=["127.0.0.1"],
        DATABASES={"default": json.loads(os.environ[DATABASE])},
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        USE_TZ=True,
    )
    import django

    django.setup()
    from django.core.handlers.wsgi import WSGIHandler
    from django.db import models
    from django.http import HttpResponse
    from django.urls import path
    from django.utils import timezone

    picture = bytes.fromhex(
        "47494638396101000100800000000000ffffff21f90401000000002c000000000100010000"
        "020144003b"
    )

    class Opened(models.Model):
        token = models.CharField(max_length=40, db_index=True)
        opened_at = models.DateTimeField()
        user_agent = models.CharField(max_length=300)

        class Meta:
            app_label = "usual"

        def __str__(self) -> str:
            return self.token

    def pixel(request: Any, token: str) -> HttpResponse:
        agent = request.headers.get("User-Agent", "")[:300]
        now = timezone.now()
        Opened.objects.create(token=token, opened_at=now, user_agent=agent)
        return HttpResponse(picture, content_type="image/gif")

    settings.ROOT_URLCONF = (path("o/<str:token>.gif", pixel),)
    return WSGIHandler()


@contextmanager
def _usual(folder: Path) -> Iterator[Server]:
    from django.conf import settings

    file = folder / "usual.sqlite3"
    with closing(sqlite3.connect(file)) as database:
        database.execute(
            "CREATE TABLE usual_opened (id integer PRIMARY KEY AUTOINCREMENT, "
            "token varchar(40) NOT NULL, opened_at datetime NOT NULL, "
            "user_agent varchar(300) NOT NULL)"
        )
        database.execute("CREATE INDEX usual_opened_token ON usual_opened (token)")
        database.commit()

    def stored() -> tuple[int, int]:
        with closing(sqlite3.connect(file, timeout=ANSWER_SECONDS)) as database:
            rows, messages = database.execute(
                "SELECT count(*), count(DISTINCT token) FROM usual_opened"
            ).fetchone()
            return rows, messages

    port = free_port()
    command = (
        f"gunicorn --worker-class gthread --workers 2 --threads 8 --bind "
        f"127.0.0.1:{port} --log-level warning --no-control-socket pixel:usual_way()"
    )
    # The same engine, pragmas and kept connections; only the file is another.
    ours = settings.DATABASES["default"] | {"NAME": str(file)}
    with _running(command, port, folder=HERE, **{DATABASE: json.dumps(ours)}) as pid:
        yield Server(port, pid, stored)


# Processes.


@contextmanager
def _running(command: str, port: int, *, folder: Path, **more: str) -> Iterator[int]:
    """A server in a process group of its own, all of which ends here."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command.split()],
        cwd=folder,
        env=os.environ | more,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_for(port, process)
        yield process.pid
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    patience = time.monotonic() + START_SECONDS
    while time.monotonic() < patience and process.poll() is None:
        with closing(HTTPConnection("127.0.0.1", port, timeout=5)) as server:
            try:
                server.request("GET", "/")
                server.getresponse().read()
                return
            except (OSError, HTTPException):
                time.sleep(0.1)
    raise SystemExit(f"{process.args} did not answer on port {port}.")


def _cpu_seconds(group: int) -> float:
    """CPU of a process group so far, from /proc; 0 where there is none."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # After the name in brackets: state, parent, group; user and system time.
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[2]) == group:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
