"""F32: a send by each customer's own clock, while clocks jump and zones change.

At night is what the machine's clock says: nobody has another one to ask.
"""

import zoneinfo
from collections import Counter
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from zoneinfo import ZoneInfo

import pytest

from campaigns.local_time import first_instant
from campaigns.models import EmailTemplate, Send
from campaigns.quiet_hours import hours_of
from campaigns.sending import engine, ledger
from campaigns.sending.protocol import deliver_next_batch
from campaigns.services import launch_send, materialise, resume_send, schedule_send
from campaigns.timing import zone_of
from customers.models import Customer
from tests.campaigns.chaos.inside import Outbox

pytestmark = pytest.mark.django_db
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BERLIN, NEW_YORK, SYDNEY = "Europe/Berlin", "America/New_York", "Australia/Sydney"
ZONES = (BERLIN, NEW_YORK, SYDNEY)
# On each of these days, at two or at three, clocks change in one of them.
CHANGES = {
    "Berlin, spring": datetime(2026, 3, 29),  # noqa: DTZ001
    "Berlin, autumn": datetime(2026, 10, 25),  # noqa: DTZ001
    "New York, spring": datetime(2026, 3, 8),  # noqa: DTZ001
    "New York, autumn": datetime(2026, 11, 1),  # noqa: DTZ001
    "Sydney, autumn": datetime(2026, 4, 5),  # noqa: DTZ001
    "Sydney, spring": datetime(2026, 10, 4),  # noqa: DTZ001
}


@pytest.fixture(autouse=True)
def _people_sleep(settings):
    settings.QUIET_HOURS = hours_of("21:00-08:00")


@pytest.fixture
def living_in(world):
    """Two customers in each of these zones."""

    def living_in(*zones):
        customers = world.add_customers(2 * len(zones))
        for number, one in enumerate(customers):
            one.timezone = zones[number % len(zones)]
        Customer.objects.bulk_update(customers, ["timezone"])
        return customers

    return living_in


def scheduled(world, wall):
    """A send at this wall time of whoever gets it."""
    campaign = world.add_campaign(EmailTemplate.objects.first(), local_time=True)
    at = wall.replace(tzinfo=UTC)  # the shop's own zone
    return schedule_send(campaign, scheduled_at=at, at=first_instant(wall) - DAY)


def walls(send):
    """When each of them was mailed, by the clock on their wall."""
    rows = send.messages.values_list("customer__timezone", "handed_over_at")
    return [(name, at.astimezone(zone_of(name))) for name, at in rows]


def by_day(send):
    return all(8 <= wall.hour < 21 for _, wall in walls(send))


def turns(now, *, jump, jumps_in):
    """Turn after turn, an hour apart, until everything has ended; how often a person
    had to resume. Then the clock is set a day back and two ahead: nothing is left."""
    resumed = 0
    for hour in range(24 * 4):
        engine.run_once(at=now)
        for send in Send.objects.filter(state__in=["paused", "missed"]):
            assert "no sender was running" in send.state_reason.lower()
            resume_send(send, at=now)
            resumed += 1
        if hour > jumps_in and not Send.objects.exclude(state="sent").exists():
            break
        now += HOUR + (jump if hour == jumps_in else timedelta(0))
    for later in (now - DAY, now + DAY):
        assert engine.run_once(at=later).accepted == 0
    return resumed


@pytest.mark.parametrize(
    ("jump", "jumps_in"),
    [(0 * HOUR, 0), (-HOUR, 4), (-HOUR, 14), (DAY, 4), (DAY, 14)],
)
@pytest.mark.parametrize("change", CHANGES)
def test_on_nights_that_change_and_by_clocks_that_jump_each_is_mailed_once_by_day(
    world, living_in, settings, invariants, change, jump, jumps_in
):
    """Two sends, one at half past two, one at half past nine, in three zones. A day
    ahead looks as if no sender had been running: a person resumes."""
    living_in(*ZONES)
    midnight = CHANGES[change]
    at_night, in_the_morning = (
        scheduled(world, midnight + hours * HOUR) for hours in (2.5, 9.5)
    )
    begin = first_instant(midnight + 1.5 * HOUR)
    resumed = turns(begin, jump=jump, jumps_in=jumps_in)
    assert (resumed > 0) is (jump == DAY)
    assert by_day(at_night)
    assert by_day(in_the_morning)
    sums = invariants(Outbox(settings.OUTBOX_DIR))
    assert (sums.send, sums.messages, sums.taken) == ("sent", {"accepted": 12}, 12)
    if not jump:
        # The clock is read at half past.
        for send, hour in ((at_night, 8), (in_the_morning, 9)):
            slots = Counter((name, at.date(), at.hour) for name, at in walls(send))
            once = {(name, midnight.date(), hour) for name in ZONES}
            assert slots == dict.fromkeys(once, 2)


def test_a_clock_that_jumps_a_day_ahead_while_a_group_leaves_doubts_nobody_for_long(
    send_to, lane, channel, at, invariants
):
    """Its lease seems to be over: it is taken up while its worker lives, whose
    answer settles it."""
    send = send_to(12)
    later = at + DAY

    def jumps(mails):
        if len(channel.groups) == 1:
            engine.tick(at=later)

    channel.before = jumps
    assert deliver_next_batch(lane, now=at).stopped == "lost_lease"
    states = Counter(send.messages.values_list("state", flat=True))
    assert states == {"accepted": 8, "waiting": 4}
    send.refresh_from_db()
    assert send.state == "paused"
    invariants(channel, calm=False)
    resume_send(send, at=later)
    while deliver_next_batch(lane, now=later):
        pass
    # Then it is set right again, and nobody gets it once more.
    engine.tick(at=at + HOUR)
    while deliver_next_batch(lane, now=at + HOUR):
        pass
    sums = invariants(channel, calm=False)
    assert sums.messages == {"accepted": 12}
    assert (sums.send, sums.taken) == ("sent", 12)


@pytest.fixture
def zones_of(tmp_path):
    """Another tz database, as a process that starts with it reads it: {name: the rules
    it has now}, or none of it."""

    def forget():
        ZoneInfo.clear_cache()
        zone_of.cache_clear()

    def zones_of(rules):
        for name, like in rules.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.unlink(missing_ok=True)
            if like:
                path.write_bytes(
                    files("tzdata").joinpath("zoneinfo", like).read_bytes()
                )
        zoneinfo.reset_tzpath([str(tmp_path)])
        forget()

    yield zones_of
    zoneinfo.reset_tzpath()
    forget()


def deliver_all(lane, now):
    while deliver_next_batch(lane, now=now):
        pass
    ledger.finish_sends(now=now)


PORT = "Europe/Newport"


@pytest.mark.parametrize(
    ("was", "wall_hour", "planned", "becomes", "leaves"),
    [
        # 20:00 of one hour ahead is 23:00 of four: in the morning, at 4:00 UTC.
        ("Etc/GMT-1", 20, 19, "Asia/Dubai", DAY + 4 * HOUR),
        # 9:00 is 3:00 of five behind: at 13:00 UTC.
        ("Etc/GMT-1", 9, 8, "Etc/GMT+5", 13 * HOUR),
        # 12:00 is 15:00: still by day, so nothing changes.
        ("Etc/GMT-1", 12, 11, "Asia/Dubai", 11 * HOUR),
        # There is no such zone any more: the shop's own, where 22:00 is night ...
        ("Etc/GMT+8", 14, 22, None, DAY + 8 * HOUR),
        # ... and 19:00 is not.
        ("Etc/GMT-1", 20, 19, None, 19 * HOUR),
    ],
)
def test_a_zone_whose_rules_change_before_it_leaves_wakes_nobody_and_mails_nobody_twice(
    world, living_in, lane, channel, invariants, zones_of,
    was, wall_hour, planned, becomes, leaves,
):  # fmt: skip
    zones_of({PORT: was})
    living_in(PORT, PORT)
    day = datetime(2026, 3, 2)  # noqa: DTZ001
    send = scheduled(world, day + wall_hour * HOUR)
    midnight, at = day.replace(tzinfo=UTC), first_instant(day + wall_hour * HOUR)
    assert materialise(launch_send(send, at=at), at=at)
    due = set(send.batches.values_list("not_before", flat=True))
    assert due == {midnight + planned * HOUR}
    # One mail has left when the machine gets the other rules.
    [now] = due
    channel.group_size, lane.ends = 1, lambda: True
    deliver_next_batch(lane, now=now)
    assert len(channel.taken) == 1
    zones_of({PORT: becomes})
    lane.ends = lambda: False
    for hour in range(72):
        now = midnight + planned * HOUR + hour * HOUR
        deliver_all(lane, now)
        if now < midnight + leaves:
            assert len(channel.taken) == 1
    _, *times = sorted(send.messages.values_list("handed_over_at", flat=True))
    assert midnight + leaves <= times[0] < midnight + leaves + HOUR
    assert all(8 <= one.astimezone(zone_of(PORT)).hour < 21 for one in times)
    sums = invariants(channel)
    assert (sums.send, sums.taken) == ("sent", 4)
    assert sums.messages == {"accepted": 4}


def test_where_zones_change_while_the_audience_is_written_nobody_is_twice_or_missing(
    world, living_in, lane, channel, invariants, zones_of, monkeypatch
):
    """Half of them by the old rules, half by the new: each has one message."""
    monkeypatch.setattr("campaigns.materialising.CUSTOMERS_A_CHUNK", 3)
    zones_of({PORT: "Etc/GMT-1"})
    living_in(PORT, PORT, PORT)
    day = datetime(2026, 3, 2, 9)  # noqa: DTZ001
    send, at = scheduled(world, day), first_instant(day)
    send = launch_send(send, at=at)
    assert not materialise(send, at=at, until=float("-inf"))
    assert send.messages.count() == 3
    zones_of({PORT: "Asia/Dubai"})
    assert materialise(send, at=at)
    nine = day.replace(tzinfo=UTC)
    due = set(send.batches.values_list("not_before", flat=True))
    assert due == {nine - HOUR, nine - 4 * HOUR}
    for hour in range(48):
        deliver_all(lane, at + hour * HOUR)
    assert by_day(send)
    assert invariants(channel).messages == {"accepted": 6}
    assert Send.objects.get().state == "sent"
