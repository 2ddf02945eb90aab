from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from customers.sources import values
from customers.sources.values import BadValue

LONDON = ZoneInfo("Europe/London")
NOON = datetime(2024, 1, 31, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["2024-01-31T12:00:00Z", "2024-01-31 12:00:00+00:00", "20240131T120000Z",
     "2024-01-31 13:00+0100", "2024-01-31 12:00:00 UTC", "2024/01/31 12:00",
     "31.01.2024 12:00", "31/01/2024 12:00", "1/31/2024 12:00 PM",
     "31-01-2024 12:00:00", "1706702400", "1706702400000",
     "Wed, 31 Jan 2024 12:00:00 +0000"],
)  # fmt: skip
def test_the_common_ways_to_write_one_moment_are_read_alike(text):
    assert values.moment(text, zone=UTC)[0] == NOON


@pytest.mark.parametrize(
    "text",
    ["2024-01-31", "31 Jan 2024", "31 January 2024", "Jan 31, 2024", "31-Jan-2024"],
)
def test_a_day_without_a_time_is_its_midnight(text):
    found, assumed = values.moment(text, zone=UTC)
    assert found == datetime(2024, 1, 31, tzinfo=UTC)
    assert assumed


def test_a_time_without_zone_takes_the_one_given_summer_and_winter():
    summer, assumed = values.moment("2024-07-01T12:00", zone=LONDON)
    winter, _ = values.moment("2024-01-01T12:00", zone=LONDON)
    assert assumed
    assert summer.astimezone(UTC).hour == 11
    assert winter.astimezone(UTC).hour == 12


def test_a_zone_in_the_text_wins_over_the_one_given():
    found, assumed = values.moment("31.01.2024 12:00 +02:00", zone=LONDON)
    assert not assumed
    assert found.utcoffset() == timedelta(hours=2)


def test_a_date_that_can_be_two_is_refused_until_the_order_is_said():
    with pytest.raises(BadValue, match="day or month first"):
        values.moment("03/04/2024", zone=UTC)
    first = values.moment("03/04/2024", zone=UTC, dates="day-first")[0]
    second = values.moment("03/04/2024", zone=UTC, dates="month-first")[0]
    assert (first.day, first.month, second.day, second.month) == (3, 4, 4, 3)


@pytest.mark.parametrize(
    "text",
    ["yesterday", "2024-02-30", "31/31/2024", "31.1.24", "2024-13-01", "0001-01-01",
     "9999-12-31", "12:00", "13/01/2024 13:00 PM", "-", "4711", "99999-01-01"],
)  # fmt: skip
def test_what_is_no_date_is_refused_with_a_way_out(text):
    with pytest.raises(BadValue, match=r"date|year|digits|month|AM or PM"):
        values.moment(text, zone=UTC)


def test_an_offset_west_of_greenwich_is_subtracted():
    found, _ = values.moment("31/01/2024 07:00 -05:00", zone=UTC)
    assert found == NOON.astimezone(timezone(timedelta(hours=-5)))


@pytest.mark.parametrize(
    ("text", "number"), [("5", 5), ("4,5", 4.5), ("0", 0), ("10", 10)]
)
def test_a_rating_lies_from_nothing_to_ten(text, number):
    assert values.rating(text) == number


@pytest.mark.parametrize("text", ["11", "-1", "nan", "inf", "five", "4/5", "1e9", "½"])
def test_any_other_rating_is_refused(text):
    with pytest.raises(BadValue, match="rating"):
        values.rating(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [("12.50", "12.50"), ("12,5", "12.50"), ("-3", "-3.00"), ("1,234.50", "1234.50"),
     ("1.234,50", "1234.50"), ("1,234,567", "1234567.00"),
     ("22.200000000000003", "22.20")],
)  # fmt: skip
def test_amounts_are_read_as_shops_write_them(text, number):
    assert values.amount(text) == Decimal(number)


@pytest.mark.parametrize(
    "text", ["1,234", "1.234", "free", "nan", "Infinity", "1e400", "9" * 13, "€12"]
)
def test_an_amount_that_is_none_or_could_be_two_is_refused(text):
    with pytest.raises(BadValue, match=r"amount|thousands"):
        values.amount(text)


@pytest.mark.parametrize(
    ("text", "code"),
    [("gb", "GB"), ("UK", "GB"), ("United Kingdom", "GB"), ("Germany", "DE"),
     ("EIRE", "IE"), ("Unspecified", "")],
)  # fmt: skip
def test_a_country_is_known_by_code_or_name(text, code):
    assert values.country(text) == code


@pytest.mark.parametrize(
    ("reader", "text"),
    [(values.country, "Atlantis"), (values.country, "XX"),
     (values.time_zone, "Mars/Base"), (values.time_zone, "../../etc/passwd"),
     (values.time_zone, "Europe"),
     (values.language, "English!"), (values.language, "e"), (values.currency, "€"),
     (values.currency, "EURO"), (values.consent, "maybe"), (values.at_most(3), "four")],
)  # fmt: skip
def test_a_value_nobody_knows_is_refused(reader, text):
    with pytest.raises(BadValue):
        reader(text)


def test_consent_is_read_in_the_words_of_exports():
    assert {values.consent(word) for word in ("Yes", "TRUE", "1", "opt-in", "ja")} == {
        "yes"
    }
    assert {values.consent(word) for word in ("no", "0", "Unsubscribed", "non")} == {
        "no"
    }


def test_languages_zones_and_tags_come_in_one_form():
    assert values.language("PT_br") == "pt-BR"
    assert values.time_zone("Europe/London") == "Europe/London"
    assert values.tags("vip; wholesale,vip |") == ("vip", "wholesale")
