from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from campaigns.quiet_hours import hours_of
from campaigns.rest_days import LeaveTimes, RestDays

NIGHT = hours_of("21:00-08:00")
WEEKEND = RestDays(weekdays=frozenset({5, 6}))
# In Beirut clocks change at midnight, both times.
BERLIN, LORD_HOWE, BEIRUT = map(
    ZoneInfo, ("Europe/Berlin", "Australia/Lord_Howe", "Asia/Beirut")
)


def utc(*when):
    return datetime(*when, tzinfo=UTC)


def test_christmas_on_a_friday_is_followed_by_a_weekend_and_monday_at_eight():
    holidays = RestDays(frozenset({5, 6}), yearly=frozenset({(12, 25)}))
    times = LeaveTimes(NIGHT, holidays)
    assert times.ended(utc(2026, 12, 24, 20, 30), BERLIN) == utc(2026, 12, 28, 7)
    assert times.ended(utc(2026, 12, 24, 19, 30), BERLIN) == utc(2026, 12, 24, 19, 30)
    assert LeaveTimes(None, holidays).ended(utc(2026, 12, 25, 9), BERLIN) == utc(
        2026, 12, 27, 23
    )


def test_a_date_is_one_day_of_one_year_and_where_the_customer_lives():
    times = LeaveTimes(None, RestDays(dates=frozenset({date(2026, 5, 1)})))
    noon = utc(2026, 5, 1, 12)
    assert times.ended(noon, ZoneInfo("Asia/Tokyo")) == utc(2026, 5, 1, 15)
    assert times.ended(noon, ZoneInfo("Pacific/Kiritimati")) == noon
    assert times.ended(utc(2027, 5, 1, 12), BERLIN) == utc(2027, 5, 1, 12)


@pytest.mark.parametrize("zone", [BERLIN, LORD_HOWE, BEIRUT])
@pytest.mark.parametrize("month", [3, 4, 10])
@pytest.mark.parametrize("quiet", [NIGHT, None])
def test_nothing_leaves_on_a_day_of_rest_or_later_than_needed_whatever_clocks_do(
    zone, month, quiet
):
    times, at = LeaveTimes(quiet, WEEKEND), utc(2026, month, 1)

    def allowed(moment):
        wall = moment.astimezone(zone)
        asleep = quiet and not time(8) <= wall.time() < time(21)
        return wall.weekday() < 5 and not asleep

    while at.month == month:
        ended = times.ended(at, zone)
        assert allowed(ended)
        assert (ended == at) == allowed(at)
        if ended > at:
            assert not allowed(ended - timedelta(seconds=1))
            assert ended - at < timedelta(days=2, hours=13)
        else:
            begins = times.next_begin(at, zone)
            assert at < begins
            assert allowed(begins - timedelta(seconds=1))
        at += timedelta(minutes=197)


def test_a_calendar_without_an_end_does_not_stop_everything():
    never = RestDays(weekdays=frozenset(range(7)))
    ended = LeaveTimes(None, never).ended(utc(2026, 1, 1), BERLIN)
    assert ended > utc(2027, 1, 1)
