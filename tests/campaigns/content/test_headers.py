import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.content.headers import (
    HeaderProblem,
    SenderFacts,
    header_safe,
    mail_headers,
    message_id,
)
from campaigns.content.links import InertLinks, Links

KEYS = ["a key with more than 16 letters"]


@pytest.mark.parametrize(
    "value",
    [
        "Spring\r\nBcc: everyone@example.com",
        "Spring\nX: y",
        "Spring\rX: y",
        "a\x00b",
        "a\tb",
        "a\x7fb",
        "a\x85b",
        "a\u2028b",
        "a\u2029b",
        "a\ud800b",
    ],
)
def test_a_value_that_could_become_a_second_header_is_refused(value):
    with pytest.raises(HeaderProblem, match=r"Subject holds .* at character"):
        header_safe(value, name="Subject")


@given(st.text())
def test_what_passes_is_one_line_as_it_came(value):
    try:
        passed = header_safe(value, name="Subject", max_length=40)
    except HeaderProblem:
        return
    assert passed == value
    assert len(passed.splitlines()) <= 1
    assert len(passed) <= 40


@pytest.mark.parametrize("value", ["Frühling 🌱", "שלום", "Linden & Loam <3", ""])
def test_words_of_any_language_pass(value):
    assert header_safe(value, name="Subject") == value


def test_a_value_that_is_too_long_says_by_how_much():
    with pytest.raises(HeaderProblem, match="Subject has 201 characters, at most 200"):
        header_safe("a" * 201, name="Subject")


def test_unsubscribing_is_always_offered_both_ways():
    links = Links("https://m.example", 7, KEYS)
    headers = mail_headers(links, domain="shop.example")
    assert headers["List-Unsubscribe"] == f"<{links.unsubscribe}>"
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert headers["List-Id"] == "<news.shop.example>"
    assert headers["Message-ID"] == "<d.7@shop.example>"


def test_a_preview_has_no_headers():
    assert mail_headers(InertLinks(), domain="shop.example") == {}


def test_a_message_keeps_its_id_over_attempts():
    assert message_id(7, "shop.example") == message_id(7, "shop.example")


def test_the_sender_domain_is_written_as_dns_spells_it():
    sender = SenderFacts("Laden", "Mara", "mara@Bücher.example")
    assert sender.domain == "xn--bcher-kva.example"


@pytest.mark.parametrize(
    "address",
    ["", "mara", "@x.example", "a@b@c.example", "a b@c.example", "a@..", "a@b\n.c"],
)
def test_a_sender_without_a_usable_address_says_so(address):
    assert SenderFacts("Shop", "Mara", address).address_problem
