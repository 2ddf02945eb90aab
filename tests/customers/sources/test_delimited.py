import csv
import gzip
import io
import json
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customers.errors import UnknownSetting, UnreadableHistory
from customers.sources import delimited
from customers.sources.delimited import Broken, Record, Records, open_delimited

CELLS = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12
)


def read(data, *, delimiter=",", width=0, encoding=""):
    if isinstance(data, str):
        data = data.encode()
    records = Records(
        open_delimited(io.BytesIO(data), encoding=encoding), delimiter=delimiter
    )
    records.width = width
    return list(records)


def cells(found):
    return [record.cells for record in found if isinstance(record, Record)]


@given(
    st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=6),
    st.sampled_from(delimited.DELIMITERS),
)
def test_what_a_csv_writer_writes_is_read_as_it_was(rows, delimiter):
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter).writerows(rows)
    found = read(file.getvalue(), delimiter=delimiter, width=3)
    assert cells(found) == [row for row in rows if any(row)]


@given(st.text(st.sampled_from('ab",;\n\r')))
def test_no_text_however_broken_stops_the_reading(text):
    found = read(text, width=2)
    assert all(isinstance(record, Record | Broken) for record in found)


def test_each_record_knows_the_line_it_starts_on():
    found = read('a,b\n\n"two\nlines",c\nd,e\n', width=2)
    assert [record.line for record in found] == [1, 3, 5]


def test_a_quote_that_never_closes_costs_its_own_line_only():
    found = read('1,fine\n2,"open\n3,fine\n4,"quoted, fine"\n5,fine\n', width=2)
    assert cells(found) == [["1", "fine"], ["3", "fine"], ["4", "quoted, fine"],
                            ["5", "fine"]]  # fmt: skip
    broken = found[1]
    assert (broken.line, broken.column, broken.value) == (2, 1, "open")
    assert "never closes" in broken.reason


def test_a_quote_inside_a_bare_cell_is_only_a_quote():
    assert cells(read('1,5" pipe\n2,elbow\n', width=2)) == [
        ["1", '5" pipe'],
        ["2", "elbow"],
    ]


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_cell_of_ten_megabytes_is_refused_and_the_rows_around_it_stay(quote):
    huge = "x" * 10_000_000
    found = read(f"1,a\n2,{quote}{huge}{quote}\n3,c\n", width=2)
    assert cells(found) == [["1", "a"], ["3", "c"]]
    assert "longer than 100,000 characters" in found[1].reason
    assert (found[1].line, found[1].column) == (2, 1)
    assert len(found[1].value) <= 80


def test_a_ten_megabyte_cell_of_many_lines_is_passed_over_as_one():
    huge = "all of one cell\n" * 625_000
    found = read(f'1,a\n2,"{huge}"\n3,c\n', width=2)
    assert cells(found) == [["1", "a"], ["3", "c"]]
    assert len(found) == 3


def test_a_byte_that_is_not_utf8_is_named_with_line_byte_and_way_out():
    found = read(b"1,a\n2,caf\xe9\n3,c\n", width=2)
    assert cells(found) == [["1", "a"], ["3", "c"]]
    broken = found[1]
    assert (broken.line, broken.column) == (2, 1)
    assert "byte 6 of the line, 0xE9, is not UTF-8" in broken.reason
    assert "--encoding cp1252" in broken.reason


def test_the_encoding_that_was_said_is_used():
    assert cells(read(b"1,caf\xe9\n", encoding="cp1252")) == [["1", "café"]]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_read_and_dropped(encoding):
    assert cells(read("1,café\n".encode(encoding))) == [["1", "café"]]


def test_an_unknown_encoding_is_named():
    with pytest.raises(UnknownSetting, match="'klingon' is not a text encoding"):
        read(b"1,a\n", encoding="klingon")


def test_a_nul_is_named_and_the_other_rows_stay():
    found = read(b"1,a\n2,b\0b\n3,c\n", width=2)
    assert cells(found) == [["1", "a"], ["3", "c"]]
    assert (found[1].line, found[1].column) == (2, 1)
    assert "NUL" in found[1].reason


def test_gzip_is_unpacked_whatever_its_name():
    assert cells(read(gzip.compress(b"1,a\n"))) == [["1", "a"]]


def test_a_gzip_that_was_cut_off_gives_its_rows_and_says_so():
    lines = "".join(f"{number},{hash(str(number))}\n" for number in range(50_000))
    packed = gzip.compress(lines.encode())
    records = Records(open_delimited(io.BytesIO(packed[: len(packed) // 2])))
    assert len(list(records)) > 1000
    assert "can't be read past line" in records.cut_off


def test_an_excel_workbook_is_told_from_a_csv():
    with pytest.raises(UnreadableHistory, match="Excel workbook"):
        read(b"PK\x03\x04" + bytes(100))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UnreadableHistory, match="No such file"):
        open_delimited(tmp_path / "none.csv")


@pytest.mark.shared
def test_the_csv_spectrum_is_read_as_its_authors_meant_it(shared_data):
    with zipfile.ZipFile(shared_data / "csv" / "csv_spectrum.zip") as archive:
        names = [name[5:-4] for name in archive.namelist() if name.endswith(".csv")]
        for name in names:
            head, *rows = cells(read(archive.read(f"csvs/{name}.csv")))
            found = [dict(zip(head, row, strict=True)) for row in rows]
            meant = json.loads(archive.read(f"json/{name}.json"))
            if name == "location_coordinates":  # its own two files disagree on these
                found, meant = found[0], {**meant, head[0]: found[0][head[0]]}
            # Line ends inside a cell stay as they were; theirs became \n.
            assert one_line_end(found) == one_line_end(meant), name
    assert len(names) == 12


def one_line_end(value):
    return json.dumps(value).replace("\\r\\n", "\\n")
