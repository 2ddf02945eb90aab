"""Files that mean harm, or come from a broken programme: F38's other half."""

import csv
import io
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from customers.errors import UnreadableHistory
from customers.sources import InteractionRow, RefusedRow
from customers.sources.history_file import rows

HEADER = "customer_id,email,occurred_at,kind,text,first_name\n"
ROW = "c{n},p{n}@example.com,2024-01-31T10:00:00Z,review,{text},Bo\n"
AROUND = (ROW.format(n=1, text="before"), ROW.format(n=9, text="after"))


def quoted(text):
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="").writerow([text])
    return out.getvalue()


def read(middle):
    """What a file gives whose second row is this; the rows around it always go in."""
    middle = middle if isinstance(middle, bytes) else middle.encode()
    data = HEADER.encode() + AROUND[0].encode() + middle + AROUND[1].encode()
    found = list(rows(io.BytesIO(data)))
    whole = [one for one in found if isinstance(one, InteractionRow)]
    assert [whole[0].text, whole[-1].text] == ["before", "after"]
    assert all(one.line and one.reason for one in found if isinstance(one, RefusedRow))
    return found[1:-1]


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t=", "\r=", "=cmd|' /C calc'!"])
def test_a_formula_is_kept_as_the_text_it_is(sign):
    text = f"{sign}HYPERLINK(A1)"
    [row] = read(ROW.format(n=2, text=quoted(text)))
    assert row.text == text.strip()


@pytest.mark.parametrize(
    "text",
    [
        "\u202egpj.exe",
        "\u2066a\u2069",
        "\u200b",
        "\ufeffx",
        "a\u0301" * 99,
        "\U000e0001x",
    ],
)
def test_marks_of_direction_and_what_nobody_sees_are_text(text):
    [row] = read(ROW.format(n=2, text=quoted(text)))
    assert row.text == text.strip()


def test_a_cell_of_ten_thousand_characters_goes_in_whole():
    for text in ("x" * 10_000, "é" * 10_000, "🌱" * 10_000, 'a"\n' * 3_333):
        [row] = read(ROW.format(n=2, text=quoted(text)))
        assert row.text == text.strip()


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (b"a\0b", "NUL"),
        (b"\xff\xfe\xfa", "not UTF-8"),
        (b"\xc0\xaf", "not UTF-8"),
        (b"\xed\xa0\x80", "not UTF-8"),
        (b"\xf8\x88\x80\x80\x80", "not UTF-8"),
        (b"caf\xe9", "cp1252"),
        (b"x" * 2_000_000, "longer than"),
        (b'"' + b"x" * 2_000_000 + b'"', "longer than"),
        (b'"never closed', "never closes"),
    ],
)
def test_what_is_no_text_costs_its_own_row_and_is_named(cell, said):
    [refused] = read(ROW.encode().replace(b"{n}", b"2").replace(b"{text}", cell))
    assert isinstance(refused, RefusedRow)
    assert said in refused.reason
    assert len(refused.value) <= 80


@pytest.mark.parametrize(
    "data",
    [
        b"\0" * 5_000,
        b"\xff" * 5_000,
        b"\x1f\x8b" + b"\0" * 500,
        b"PK\x03\x04" + b"\0" * 500,
        b'"' * 5_000,
        b"," * 500_000,
        b"x" * 5_000_000,
        HEADER.encode("utf-16-le"),
        HEADER.encode("utf-16")[:-1],
        b"\xef\xbb\xbf",
    ],
    ids=lambda data: f"{data[:4]!r} {len(data)}",
)
def test_what_is_no_history_at_all_is_one_sentence(data):
    with pytest.raises(UnreadableHistory) as caught:
        list(rows(io.BytesIO(data)))
    assert len(str(caught.value)) <= 1_100


@pytest.mark.parametrize("seed", range(3))
def test_bytes_broken_at_random_never_stop_a_file(seed):
    chance = random.Random(seed)
    body = "".join(ROW.format(n=n, text=quoted('say "é", 🌱\n')) for n in range(20))
    for _ in range(60):
        data = bytearray(body.encode())
        for _ in range(chance.choice((1, 3, 30))):
            at = chance.randrange(len(data))
            match chance.randrange(4):
                case 0:
                    data[at] = chance.randrange(256)
                case 1:
                    del data[at : at + chance.choice((1, 50))]
                case 2:
                    data[at:at] = chance.choice(
                        (b'"', b"\0", b"\r", b",", b"\xff", b"\n")
                    )
                case 3:
                    data[at:at] = data[at : at + 99]
        found = list(rows(io.BytesIO(HEADER.encode() + data)))
        assert all(isinstance(one, InteractionRow | RefusedRow) for one in found)
        assert found


_BOUNDED = """
import gzip, io, json, resource, sys, time
import django
django.setup()
from customers.sources.history_file import rows
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (96 << 20),) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
head = b"customer_id,email,occurred_at,kind,text\\n"
row = b"c1,bo@example.com,2024-01-31,review,fine\\n"
class Long(io.RawIOBase):
    # So many pieces between two rows, and none of them held.
    def __init__(self, piece, times):
        self.pieces = iter([head, row, *[piece] * times, b"\\n", row])
        self.left = b""
    def readable(self):
        return True
    def readinto(self, space):
        self.left = self.left or next(self.pieces, b"")
        size = min(len(space), len(self.left))
        space[:size], self.left = self.left[:size], self.left[size:]
        return size
said = {}
mega = 1 << 20
for name, piece, times in json.load(sys.stdin):
    start = time.process_time()
    found = list(rows(Long((piece * mega)[:mega].encode(), times)))
    said[name] = (len(found), time.process_time() - start)
bomb = io.BytesIO()
with gzip.GzipFile(fileobj=bomb, mode="wb", compresslevel=1) as packed:
    for piece in (head, row, *[b"0" * mega] * 120, b"\\n", row):
        packed.write(piece)
bomb.seek(0)
start = time.process_time()
said["bomb"] = (len(list(rows(bomb))), time.process_time() - start)
print(json.dumps(said))
"""


@pytest.mark.slow
def test_lines_of_hundreds_of_megabytes_take_little_memory():
    long = [("plain", "x", 120), ("quoted", '"x', 120), ("quotes", '"', 120)]
    long += [("marks", ",", 120), ("open", 'c,"', 120), ("blank", " ", 120)]
    ran = subprocess.run(
        [sys.executable, "-c", _BOUNDED],
        input=json.dumps(long),
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
        env={"DJANGO_SETTINGS_MODULE": "config.settings"},
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2_000:]
    said = json.loads(ran.stdout)
    assert all(2 <= found <= 5 for found, _ in said.values()), said
    assert all(seconds < 10 for _, seconds in said.values()), said
