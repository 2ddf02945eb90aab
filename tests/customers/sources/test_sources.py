"""Promises of every source: a new entry of SOURCES needs a sample here."""

import io

import pytest

from customers.models import Interaction
from customers.services import record_interactions
from customers.sources import SOURCES, InteractionRow, RefusedRow

SAMPLES = {
    "history_file": (
        b"customer_id,email,occurred_at,kind,text\n"
        b"c1,bo@example.com,2024-01-31 10:00,review,fine\n"
        b"c1,bo@example.com,2024-01-31T10:00:00+01:00,review,fine\n"
        b"c2,not an address,2024-01-31,review,lost\n"
    ),
}


@pytest.mark.parametrize("name", SOURCES)
def test_every_time_knows_its_zone(name):
    rows = list(SOURCES[name](io.BytesIO(SAMPLES[name])))
    times = [row.occurred_at for row in rows if isinstance(row, InteractionRow)]
    assert times
    assert all(time.utcoffset() is not None for time in times)
    assert any(isinstance(row, RefusedRow) and row.reason for row in rows)


@pytest.mark.django_db
@pytest.mark.parametrize("name", SOURCES)
def test_what_is_read_twice_is_stored_once(name, at):
    first, second = (
        record_interactions(
            SOURCES[name](io.BytesIO(SAMPLES[name])), source=name, at=at
        )
        for _ in range(2)
    )
    assert first.stored == Interaction.objects.count() > 0
    assert (second.stored, second.already_known) == (0, first.stored)
