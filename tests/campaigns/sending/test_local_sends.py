"""By each customer's own clock on the nights it changes; a press while two workers are
at it."""

from datetime import UTC, datetime, timedelta

import pytest

from campaigns.local_time import first_instant
from campaigns.sending import engine
from campaigns.sending.protocol import Lane, deliver_next_batch
from campaigns.services import (
    cancel_send,
    launch_send,
    materialise,
    pause_send,
    schedule_send,
)

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def utc(*when):
    return datetime(*when, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "wall", "leaves"),
    [
        # What spring skips is the first moment after; what autumn repeats, the first.
        ("Europe/Berlin", utc(2026, 3, 29, 2, 30), utc(2026, 3, 29, 1)),
        ("Europe/Berlin", utc(2026, 10, 25, 2, 30), utc(2026, 10, 25, 0, 30)),
        ("America/New_York", utc(2026, 3, 8, 2, 30), utc(2026, 3, 8, 7)),
        ("America/New_York", utc(2026, 11, 1, 1, 30), utc(2026, 11, 1, 5, 30)),
        # There clocks change by half an hour.
        ("Australia/Lord_Howe", utc(2026, 10, 4, 2, 15), utc(2026, 10, 3, 15, 30)),
        ("Australia/Lord_Howe", utc(2026, 4, 5, 1, 45), utc(2026, 4, 4, 14, 45)),
    ],
)
def test_on_the_nights_clocks_change_everybody_gets_it_once_at_their_hour(
    world, lane, channel, zone, wall, leaves
):
    campaign = world.add_campaign(local_time=True)
    (one,) = world.add_customers(1)
    one.timezone = zone
    one.save()
    begins = first_instant(wall.replace(tzinfo=None))
    send = schedule_send(campaign, scheduled_at=wall, at=begins)
    assert materialise(launch_send(send, at=begins), at=begins)
    for at, mailed in (
        (leaves - timedelta(seconds=1), 0),
        (leaves, 1),
        (leaves + HOUR, 1),  # the wall shows it once more, in autumn
    ):
        deliver_next_batch(lane, now=at)
        assert len(channel.ledger) == mailed
    engine.wind_up(at=leaves + HOUR)
    send.refresh_from_db()
    assert send.state == "sent"


@pytest.mark.parametrize("press", [pause_send, cancel_send])
def test_after_a_press_no_more_leave_than_workers_times_group(
    world, campaign, lane, channel, at, press
):
    """The second worker hands over while the first does, and then somebody presses."""
    campaign.template.variants.exclude(tone="neutral").delete()
    world.add_customers(40)
    send = world.prepared_send(campaign)
    pieces = list(send.messages.order_by("pk").values_list("pk", flat=True))
    first = send.batches.get()
    other = send.batches.create(variant=first.variant, not_before=first.not_before)
    send.messages.filter(pk__in=pieces[20:]).update(batch=other)
    second = Lane("bulk", channel, "another")

    def under_way(mails):
        channel.before = lambda mails: press(send, at=at)
        deliver_next_batch(second, now=at)
        channel.before = lambda mails: None

    channel.before = under_way
    deliver_next_batch(lane, now=at)
    assert deliver_next_batch(lane, now=at) is None
    assert channel.groups == [channel.group_size] * 2
    assert len(channel.ledger) == len(set(channel.ledger)) == 2 * channel.group_size
