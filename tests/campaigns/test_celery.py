"""The same campaign through real Celery workers on real brokers, with PostgreSQL."""

import os
import signal
from collections import Counter

import psycopg
import pytest
from kombu import Connection

from tests.campaigns.chaos.cluster import Cluster
from tests.campaigns.chaos.inside import Outbox
from tests.campaigns.chaos.invariants import check
from tests.campaigns.chaos.loopback import Provider

CUSTOMERS = "40"

pytestmark = [pytest.mark.slow, pytest.mark.postgres]


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
        for name in ("control", "orders", "send", "audience", "ml"):
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
    """F11: also with two beats, which nobody should have."""
    due_now(cluster.shop)
    cluster.worker()
    cluster.beat()
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
    for one in (cluster.shop, sqlite_shop):
        check(one, Outbox(one.folder / "outbox"), at_rest=True)


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
    # One mail a call: otherwise the batches are out before the word to end comes.
    worker = cluster.worker(
        **provider.settings(timeout_seconds=5), ATTUNE_MAILS_PER_CALL="1"
    )
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
