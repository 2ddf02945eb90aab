"""A shop, its workers and its provider, and somebody who looks at them all the time."""

import random
import signal
import time
from typing import Any

import psycopg

from tests.campaigns.chaos.invariants import SaidNo, Sums, check
from tests.campaigns.chaos.loopback import Provider
from tests.campaigns.chaos.nursery import Child
from tests.campaigns.chaos.shops import Shop, shortened

ENDED = {"sent", "cancelled"}
PATIENCE_SECONDS = 180.0
# Where nobody dies, a machine that is busy for seconds may leave no mail in doubt.
PATIENT: dict[str, Any] = {
    "timeout_seconds": 2.0,
    "campaigns.sending.lanes.LEASE_SPARE_SECONDS": 20.0,
}


class Arena:
    """Workers are run_engine in processes of their own, with short leases.

    timeout_seconds: how long they wait for an answer.
    """

    def __init__(
        self,
        shop: Shop,
        provider: Provider,
        *,
        timeout_seconds: float = 0.5,
        **set_: Any,
    ) -> None:
        self.shop, self.provider = shop, provider
        self.set = set_
        # The longest that one group is on its way.
        self.group_seconds = 3.0
        self.env = provider.settings(timeout_seconds=timeout_seconds)
        self.env |= shortened(**set_)
        self.workers: list[Child] = []
        self.said_no: list[SaidNo] = []
        # Nobody died, and nobody lost the database with a batch in hand.
        self.calm = True
        self.pauses: list[str] = []

    def work(self, count: int = 1, **env: str) -> list[Child]:
        """Start workers."""
        started = [self.shop.start("work", **self.env, **env) for _ in range(count)]
        self.workers += started
        return started

    def run(self, *arguments: str, **env: str) -> Any:
        return self.shop.run(*arguments, **self.env, **env)

    def kill(self, worker: Child) -> None:
        self.calm = False
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        self.workers.remove(worker)

    def stop(self) -> None:
        """End every worker as an operator does; one that stands still is woken."""
        for worker in self.workers:
            worker.send_signal(signal.SIGTERM)
            worker.send_signal(signal.SIGCONT)
        for worker in self.workers:
            worker.wait()
        self.workers.clear()

    def check(self, **how: Any) -> Sums:
        return check(
            self.shop,
            self.provider,
            said_no=self.said_no,
            group_seconds=self.group_seconds,
            calm=self.calm,
            **how,
        )

    def wait_until(
        self, ready: Any, *, seconds: float = PATIENCE_SECONDS, resume: bool = False
    ) -> Sums:
        """Look again and again, at every invariant, until the sums are as told.

        resume: a person resumes what has paused itself.
        """
        ends = time.monotonic() + seconds
        while True:
            sums = self.check()
            if ready(sums):
                return sums
            if sums.send == "paused" and resume:
                [(why,)] = self.shop.execute("SELECT state_reason FROM campaigns_send")
                self.pauses.append(why)
                self.run("decide", "resume")
            if time.monotonic() > ends:
                said = "\n".join(one.errors()[-1500:] for one in self.workers)
                raise AssertionError(f"After {seconds} s it is {sums}.\n{said}")
            time.sleep(0.1)

    def finish(self, *, seconds: float = PATIENCE_SECONDS, resume: bool = True) -> Sums:
        """Wait for the end, end the workers, look once more at rest: nobody is lost."""
        self.wait_until(lambda sums: sums.send in ENDED, seconds=seconds, resume=resume)
        self.stop()
        sums = self.check(at_rest=True)
        assert sums.lost == 0, f"{sums.lost} were lost"
        return sums

    def until_mailed(self, count: int) -> None:
        """Wait until the provider has taken so many."""
        ends = time.monotonic() + PATIENCE_SECONDS
        while len(self.provider.ledger) < count:
            assert time.monotonic() < ends, f"{len(self.provider.ledger)} were taken"
            time.sleep(0.002)

    def forget_leases(self) -> None:
        """What dead workers held would be given back in a minute: now, instead."""
        then = (
            "datetime('now', '-1 second')"
            if self.shop.is_sqlite
            else "now() - interval '1 s'"
        )
        self.shop.execute(
            f"UPDATE campaigns_batch SET lease_until = {then} "  # noqa: S608
            "WHERE lease_until IS NOT NULL"
        )


def kill_at_random(arena: Arena, *, kills: int, seed: int, workers: int = 3) -> None:
    """SIGKILL one worker after the other at moments drawn by the seed; each is replaced
    at once."""
    chance = random.Random(seed)
    arena.work(workers)
    for _ in range(kills):
        time.sleep(chance.uniform(0.02, 0.2))
        arena.kill(chance.choice(arena.workers))
        arena.work()
        arena.check()


AWAY = (psycopg.OperationalError,)
