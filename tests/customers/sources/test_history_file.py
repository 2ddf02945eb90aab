import io
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from customers.errors import UnknownSetting, UnreadableHistory
from customers.sources import InteractionRow, RefusedRow
from customers.sources.history_file import rows

HEADER = "customer_id,email,occurred_at,kind"
ROW = "c1,bo@example.com,2024-01-31T10:00:00Z,review"


def read(text, **options):
    data = text if isinstance(text, bytes) else text.encode()
    return rows(io.BytesIO(data), **options)


def read_one(column, value, **options):
    """The one row of a file with one column more."""
    (row,) = read(f'{HEADER},{column}\n{ROW},"{value}"\n', **options)
    return row


def test_a_whole_row_is_read_into_its_fields():
    (row,) = read(
        f"{HEADER},interaction_id,channel,rating,subject,text,product,amount,currency,"
        "first_name,last_name,language,timezone,country,consent,tags,shelf\n"
        f"{ROW},i7,web,4.5,Kettle,It sings,Kettle K2,12.5,eur,Bo,Lind,en,"
        "Europe/London,United Kingdom,Yes,vip;tea,B4\n"
    )
    assert row == InteractionRow(
        customer_id="c1", email="bo@example.com", kind="review", key="i7", line=2,
        occurred_at=datetime(2024, 1, 31, 10, tzinfo=UTC), channel="web", rating=4.5,
        subject="Kettle", text="It sings", product="Kettle K2", amount=Decimal("12.50"),
        currency="EUR", first_name="Bo", last_name="Lind", language="en",
        timezone="Europe/London", country="GB", consent="yes", tags=("vip", "tea"),
        attributes={"shelf": "B4"},
    )  # fmt: skip


def test_when_a_ticket_was_answered_is_a_moment_in_the_zone_given():
    row = read_one("answered at", "2024-02-01 12:00", timezone=ZoneInfo("Europe/Oslo"))
    assert row.answered_at == datetime(2024, 2, 1, 11, tzinfo=UTC)
    assert read_one("answered_at", "soon").column == "answered_at"
    assert read_one("answered_at", "").answered_at is None


def test_a_day_alone_is_not_before_the_question_of_that_day():
    # Asked at 10:00 of it.
    row = read_one("answered_at", "2024-01-31")
    assert row.answered_at == row.occurred_at
    assert read_one("answered_at", "2024-01-30").answered_at < row.occurred_at


def test_an_answer_does_not_make_a_ticket_another_one():
    answered = read_one("answered_at", "2024-02-01T12:00Z")
    assert answered.key == read_one("answered_at", "").key


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_found_in_the_header(delimiter):
    text = f'{HEADER},text\n{ROW},"a, b; c"\n'
    outside, quoted, rest = text.partition('"a, b; c"')
    (row,) = read(
        outside.replace(",", delimiter) + quoted + rest.replace(",", delimiter)
    )
    assert row.text == "a, b; c"


def test_columns_are_found_whatever_their_order_case_and_spacing():
    (row,) = read(
        "KIND, Customer ID ,Occurred-At,E-mail,\nreview,c1,2024-01-31,bo@example.com,\n"
    )
    assert (row.customer_id, row.email, row.kind) == ("c1", "bo@example.com", "review")
    assert row.attributes == {}


def test_a_column_of_another_name_is_mapped():
    (row,) = read(
        "Kunde,email,Mail,occurred_at,kind\nc1,old,bo@example.com,2024-01-31,review\n",
        mapping={"kunde": "customer_id", "Mail": "email"},
    )
    assert (row.customer_id, row.email) == ("c1", "bo@example.com")
    assert row.attributes == {"email": "old"}


def test_html_entities_are_decoded_once():
    row = read_one("text", "6&#34; &amp;amp; Fish &lt;3")
    assert row.text == '6" &amp; Fish <3'


def test_times_without_zone_take_the_one_given_and_it_is_said_once():
    found = read(
        f"{HEADER}\nc1,bo@example.com,2024-07-01 12:00,visit\n"
        "c1,bo@example.com,2024-07-02 12:00,visit\n",
        timezone=ZoneInfo("Europe/London"),
    )
    hours = [row.occurred_at.astimezone(UTC).hour for row in found]
    assert hours == [11, 11]
    assert len(found.notes) == 1
    assert "read as Europe/London" in found.notes[0]


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [("rating", "11", "0 to 10"), ("rating", "good", "number from 0 to 10"),
     ("amount", "free", "amount is a number"), ("currency", "Pounds", "three letters"),
     ("country", "Atlantis", "two letters"), ("timezone", "Mars/Base", "Europe/London"),
     ("language", "!", "code such as en"), ("consent", "perhaps", "yes or no"),
     ("product", "p" * 501, "longer than 500"), ("first_name", "n" * 121, "120"),
     ("interaction_id", "i" * 201, "200"), ("subject", "s" * 501, "500")],
)  # fmt: skip
def test_a_value_that_cannot_be_read_refuses_its_row_by_name(column, value, reason):
    row = read_one(column, value)
    assert isinstance(row, RefusedRow)
    assert (row.line, row.column) == (2, column)
    assert row.value[:10] == value[:10]
    assert len(row.value) <= 80
    assert reason in row.reason


@pytest.mark.parametrize(
    ("row", "column", "reason"),
    [("c1,bo@example,2024-01-31,review", "email", "can't get mail"),
     ("c1,bo@example.com,soon,review", "occurred_at", "not a date"),
     ("c1,bo@example.com,2024-01-31,rumour", "kind", "review, ticket, survey"),
     ("c1,bo@example.com,2024-01-31,click", "kind", "a kind is one of"),
     (" ,bo@example.com,2024-01-31,review", "customer_id", "is empty"),
     ("c1,,2024-01-31,review", "email", "is empty"),
     ("c1,bo@example.com,2024-01-31", "", "4 columns, this row 3"),
     ("c1,bo@example.com,2024-01-31,review,x", "", "4 columns, this row 5")],
)  # fmt: skip
def test_a_bad_row_is_refused_and_its_neighbours_go_in(row, column, reason):
    before, refused, after = read(f"{HEADER}\n{ROW}\n{row}\n{ROW}\n")
    assert isinstance(before, InteractionRow)
    assert isinstance(after, InteractionRow)
    assert (refused.line, refused.column) == (3, column)
    assert reason in refused.reason


def test_a_missing_column_is_named_with_the_way_to_map_it():
    with pytest.raises(UnreadableHistory, match=r"no column email.*--map theirs=email"):
        read("customer_id,occurred_at,kind\n")


@pytest.mark.parametrize("twice", ["Email", "notes,Notes"])
def test_a_doubled_column_is_named(twice):
    with pytest.raises(UnreadableHistory, match="are the same: keep or rename one"):
        read(f"{HEADER},{twice}\n")


@pytest.mark.parametrize("text", ["", "\n\n", "\ufeff"])
def test_an_empty_file_is_said_to_be_empty(text):
    with pytest.raises(UnreadableHistory, match="empty"):
        read(text)


def test_a_header_without_rows_is_noted():
    found = read(f"{HEADER}\n")
    assert list(found) == []
    assert found.notes == ["The file has a header and no rows."]


def test_rows_of_nothing_but_delimiters_are_passed_over():
    assert len(list(read(f"{HEADER}\n,,,\n{ROW}\n , , , \n"))) == 1


def test_trailing_delimiters_do_no_harm():
    (row,) = read(f"{HEADER}\n{ROW},,\n")
    assert isinstance(row, InteractionRow)


def test_a_mapping_that_fits_nothing_is_refused():
    with pytest.raises(UnknownSetting, match="'address' is not one of"):
        read(f"{HEADER}\n", mapping={"email": "address"})
    with pytest.raises(UnreadableHistory, match="--map names 'Mail', which is not"):
        read(f"{HEADER}\n", mapping={"Mail": "email"})


def test_a_header_in_another_alphabet_is_not_guessed_at():
    with pytest.raises(UnreadableHistory, match="header can't be read: byte"):
        read(f"{HEADER},gr\xf6\xdfe\n{ROW},4\n".encode("latin-1"))


def test_without_an_id_the_key_is_made_of_the_content_in_any_column_order():
    (one,) = read(f"{HEADER},text,first_name,a,b\n{ROW},hello,Bo,1,2\n")
    (two,) = read(f"b,a,text,{HEADER}\n2,1,hello,{ROW}\n")
    (other,) = read(f"{HEADER},text,a,b\n{ROW},hello,12,\n")
    assert one.key.startswith("sha256:")
    assert one.key == two.key != other.key
