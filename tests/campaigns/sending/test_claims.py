from datetime import timedelta
from itertools import chain

import pytest

from campaigns.models import Batch
from campaigns.sending.claims import claim
from tests.campaigns.chaos.inside import Outbox
from tests.campaigns.chaos.invariants import check

LEASE = timedelta(minutes=2)


@pytest.fixture
def batches(db, world, campaign):
    world.add_customers(250)
    return world.prepared_send(campaign).batches.order_by("pk")


def test_each_batch_is_claimed_once_and_gets_a_fence(batches, at):
    taken = []
    while found := claim("bulk", now=at, lease=LEASE, owner="me"):
        taken.append(found)
    assert sorted(one.batch_id for one in taken) == [one.pk for one in batches]
    assert {one.fence for one in taken} == {1}
    for batch in Batch.objects.all():
        assert batch.state == Batch.State.CLAIMED
        assert batch.lease_until == at + LEASE
        assert batch.owner.startswith("me/")


@pytest.mark.parametrize(
    "change",
    [
        {"paused": True},
        {"lane": "tx"},
        {"state": Batch.State.DONE},
        {"state": Batch.State.CLAIMED},
        {"state": Batch.State.IN_DOUBT},
    ],
)
def test_what_is_not_waiting_on_this_lane_is_not_claimed(batches, at, change):
    Batch.objects.update(**change)
    assert claim("bulk", now=at, lease=LEASE) is None


def test_nothing_is_claimed_before_its_time(batches, at):
    assert claim("bulk", now=at - timedelta(seconds=1), lease=LEASE) is None
    assert claim("bulk", now=at, lease=LEASE) is not None


def test_who_waited_longest_comes_first(batches, at):
    last = batches.last()
    Batch.objects.filter(pk=last.pk).update(not_before=at - timedelta(hours=1))
    assert claim("bulk", now=at, lease=LEASE).batch_id == last.pk


def test_a_batch_taken_twice_has_another_fence(batches, at):
    first = claim("bulk", now=at, lease=LEASE)
    Batch.objects.exclude(pk=first.batch_id).update(paused=True)
    Batch.objects.update(state=Batch.State.WAITING)
    assert claim("bulk", now=at, lease=LEASE) == (first.batch_id, 2, first.send_id)


@pytest.mark.parametrize(
    ("pieces", "claimers"),
    [
        (40, 4),
        # 200,000 mails of 500 a batch.
        pytest.param(400, 8, marks=pytest.mark.slow),
    ],
)
def test_processes_side_by_side_never_claim_the_same_batch(shop, pieces, claimers):
    shop.run("cut", str(pieces))
    workers = [shop.start("claim") for _ in range(claimers)]
    taken = [one.answer()["taken"] for one in workers]
    together = list(chain.from_iterable(taken))
    assert len(together) == len(set(together)) == pieces
    sums = check(shop, Outbox(shop.folder / "outbox"), at_rest=True)
    assert (sums.taken, sums.messages) == (0, {"waiting": 40})
