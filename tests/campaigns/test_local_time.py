from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from campaigns.local_time import first_instant, local_instant, zone_named

BERLIN = ZoneInfo("Europe/Berlin")


def wall(*parts):
    return datetime(*parts, tzinfo=UTC).replace(tzinfo=None)


@pytest.mark.parametrize(
    ("shown", "zone", "instant"),
    [
        (wall(2026, 7, 1, 9), "Europe/Berlin", datetime(2026, 7, 1, 7, tzinfo=UTC)),
        (wall(2026, 7, 1, 9), "Asia/Tokyo", datetime(2026, 7, 1, 0, tzinfo=UTC)),
        # 29 March 2026, 02:30 does not exist in Berlin: 03:00 there is 01:00 UTC.
        (
            wall(2026, 3, 29, 2, 30),
            "Europe/Berlin",
            datetime(2026, 3, 29, 1, tzinfo=UTC),
        ),
        # 25 October 2026, 02:30 comes twice: the first is still summer time.
        (
            wall(2026, 10, 25, 2, 30),
            "Europe/Berlin",
            datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
        ),
    ],
)
def test_a_wall_time_is_one_instant(shown, zone, instant):
    assert local_instant(shown, ZoneInfo(zone)) == instant


@pytest.mark.parametrize("name", ["", "Nowhere/Here", "../etc/passwd", "\0"])
def test_a_zone_nobody_knows_is_the_house_s_own(name):
    assert zone_named(name, BERLIN) is BERLIN


def test_a_zone_is_found_by_its_name():
    assert zone_named("Asia/Tokyo", BERLIN).key == "Asia/Tokyo"


def test_no_clock_on_earth_is_earlier_than_the_first_instant():
    shown = wall(2026, 7, 1, 9)
    zones = ("Pacific/Kiritimati", "Pacific/Apia", "Asia/Tokyo", "America/Adak")
    instants = [local_instant(shown, ZoneInfo(name)) for name in zones]
    assert min(instants) == first_instant(shown)
