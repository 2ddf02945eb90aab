from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from campaigns.quiet_hours import QuietHours, hours_of

NIGHT = hours_of("21:00-08:00")
BERLIN, LORD_HOWE, CHATHAM = map(
    ZoneInfo, ("Europe/Berlin", "Australia/Lord_Howe", "Pacific/Chatham")
)


def utc(*when):
    return datetime(*when, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "ended"),
    [
        (utc(2026, 1, 5, 19, 59), utc(2026, 1, 5, 19, 59)),
        (utc(2026, 1, 5, 20, 0), utc(2026, 1, 6, 7, 0)),
        (utc(2026, 1, 5, 23, 30), utc(2026, 1, 6, 7, 0)),
        (utc(2026, 1, 6, 6, 59, 59), utc(2026, 1, 6, 7, 0)),
        (utc(2026, 1, 6, 7, 0), utc(2026, 1, 6, 7, 0)),
    ],
)
def test_who_sleeps_gets_it_at_eight_where_they_live(at, ended):
    assert NIGHT.ended(at, BERLIN) == ended


@pytest.mark.parametrize("zone", [BERLIN, LORD_HOWE, CHATHAM])
@pytest.mark.parametrize("month", [3, 4, 9, 10])
def test_nobody_is_woken_and_nobody_waits_for_nothing_whatever_the_clocks_do(
    zone, month
):
    """Both nights on which clocks change are in there, in all three zones."""
    at = utc(2026, month, 1)
    while at.month == month:
        ended = NIGHT.ended(at, zone)
        wall = ended.astimezone(zone).time()
        assert time(8) <= wall < time(21)
        assert at <= ended <= at + timedelta(hours=12, minutes=1)
        if ended > at:
            # Not a minute later than needed.
            before = (ended - timedelta(minutes=1)).astimezone(zone).time()
            assert before < time(8) or before >= time(21)
        assert NIGHT.ended(ended, zone) == ended
        at += timedelta(minutes=17)


def test_an_end_that_spring_skips_is_the_first_moment_after_the_gap():
    hours = hours_of("22:00-02:30")
    spring = utc(2026, 3, 29, 0, 30)  # 1:30 in Berlin; at 2:00 it is 3:00
    assert hours.ended(spring, BERLIN) == utc(2026, 3, 29, 1, 0)


def test_an_end_that_autumn_repeats_has_passed_the_second_time():
    hours = hours_of("22:00-02:30")
    first, second = utc(2026, 10, 25, 0, 10), utc(2026, 10, 25, 1, 10)  # both 2:10
    assert hours.ended(first, BERLIN) == utc(2026, 10, 25, 0, 30)
    assert hours.ended(second, BERLIN) == second


def test_hours_by_day_and_none_at_all():
    noon = hours_of(" 12:00 - 14:00 ")
    assert noon == QuietHours(time(12), time(14))
    assert noon.ended(utc(2026, 1, 5, 12), BERLIN) == utc(2026, 1, 5, 13)
    assert noon.ended(utc(2026, 1, 5, 22), BERLIN) == utc(2026, 1, 5, 22)
    assert hours_of("") is None
    same = hours_of("08:00-08:00")
    assert same.ended(utc(2026, 1, 5, 3), BERLIN) == utc(2026, 1, 5, 3)


@pytest.mark.parametrize(
    "words", ["21", "21:00", "9pm-8am", "25:00-08:00", "-", "21:00Z-08:00"]
)
def test_other_words_are_no_hours(words):
    with pytest.raises(ValueError, match=r"."):
        hours_of(words)


def test_when_they_begin_again_is_after_now_and_no_day_too_late():
    assert NIGHT.next_begin(utc(2026, 1, 5, 12), BERLIN) == utc(2026, 1, 5, 20)
    assert NIGHT.next_begin(utc(2026, 1, 5, 20), BERLIN) == utc(2026, 1, 6, 20)
    assert NIGHT.next_begin(utc(2026, 1, 5, 23), BERLIN) == utc(2026, 1, 6, 20)
