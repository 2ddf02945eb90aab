from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from customers.templatetags.attune import duration, level, moment_named


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.416, "+0.42"), (-0.1, "−0.10"), (-0.001, "0.00"), (0, "0.00"), (None, "–")],
)
def test_a_level_has_a_sign_and_a_true_minus(value, words):
    assert level(value) == words


@pytest.mark.parametrize(
    ("zone", "words"),
    [("UTC", "2 Mar 2024, 9:05 UTC"), ("Europe/Berlin", "2 Mar 2024, 10:05 CET")],
)
def test_a_moment_in_a_sentence_goes_by_the_shops_clock_and_names_it(zone, words):
    with timezone.override(ZoneInfo(zone)):
        assert moment_named(datetime(2024, 3, 2, 9, 5, tzinfo=UTC)) == words


@pytest.mark.parametrize(
    ("how_long", "words"),
    [
        (timedelta(milliseconds=20), "1 second"),
        (timedelta(seconds=89), "89 seconds"),
        (timedelta(seconds=90), "2 minutes"),
        (timedelta(minutes=89), "89 minutes"),
        (timedelta(hours=35), "35 hours"),
        (timedelta(days=1500), "1,500 days"),
    ],
)
def test_how_long_is_said_in_the_unit_one_would_say_it_in(how_long, words):
    assert duration(how_long) == words
