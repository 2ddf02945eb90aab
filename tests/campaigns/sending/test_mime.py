import quopri
import re
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from campaigns.sending.mime import (
    PreparedPart,
    address_header,
    alternative,
    boundary_of,
    date_header,
    header,
    quoted_end,
    quoted_piece,
)

# Everything a text may hold: no surrogates, which are half a character.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)


def unstuffed(wire: bytes) -> bytes:
    """What a server keeps of DATA: the first of two dots at a line start goes."""
    return re.sub(rb"(^|\r\n)\.", rb"\1", wire)


def as_lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


@given(st.lists(TEXT, min_size=1, max_size=7).filter(lambda texts: len(texts) % 2))
@example(["." * 200, ".\n.\n", "x" * 76])
def test_a_part_decodes_to_its_text_and_no_line_is_too_long(texts):
    wire = PreparedPart(texts[::2]).filled(texts[1::2])
    plain = unstuffed(wire)
    assert quopri.decodestring(plain).decode().replace("\r\n", "\n") == "".join(
        map(as_lines, texts)
    )
    assert max(map(len, plain.split(b"\r\n"))) <= 76
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", wire)


def test_a_piece_ends_in_column_0():
    for text in ("", "x", "x" * 75, "x" * 76, "x" * 77, "x \n", "é" * 30, "end "):
        piece = quoted_piece(text)
        assert piece == b"" or piece.endswith(b"\r\n")


def test_a_dot_at_a_line_start_is_doubled_and_no_other():
    assert quoted_end(".a.b\n.c\nd.e") == b"..a.b\r\n..c\r\nd.e"


def test_a_soft_break_before_a_dot_doubles_it_too():
    wire = quoted_end("x" * 75 + "." * 10)
    assert b"\r\n.." in wire
    assert quopri.decodestring(unstuffed(wire)) == b"x" * 75 + b"." * 10


def test_the_number_of_values_must_fit():
    with pytest.raises(ValueError, match="2 slots got 1"):
        PreparedPart(["a", "b", "c"]).filled(["x"])


@given(
    st.text(
        st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]),
        min_size=1,
        max_size=200,
    )
)
@example("word " * 30)
@example("Grüße " * 20)
@example("=?utf-8?q?no?=")
@example("x" * 190)
def test_a_subject_reads_as_it_was_written(subject):
    subject = " ".join(subject.split())
    raw = header("Subject", subject)
    read = message_from_bytes(raw + b"\r\n", policy=default)["Subject"]
    assert raw.isascii()
    assert raw.endswith(b"\r\n")
    assert max(map(len, raw.split(b"\r\n"))) <= max(78, len(subject) + 1)
    assert " ".join(str(read).split()) == " ".join(subject.split())


@pytest.mark.parametrize(
    "name", ["", "Linden & Loam", "Loam, Linden", 'The "best" shop', "Zoë's Töpfe"]
)
def test_a_sender_s_name_reads_as_it_was_written(name):
    raw = address_header("From", name, "hello@shop.example")
    [address] = message_from_bytes(raw + b"\r\n", policy=default)["From"].addresses
    assert (address.display_name, address.addr_spec) == (name, "hello@shop.example")


def test_a_long_list_unsubscribe_is_folded_and_whole():
    url = "<https://mail.shop.example/u/" + "x" * 90 + ">"
    raw = header("List-Unsubscribe", url)
    assert raw == b"List-Unsubscribe:\r\n " + url.encode() + b"\r\n"


def test_a_body_of_two_parts_is_read_back():
    boundary = boundary_of("spring")
    head = f'Content-Type: multipart/alternative; boundary="{boundary}"\r\n\r\n'
    body = alternative(quoted_end("Grüße"), quoted_end("<p>Grüße</p>"), boundary)
    text, html = message_from_bytes(head.encode() + body, policy=default).iter_parts()
    assert (text.get_content_type(), text.get_content()) == ("text/plain", "Grüße")
    assert (html.get_content_type(), html.get_content()) == (
        "text/html",
        "<p>Grüße</p>",
    )


def test_a_date_is_written_as_mail_writes_it():
    at = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    assert date_header(at) == b"Date: Mon, 02 Mar 2026 09:00:00 +0000\r\n"
