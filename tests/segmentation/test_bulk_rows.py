from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.db import connection

from customers.models import Customer
from segmentation.bulk_rows import (
    INSTANT,
    add_missing_rows,
    instant,
    read_columns,
    write_rows,
)
from segmentation.models import EmotionProfile, Membership

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 29, 12, tzinfo=UTC)
MOMENTS = [NOON, NOON + timedelta(microseconds=7), None]


@pytest.fixture
def people():
    return [Customer.objects.create(external_id=f"c{n}") for n in range(3)]


def columns(people, **changed):
    n = len(people)
    return {
        "customer": np.array([one.pk for one in people]),
        "as_of": np.full(n, instant(NOON)),
        "state": [b"\x00\xff'"] * n,
        "texts": np.arange(n),
        "last_text_at": np.array(
            [instant(one) if one else np.datetime64("NaT") for one in MOMENTS[:n]],
            INSTANT,
        ),
        "evidence": np.array([0.1, 1 / 3, 1e-300][:n]),
        "valence": [-1.0, 0.0, 1.0][:n],
        "composition": [b""] * n,
        "negativity": np.zeros(n),
        "dominant_family": ["joy", "", "it's"][:n],
        **changed,
    }


def test_rows_are_read_back_as_they_were_given(people):
    write_rows(EmotionProfile, columns(people))
    kept = EmotionProfile.objects.order_by("customer").values_list(
        "as_of", "state", "texts", "last_text_at", "evidence", "dominant_family"
    )
    assert [(at, bytes(state), *rest) for at, state, *rest in kept] == [
        (NOON, b"\x00\xff'", 0, MOMENTS[0], 0.1, "joy"),
        (NOON, b"\x00\xff'", 1, MOMENTS[1], 1 / 3, ""),
        (NOON, b"\x00\xff'", 2, None, 1e-300, "it's"),
    ]


def test_moments_are_found_as_those_that_the_orm_has_written(people):
    write_rows(EmotionProfile, columns(people))
    for moment in MOMENTS[:2]:
        assert EmotionProfile.objects.filter(last_text_at=moment).count() == 1
    assert EmotionProfile.objects.filter(last_text_at__gt=NOON).count() == 1


def test_a_row_that_is_there_gets_the_new_values_and_stays_the_same_row(people):
    write_rows(EmotionProfile, columns(people[:1]))
    before = EmotionProfile.objects.get()
    later = columns(people, valence=[0.5, 0.5, 0.5])
    write_rows(EmotionProfile, later, instead_of=["customer"])
    assert EmotionProfile.objects.count() == 3
    after = EmotionProfile.objects.get(pk=before.pk)
    assert (after.customer_id, after.valence) == (people[0].pk, 0.5)


def test_what_the_orm_has_written_is_read_to_the_microsecond(people):
    for one, moment in zip(people, MOMENTS, strict=True):
        EmotionProfile.objects.create(
            customer=one, as_of=moment or NOON, composition=b"ab", texts=5
        )
    found = read_columns(
        EmotionProfile.objects.order_by("customer"),
        {"as_of": INSTANT, "texts": "i8", "composition": "bytes"},
    )
    assert found["as_of"].tolist() == [
        moment.replace(tzinfo=None) for moment in (*MOMENTS[:2], NOON)
    ]
    assert found["texts"].tolist() == [5, 5, 5]
    assert found["composition"] == b"ababab"


def test_nothing_found_is_empty_columns():
    found = read_columns(
        EmotionProfile.objects.all(),
        {"as_of": INSTANT, "texts": "i8", "composition": "bytes"},
    )
    assert (found["as_of"].dtype, found["as_of"].shape) == (np.dtype(INSTANT), (0,))
    assert (found["texts"].dtype, found["composition"]) == (np.dtype("i8"), b"")


def test_no_rows_are_no_error():
    write_rows(EmotionProfile, columns([]))
    assert not EmotionProfile.objects.exists()


def test_a_field_that_is_missing_is_named(people):
    fewer = columns(people)
    del fewer["negativity"]
    with pytest.raises(TypeError, match=r"EmotionProfile needs negativity"):
        write_rows(EmotionProfile, fewer)


def test_columns_of_two_lengths_are_refused_and_nothing_is_written(people):
    with pytest.raises(ValueError, match=r"they have \[1, 3\]"):
        write_rows(EmotionProfile, columns(people, valence=[0.0]))
    assert not EmotionProfile.objects.exists()


def test_a_place_costs_the_database_one_look_up():
    """A run writes a million of them; runs and segments are never deleted."""
    with connection.cursor() as cursor:
        checked = connection.introspection.get_relations(
            cursor, Membership._meta.db_table
        )
    assert set(checked) == {"customer_id"}


def test_profiles_have_room_to_be_rewritten_where_they_are():
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT reloptions FROM pg_class WHERE relname = %s",
                [EmotionProfile._meta.db_table],
            )
            assert cursor.fetchone() == (["fillfactor=45"],)


def test_rows_that_are_there_already_are_passed_over_and_counted(people):
    assert add_missing_rows(EmotionProfile, columns(people[:2])) == 2
    nothing = np.full(3, np.datetime64("NaT"), INSTANT)
    more = columns(people, texts=[7, 7, 7], last_text_at=nothing)
    assert add_missing_rows(EmotionProfile, more) == 1
    texts = EmotionProfile.objects.order_by("customer").values_list("texts", flat=True)
    assert list(texts) == [0, 1, 7]
