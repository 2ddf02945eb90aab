import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.content.links import (
    MANAGE,
    TRACK,
    InertLinks,
    Links,
    UntrackedLinks,
    check_destination,
    manage_token,
    read_token,
    track_token,
)

OLD = "the key of the year before last"
NEW = "the key that signs since March"
IDS = st.integers(0, 2**64 - 1)


@given(IDS)
def test_a_token_has_31_characters_and_is_read_back(public_id):
    token = track_token(public_id, [NEW])
    assert len(token) == 31
    assert set(token) <= set(string.ascii_letters + string.digits + "-_")
    assert read_token(token, TRACK, [NEW]) == public_id


@given(IDS)
def test_a_token_of_one_purpose_is_worthless_for_the_other(public_id):
    assert read_token(track_token(public_id, [NEW]), MANAGE, [NEW]) is None
    assert read_token(manage_token(public_id, [NEW]), TRACK, [NEW]) is None


@given(
    IDS,
    st.integers(0, 30),
    st.sampled_from(string.ascii_letters + string.digits + "-_"),
)
def test_no_other_spelling_of_a_token_is_accepted(public_id, place, letter):
    token = manage_token(public_id, [NEW])
    changed = token[:place] + letter + token[place + 1 :]
    expected = public_id if changed == token else None
    assert read_token(changed, MANAGE, [NEW]) == expected


def test_a_token_signed_with_an_older_key_is_still_read():
    assert read_token(manage_token(7, [OLD]), MANAGE, [NEW, OLD]) == 7


def test_the_newest_key_signs():
    assert read_token(track_token(7, [NEW, OLD]), TRACK, [NEW]) == 7


def test_a_token_of_a_key_that_is_gone_is_not_read():
    assert read_token(track_token(7, [OLD]), TRACK, [NEW]) is None


@pytest.mark.parametrize(
    "token", ["", "a", "é" * 31, "A" * 30, "A" * 32, "A" * 31, "\n"]
)
def test_anything_else_is_no_token(token):
    assert read_token(token, TRACK, [NEW]) is None


def test_signing_needs_a_key():
    with pytest.raises(ValueError, match="ATTUNE_TRACKING_KEYS"):
        track_token(7, [])


def test_a_key_of_a_few_letters_is_refused():
    with pytest.raises(ValueError, match="16 characters; one has 5"):
        track_token(7, ["short"])


@pytest.mark.parametrize("public_id", [-1, 2**64])
def test_a_public_id_beyond_64_bits_is_refused(public_id):
    with pytest.raises(ValueError, match="public id"):
        track_token(public_id, [NEW])


def test_what_counts_and_what_decides_carry_different_tokens():
    links = Links("https://mail.example.com/", 7, [NEW])
    tracked, managed = track_token(7, [NEW]), manage_token(7, [NEW])
    assert links.pixel == f"https://mail.example.com/o/{tracked}.gif"
    assert links.click(3) == f"https://mail.example.com/c/{tracked}/3"
    assert links.web_view == f"https://mail.example.com/v/{tracked}"
    assert links.unsubscribe == f"https://mail.example.com/u/{managed}"
    assert links.preferences == f"https://mail.example.com/p/{managed}"


def test_without_consent_links_lead_there_directly_and_nothing_is_counted():
    links = UntrackedLinks("https://m.example", 7, [NEW], ["https://shop.example/a"])
    assert links.pixel == ""
    assert links.click(0) == "https://shop.example/a"
    assert links.unsubscribe == Links("https://m.example", 7, [NEW]).unsubscribe


def test_a_preview_leads_nowhere():
    links = InertLinks()
    assert {links.click(0), links.unsubscribe, links.web_view} == {"#"}
    assert links.pixel == ""


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example",
        "http://shop.example:8080/a?b=c&d=%20#e",
        "https://bücher.example/straße",
        "https://xn--bcher-kva.example/",
        "https://[::1]/",
    ],
)
def test_web_addresses_are_destinations(url):
    assert check_destination(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example",
        "//shop.example/a",
        "javascript:alert(1)",
        "JAVASCRIPT:alert(1)",
        "data:text/html,x",
        "ftp://shop.example/",
        "https://",
        "https:///path",
        "https://user:secret@shop.example/",
        "https://shop.example@evil.example/",
        "https://shop.example/\r\nSet-Cookie: a=b",
        "https://shop.example/a b",
        "https://shop.example/\u2028",
        "https://shop.example\\@evil.example/",
        "https://shop.example:99999/",
        "https://[::1/",
        'https://shop.example/"><script>',
        "https://shop.example/" + "a" * 2_000,
    ],
)
def test_anything_that_is_no_plain_web_address_is_refused_with_a_sentence(url):
    with pytest.raises(ValueError, match=r"[A-Za-z].*[.]$"):
        check_destination(url)
