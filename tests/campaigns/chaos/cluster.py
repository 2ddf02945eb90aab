"""Celery workers and beat of one shop, as an operator starts them."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

from tests.campaigns.chaos.nursery import ROOT
from tests.campaigns.chaos.shops import Shop

PATIENCE_SECONDS = 180


class Cluster:
    """Workers and beat of one shop, on queues nobody else uses."""

    def __init__(self, shop: Shop, broker: str, *, app: str = "config.celery") -> None:
        self.app = app
        self.shop, self.prefix = shop, f"campaigns-{uuid.uuid4().hex[:8]}"
        self.env = shop.env | {
            "ATTUNE_BROKER_URL": broker,
            "ATTUNE_QUEUE_PREFIX": self.prefix,
        }
        self.processes: list[subprocess.Popen[bytes]] = []

    @property
    def queues(self) -> list[str]:
        return [
            f"{self.prefix}.{one}" for one in ("control", "orders", "send", "audience")
        ]

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[bytes]:
        log = (self.shop.folder / f"celery{len(self.processes)}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", self.app, *arguments],
            cwd=ROOT,
            env={**self.env, **env},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def worker(self, **env: str) -> subprocess.Popen[bytes]:
        queues = ",".join(self.queues)
        name = f"w{len(self.processes)}@{self.prefix}"
        return self.start(
            "worker",
            "-n",
            name,
            "-Q",
            queues,
            "-c",
            "2",
            "--pool",
            "prefork",
            **env,
        )

    def beat(self) -> subprocess.Popen[bytes]:
        schedule = self.shop.folder / f"beat{len(self.processes)}"
        return self.start("beat", "--schedule", str(schedule), "--pidfile", "")

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)

    def wait_until(self, ready: Callable[[Any], Any]) -> Any:
        ends = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < ends:
            state = self.shop.run("state")
            if ready(state):
                return state
            time.sleep(1)
        raise AssertionError(f"It is still {state['send']}.\n{self.logs(2000)}")

    def logs(self, last: int) -> str:
        found = sorted(self.shop.folder.glob("celery*.log"))
        return "\n".join(one.read_text()[-last:] for one in found)
