"""The same campaign through real Celery workers on real brokers, with PostgreSQL."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from pathlib import Path

import psycopg
import pytest
from kombu import Connection

from tests.campaigns.chaos.loopback import Provider

ROOT = Path(__file__).resolve().parents[2]
CUSTOMERS = "40"
PATIENCE_SECONDS = 90

pytestmark = [pytest.mark.slow, pytest.mark.postgres]


class Cluster:
    """Workers and beat of one shop, on queues nobody else uses."""

    def __init__(self, shop, broker):
        self.shop, self.prefix = shop, f"campaigns-{uuid.uuid4().hex[:8]}"
        self.env = shop.env | {
            "ATTUNE_BROKER_URL": broker,
            "ATTUNE_QUEUE_PREFIX": self.prefix,
        }
        self.processes = []

    def start(self, *arguments, **env):
        log = (self.shop.folder / f"celery{len(self.processes)}.log").open("w")
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "config.celery", *arguments],
            cwd=ROOT,
            env={**self.env, **env},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def worker(self, **env):
        queues = ",".join(
            f"{self.prefix}.{one}" for one in ("control", "send", "audience")
        )
        name = f"w{len(self.processes)}@{self.prefix}"
        return self.start(
            "worker", "-n", name, "-Q", queues, "-c", "2", "--pool", "prefork", **env
        )

    def beat(self):
        schedule = self.shop.folder / "beat"
        return self.start("beat", "--schedule", str(schedule), "--pidfile", "")

    def stop(self):
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)

    def wait_until(self, ready):
        ends = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < ends:
            state = self.shop.run("state")
            if ready(state):
                return state
            time.sleep(1)
        logs = "\n".join(
            one.read_text()[-2000:] for one in self.shop.folder.glob("celery*.log")
        )
        raise AssertionError(f"It is still {state['send']}.\n{logs}")


@pytest.fixture(
    params=[
        pytest.param("redis://127.0.0.1:6379/0", marks=pytest.mark.redis, id="redis"),
        pytest.param(
            "amqp://guest:guest@127.0.0.1:5672//",
            marks=pytest.mark.rabbitmq,
            id="rabbitmq",
        ),
    ]
)
def cluster(request, postgres_shop):
    found = Cluster(postgres_shop, request.param)
    yield found
    found.stop()
    _forget_queues(found, request.param)


def _forget_queues(cluster, broker):
    """Delete this run's own queues; nobody else's are touched."""
    with Connection(broker, connect_timeout=5) as connection:
        channel = connection.default_channel
        for name in ("control", "send", "audience", "ml"):
            channel.queue_delete(f"{cluster.prefix}.{name}")
        if broker.startswith("redis"):
            # What Redis keeps of a queue's bindings, and those of its workers.
            for key in channel.client.keys(f"*{cluster.prefix}*"):
                channel.client.delete(key)


def due_now(shop):
    shop.due_now()


def execute(shop, statement):
    with psycopg.connect(shop.env["ATTUNE_DATABASE_URL"], autocommit=True) as found:
        found.execute(statement)


def test_workers_send_what_run_engine_sends(cluster, sqlite_shop):
    due_now(cluster.shop)
    cluster.worker()
    cluster.beat()
    by_workers = cluster.wait_until(lambda state: state["send"] == "sent")
    sqlite_shop.run("engine")
    alone = sqlite_shop.run("state")
    assert Counter(by_workers["messages"].values()) == Counter(
        alone["messages"].values()
    )
    assert by_workers["audience"] == alone["audience"] == int(CUSTOMERS)
    assert len(by_workers["outbox"]) == len(alone["outbox"]) == int(CUSTOMERS)
    assert cluster.shop.run("who") == sqlite_shop.run("who")


def test_a_worker_killed_in_the_middle_mails_nobody_twice(cluster):
    due_now(cluster.shop)
    doomed = cluster.worker(ATTUNE_CRASH_AT="after_accept", ATTUNE_CRASH_TESTS="yes")
    cluster.beat()
    # The first child that hands a group over dies; then the whole worker is killed.
    cluster.wait_until(lambda state: state["outbox"])
    os.killpg(doomed.pid, signal.SIGKILL)
    cluster.worker()
    state = cluster.wait_until(
        lambda state: (
            "waiting" not in state["messages"].values()
            or set(state["batches"]) <= {"handing_over", "done"}
        )
    )
    # The dead worker's leases would end in two minutes.
    execute(
        cluster.shop, "UPDATE campaigns_batch SET lease_until = now() - interval '1 s'"
    )
    state = cluster.wait_until(
        lambda state: set(state["messages"].values()) <= {"accepted", "in_doubt"}
    )
    assert not [name for name in state["outbox"] if name.count(".") > 1], "mailed twice"
    assert len(state["messages"]) == int(CUSTOMERS)
    accepted = {one for one, where in state["messages"].items() if where == "accepted"}
    assert accepted <= {name.removesuffix(".eml") for name in state["outbox"]}


def test_a_worker_that_is_told_to_end_stops_after_the_batch_at_hand(cluster):
    """Forty mails of a third of a second, in batches; a pump would go on with all."""
    provider = Provider(delay_seconds=0.3)
    due_now(cluster.shop)
    worker = cluster.worker(**provider.settings(timeout_seconds=5))
    beat = cluster.beat()
    try:
        cluster.wait_until(lambda _: provider.ledger)
        os.killpg(beat.pid, signal.SIGKILL)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0
    finally:
        provider.close()
    state = cluster.shop.run("state")
    assert "waiting" in state["batches"]
    assert set(state["batches"]) <= {"waiting", "done"}
    assert set(state["messages"].values()) == {"waiting", "accepted"}
