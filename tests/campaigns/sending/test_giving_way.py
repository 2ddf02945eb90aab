"""A worker whose time is over, and mails that wait again beside others in doubt."""

from collections import Counter
from datetime import timedelta

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from campaigns.models import Batch, Breaker, Send
from campaigns.sending.channels import InDoubt, Refused
from campaigns.sending.protocol import deliver_next_batch
from campaigns.services import resume_send

pytestmark = pytest.mark.django_db


@pytest.fixture
def send(send_to):
    """Ten customers of one segment in one batch, groups of four."""
    return send_to(10)


def states(send):
    return Counter(send.messages.values_list("state", flat=True))


def test_a_worker_whose_time_is_over_ends_between_two_groups(send, lane, channel, at):
    lane.ends = lambda: bool(channel.groups)
    outcome = deliver_next_batch(lane, now=at)
    assert (outcome.accepted, outcome.stopped) == (4, "")
    assert states(send) == {"accepted": 4, "waiting": 6}
    send.refresh_from_db()
    assert send.state == Send.State.SENDING
    assert set(send.batches.values_list("state", "owner")) == {("waiting", "")}
    lane.ends = lambda: False
    later = at + timedelta(seconds=1)
    assert deliver_next_batch(lane, now=later).accepted == 6
    assert sorted(channel.ledger) == sorted(set(channel.ledger))
    assert len(channel.ledger) == 10


def test_a_task_that_takes_too_long_ends_as_one_that_died_and_pauses_nothing(
    send, lane, channel, at
):
    def too_long(mails):
        raise SoftTimeLimitExceeded

    channel.before = too_long
    with pytest.raises(SoftTimeLimitExceeded):
        deliver_next_batch(lane, now=at)
    send.refresh_from_db()
    assert send.state == Send.State.SENDING
    assert states(send) == {"handing_over": 4, "waiting": 6}  # its lease tells


def test_who_was_refused_waits_again_also_in_a_batch_that_has_a_doubt(
    send, lane, channel, at
):
    first = send.batches.get()
    second = Batch.objects.create(
        send=send, variant=first.variant, not_before=first.not_before
    )
    ids = list(send.messages.order_by("pk").values_list("pk", flat=True))
    send.messages.filter(pk__in=ids[3:]).update(batch=second)
    one, *others = send.messages.order_by("pk")
    channel.answers[one.address_wire] = InDoubt("in_doubt", "no answer")
    deliver_next_batch(lane, now=at)
    Breaker.objects.all().delete()
    for message in others:
        channel.answers[message.address_wire] = Refused("not_sent_bad", "400")
    while deliver_next_batch(lane, now=at):
        pass
    send.refresh_from_db()
    assert send.state == Send.State.PAUSED  # five refusals in a row
    assert states(send) == {"in_doubt": 1, "waiting": 9}
    channel.answers = {}
    resume_send(send, at=at)
    while deliver_next_batch(lane, now=at):
        pass
    assert states(send) == {"in_doubt": 1, "accepted": 9}
    first.refresh_from_db()
    assert first.state == Batch.State.IN_DOUBT
