"""What happens to the broker, or what it does: sending.md 7.2, F23 and F24."""

import os
import re
import signal
import time
from collections import Counter

import pytest

from tests.campaigns.chaos.cluster import PATIENCE_SECONDS, Cluster
from tests.campaigns.chaos.invariants import check
from tests.campaigns.chaos.servers import OwnRabbit, OwnRedis

CUSTOMERS = 40
OWN = {"redis": OwnRedis, "rabbitmq": OwnRabbit}

pytestmark = [pytest.mark.slow, pytest.mark.postgres]


@pytest.fixture(
    params=[
        pytest.param("redis", marks=pytest.mark.redis),
        pytest.param("rabbitmq", marks=pytest.mark.rabbitmq),
    ]
)
def broker(request):
    """A broker of this test's own."""
    with OWN[request.param]() as found:
        yield found


@pytest.fixture
def cluster_of(postgres_shop):
    opened = []

    def cluster_of(broker, **how):
        postgres_shop.run("bound")
        postgres_shop.due_now()
        opened.append(Cluster(postgres_shop, broker.url, **how))
        return opened[-1]

    yield cluster_of
    for cluster in opened:
        cluster.stop()


def killed(worker):
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait(20)


def ended(cluster, provider):
    """Nobody waits, I1 to I7 hold; what died with its worker is in doubt."""
    # The dead worker's leases would end in two minutes.
    cluster.shop.execute(
        "UPDATE campaigns_batch SET lease_until = now() - interval '1 s' "
        "WHERE lease_until IS NOT NULL AND state <> 'waiting'"
    )
    cluster.wait_until(lambda state: state["send"] == "sent")
    sums = check(cluster.shop, provider, at_rest=True, calm=False)
    said = sums.messages
    assert set(said) <= {"accepted", "in_doubt"}
    assert said["in_doubt"] <= 2  # two processes, one mail a call
    assert said["accepted"] <= sums.taken <= CUSTOMERS
    assert said.total() == CUSTOMERS


def test_a_broker_that_dies_and_forgets_everything_loses_nobody(
    broker, cluster_of, provider
):
    """Its worker dies with it, so that no task of before is left to end the work."""
    provider.delay_seconds = 0.3
    cluster = cluster_of(broker)
    one_a_call = provider.settings(timeout_seconds=5) | {"ATTUNE_MAILS_PER_CALL": "1"}
    worker = cluster.worker(**one_a_call)
    cluster.beat()
    cluster.wait_until(lambda _: len(provider.ledger) > 3)
    broker.stop()
    killed(worker)
    time.sleep(1.0)  # what had reached the provider is in its ledger
    before = len(provider.ledger)
    time.sleep(5.0)  # beat publishes to nobody
    assert len(provider.ledger) == before < CUSTOMERS
    assert "waiting" in cluster.shop.run("state")["messages"].values()
    broker.start()
    cluster.worker(**one_a_call)
    ended(cluster, provider)


def test_queues_that_are_emptied_lose_nobody(broker, cluster_of, provider):
    """Nobody works, ticks pile up and are thrown away; then again in the middle, with
    the worker that held some of them."""
    provider.delay_seconds = 0.3
    cluster = cluster_of(broker)
    cluster.beat()
    ends = time.monotonic() + PATIENCE_SECONDS
    while not broker.purge(cluster.queues):
        assert time.monotonic() < ends, "beat publishes nothing"
        time.sleep(1.0)
    one_a_call = provider.settings(timeout_seconds=5) | {"ATTUNE_MAILS_PER_CALL": "1"}
    worker = cluster.worker(**one_a_call)
    cluster.wait_until(lambda _: provider.ledger)
    killed(worker)
    broker.purge(cluster.queues)
    assert "waiting" in cluster.shop.run("state")["messages"].values()
    cluster.worker(**one_a_call)
    ended(cluster, provider)


@pytest.mark.redis
def test_a_pump_that_is_handed_out_again_while_it_runs_claims_nothing_twice(
    cluster_of, provider
):
    """Five seconds of visibility, looked at every ten; mail for twenty-four."""
    provider.delay_seconds = 1.2
    with OwnRedis() as broker:
        cluster = cluster_of(broker, app="tests.campaigns.chaos.impatient")
        cluster.worker(
            ATTUNE_MAILS_PER_CALL="2",
            ATTUNE_LOG_LEVEL="INFO",  # Celery tells there what it received
            **provider.settings(timeout_seconds=5),
        )
        cluster.beat()
        cluster.wait_until(lambda state: state["send"] == "sent")
        cluster.stop()
    received = re.findall(r"pump\[([0-9a-f-]+)\] received", cluster.logs(1_000_000))
    assert max(Counter(received).values()) > 1, "nothing was handed out again"
    fences = cluster.shop.execute("SELECT DISTINCT fence FROM campaigns_batch")
    assert fences == [(1,)]
    sums = check(cluster.shop, provider, at_rest=True)
    assert sums.messages == {"accepted": CUSTOMERS}
    assert sums.taken == CUSTOMERS
