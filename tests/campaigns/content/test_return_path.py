import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.content.return_path import (
    ReturnPath,
    message_of,
    read_return_path,
    return_token,
)

OLD = "the key of the year before last"
NEW = "the key that signs since March"
IDS = st.integers(0, 2**64 - 1)
LONGEST = read_return_path(f"{'b' * 26}@mail.example.com")


@given(IDS)
def test_an_address_fits_and_is_read_back_in_any_case(public_id):
    address = LONGEST.of(public_id, [NEW])
    local, _, domain = address.rpartition("@")
    assert len(local) == 64
    assert set(local) <= set(string.ascii_lowercase + string.digits + "+")
    for spelling in (address, address.upper(), f"{local.title()}@{domain}"):
        assert message_of(spelling, [NEW]) == public_id


def test_a_whole_domain_needs_no_local_part():
    path = read_return_path("@Bounces.Example.com")
    assert path == ReturnPath("", "bounces.example.com")
    assert path.of(7, [NEW]) == f"{return_token(7, [NEW])}@bounces.example.com"
    assert message_of(path.of(7, [NEW]), [NEW]) == 7


@given(IDS, st.integers(0, 36), st.sampled_from(string.ascii_lowercase + string.digits))
def test_no_other_spelling_of_a_token_is_accepted(public_id, place, letter):
    token = return_token(public_id, [NEW])
    changed = token[:place] + letter + token[place + 1 :]
    expected = public_id if changed == token else None
    assert message_of(f"b+{changed}@x.example", [NEW]) == expected


@given(st.text(max_size=120))
def test_what_is_no_return_path_is_read_as_none(text):
    assert message_of(text, [NEW]) is None


def test_an_older_key_is_still_read_and_one_that_is_gone_is_not():
    address = LONGEST.of(7, [OLD])
    assert message_of(address, [NEW, OLD]) == 7
    assert message_of(address, [NEW]) is None


@pytest.mark.parametrize("purpose", [1, 2, 4])
def test_a_token_of_a_link_is_no_return_path(purpose, monkeypatch):
    monkeypatch.setattr("campaigns.content.return_path.RETURN", purpose)
    address = LONGEST.of(7, [NEW])
    monkeypatch.undo()
    assert message_of(address, [NEW]) is None


@pytest.mark.parametrize(
    "written",
    [
        "x",
        "@",
        "a b@x.example",
        "b@localhost",
        "a+b@x.example",
        f"{'x' * 27}@x.example",
    ],
)
def test_an_address_that_can_take_no_token_is_refused(written):
    with pytest.raises(ValueError, match=r"\."):
        read_return_path(written)
