"""A large campaign under everything at once, until the minutes are over; then the sums.

    make chaos MINUTES=5 SEED=1 [CUSTOMERS=100000] [DATABASE=postgres] [SPEAKS=resend]

Workers die and stand still, the provider misbehaves, people unsubscribe, PostgreSQL is
restarted (a cluster of its own). When the minutes are over everything heals and the
send goes on to its end. Prints one line of JSON; ends with 1 where an invariant broke.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import psycopg  # noqa: E402

from tests.campaigns.chaos.arena import ENDED, Arena  # noqa: E402
from tests.campaigns.chaos.invariants import SaidNo  # noqa: E402
from tests.campaigns.chaos.loopback import DOUBTFUL, Provider  # noqa: E402
from tests.campaigns.chaos.nursery import Nursery  # noqa: E402
from tests.campaigns.chaos.servers import OwnPostgres  # noqa: E402
from tests.campaigns.chaos.shops import Shop, fresh_postgres, shortened  # noqa: E402

WORKERS = 2
# Calls of twenty, batches of a hundred. Resend minds keys, Postmark does not.
PER_CALL = 20
MANY = "campaigns.sending.channels.many"
BATCH = {
    "campaigns.sending.channels.CHANNELS": {
        "anymail": "campaigns.sending.channels.anymail",
        "postmark": MANY,
        "resend": MANY,
    },
    f"{MANY}.BATCH_SIZE": 100,
}
CALLS_BETWEEN = 30
LONGEST_PEACE_SECONDS = 20.0
FAULT_SHARE = 0.02
RESTART_SHARE = 0.05
UNSUBSCRIBES = 5
FROZEN_SECONDS = 3.0
CHECK_SECONDS = 10.0
REST_HOURS = 4.0


class Chaos:
    def __init__(self, arena: Arena, server: OwnPostgres | None, seed: int) -> None:
        self.arena, self.server = arena, server
        self.chance = random.Random(seed)
        self.did: dict[str, int] = dict.fromkeys(
            ("killed", "frozen", "restarted", "unsubscribed"), 0
        )
        self.leaving: list[Any] = []
        self.deck: list[Callable[[], None]] = []

    def mode(self, number: int, address: str) -> str:
        if self.chance.random() >= FAULT_SHARE:
            return "ok"
        return self.chance.choice((*DOUBTFUL, "throttled", "unavailable", "refused"))

    def step(self) -> None:
        """One misfortune, after some calls: a slow machine gets somewhere, too."""
        time.sleep(self.chance.uniform(0.1, 1.0))
        calls = len(self.arena.provider.calls) + self.chance.randrange(CALLS_BETWEEN)
        ends = time.monotonic() + LONGEST_PEACE_SECONDS
        while len(self.arena.provider.calls) < calls and time.monotonic() < ends:
            time.sleep(0.05)
        if self.server is not None and self.chance.random() < RESTART_SHARE:
            self.restart()
        else:
            self.deal()()
        self.hear()

    def deal(self) -> Callable[[], None]:
        """From a shuffled deck: even a slow machine sees each of them."""
        if not self.deck:
            acts = (self.kill, self.kill, self.freeze)
            self.deck = [*acts, self.unsubscribe, self.unsubscribe]
            self.chance.shuffle(self.deck)
        return self.deck.pop()

    def kill(self) -> None:
        self.arena.kill(self.chance.choice(self.arena.workers))
        self.arena.work()
        self.did["killed"] += 1

    def freeze(self) -> None:
        self.arena.calm = False
        worker = self.chance.choice(self.arena.workers)
        worker.send_signal(signal.SIGSTOP)
        time.sleep(self.chance.uniform(0.1, FROZEN_SECONDS))
        worker.send_signal(signal.SIGCONT)
        self.did["frozen"] += 1

    def restart(self) -> None:
        assert self.server is not None
        self.arena.calm = False
        self.server.stop(self.chance.choice(("fast", "immediate")))
        time.sleep(self.chance.uniform(0.1, 2.0))
        self.server.start()
        self.did["restarted"] += 1

    def unsubscribe(self) -> None:
        number = str(self.chance.randrange(1 << 30))
        self.leaving.append(
            self.arena.shop.start(
                "unsubscribe", str(UNSUBSCRIBES), number, "1", **self.arena.env
            )
        )

    def hear(self) -> None:
        """Who has said no; a process that lost its database has told of nobody."""
        for child in [one for one in self.leaving if one.poll() is not None]:
            self.leaving.remove(child)
            if child.status == 0:
                found = [SaidNo(*one) for one in child.answer()]
                self.arena.said_no += found
                self.did["unsubscribed"] += len(found)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--speaks", choices=("postmark", "resend"), default="postmark")
    parser.add_argument("--on", choices=("sqlite", "postgres"), default="sqlite")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with ExitStack() as kept:
        try:
            said = _run(kept, options)
        except KeyboardInterrupt:
            return 1
        except AssertionError as broken:
            print(json.dumps({"seed": options.seed, "broken": str(broken)}))  # noqa: T201
            return 1
    print(json.dumps(said), flush=True)  # noqa: T201
    return 0


def _run(kept: ExitStack, options: argparse.Namespace) -> dict[str, Any]:
    folder = Path(kept.enter_context(tempfile.TemporaryDirectory()))
    server, url = None, f"sqlite:///{folder / 'shop.sqlite3'}"
    if options.on == "postgres":
        server = kept.enter_context(OwnPostgres())
        url = kept.enter_context(fresh_postgres(server=server.url))
    nursery = Nursery()
    kept.callback(nursery.close)
    provider = Provider(speaks=options.speaks)
    kept.callback(provider.close)
    provider.keep_content = False
    shop = Shop(nursery, folder, url)
    shop.start("build", str(options.customers), **shortened(**BATCH)).answer(3600)
    shop.run("bound")
    shop.due_now()
    arena = Arena(shop, provider, **BATCH)
    # Who is frozen with a call in hand makes it when they go on.
    arena.group_seconds += FROZEN_SECONDS
    arena.env["ATTUNE_MAILS_PER_CALL"] = str(PER_CALL)
    # Nobody holds the others back for ten minutes to see how the first fare.
    arena.env["ATTUNE_CANARY"] = "0"
    chaos = Chaos(arena, server, options.seed)
    provider.mode = chaos.mode
    began = time.monotonic()
    arena.work(WORKERS)
    looked = 0.0
    while time.monotonic() - began < 60 * options.minutes or not chaos.did["killed"]:
        chaos.step()
        if time.monotonic() - looked > CHECK_SECONDS:
            looked = time.monotonic()
            sums = _look(arena)
            if sums.send in ENDED:
                break
    provider.mode = "ok"
    for child in chaos.leaving:
        child.wait()
    chaos.hear()
    sums = arena.finish(seconds=3600 * REST_HOURS)
    left_out = sums.reasons.pop("suppressed", 0)
    return {
        "chaos": options.on,
        "speaks": options.speaks,
        "seed": options.seed,
        "seconds": round(time.monotonic() - began),
        "audience": sums.audience,
        "accepted": sums.messages["accepted"],
        "in_doubt": sums.messages["in_doubt"],
        "suppressed": left_out,
        "skipped": dict(sums.reasons),
        "lost": sums.lost,
        "twice": sums.twice,
        "taken": sums.taken,
        "calls": len(provider.calls),
        "repeated": provider.repeated,
        **chaos.did,
        "resumed": len(arena.pauses),
    }


def _look(arena: Arena) -> Any:
    """The sums, at a moment when the database answers; a person resumes."""
    while True:
        try:
            return arena.wait_until(lambda sums: sums.send != "paused", resume=True)
        except psycopg.OperationalError:
            time.sleep(0.5)


if __name__ == "__main__":
    sys.exit(main())
